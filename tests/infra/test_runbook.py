"""docs/runbook.md has a paragraph for each alarm, and no other."""

import re

from model import errors as model_errors
from tests.infra.stack import ROOT, translate

TEXT = (ROOT / "docs" / "runbook.md").read_text()


def paragraphs() -> dict[str, str]:
    parts = re.split(r"^## ", TEXT, flags=re.M)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def test_each_alarm_has_a_paragraph_that_says_what_to_do() -> None:
    alarms = {n for n, r in translate()["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    found = {title: text for title, text in paragraphs().items() if " " not in title}
    assert set(found) == alarms
    assert all(len(text) > 150 for text in found.values())


def test_what_it_names_is_there() -> None:
    template = translate()
    known = {*template["Parameters"], *template["Resources"]}
    named = set(re.findall(r"`([A-Z][a-z]\w*[A-Z]\w+)(?:=\w+)?`", TEXT))
    metrics = {
        "ColdStart",
        "ColdStartTime",
        "PriceMicroUSD",
        "RefreshTime",
        "DriftOverLimit",
        "ObjectRows",
        "ObjectBadRows",
    }
    classes = {name for name, value in vars(model_errors).items() if isinstance(value, type)} | {"FunctionFailed"}
    hooks = {"BeforeAllowTraffic", "AllAtOnce"}
    assert named - classes - metrics - hooks <= known
