"""`python -m model drift`: figures, a report that needs nothing else, an exit status."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from model.__main__ import app
from model.errors import PackingRefused
from model.records import encode
from tests.test_window import at, baby, iris, truth


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log as `make run` writes it, with another's lines in it: iris drifted, babies has too few rows."""
    records = [*[iris(f"a-{i}") for i in range(300)], truth("a-1", "versicolor"), baby("b", 118.0)]
    lines = [b'{"level":"INFO","message":"request"}', *map(encode, records)]
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["drift", *arguments], env={"COLUMNS": "160"})


def test_the_figures_are_told_and_the_exit_status_is_asked_for(log: Path, packed: Path) -> None:
    found = run(str(log), "--store", str(packed))
    assert found.exit_code == 0, found.output
    assert re.search(r"sepal_length.*drifted", found.stdout)
    assert "a small window: nothing is called drift" in found.stdout
    assert "Accuracy 1.0000 (of 1 rows with feedback)" in found.stdout
    assert run(str(log), "--store", str(packed), "--fail").exit_code == 1
    document = json.loads(run(str(log), "--store", str(packed), "--json").stdout)
    assert document["drifted"] == ["iris/1.0.0"]
    assert [model["small"] for model in document["models"]] == [True, False]


def test_the_window_may_be_named(log: Path, packed: Path) -> None:
    after = run(str(log), "--store", str(packed), "--since", at(0.9), "--json", "--fail")
    assert json.loads(after.stdout)["models"] == []
    assert after.exit_code == 0
    within = run(str(log.parent), "--store", str(packed), "--since", at(2), "--until", at(0.5), "--json")
    assert len(json.loads(within.stdout)["models"]) == 2


def test_the_report_is_one_file_that_asks_nobody_for_anything(log: Path, packed: Path) -> None:
    out = log.parent / "report.html"
    assert run(str(log), "--store", str(packed), "--out", str(out)).exit_code == 0
    text = out.read_text()
    assert text.count("<svg") == 2
    assert "Drifted: sepal_length" in text
    assert "A small window" in text
    assert not re.search(r"<script|<link|<img|src=|@import|url\((?!#)", text)
    assert json.loads(run(str(log.parent), "--store", str(packed), "--json").stdout)["objects"] == 1  # not the report


def test_names_are_escaped_in_the_report(store: Path, tmp_path: Path) -> None:
    from model.drift_report import render  # noqa: PLC0415
    from model.findings import Found  # noqa: PLC0415

    found = Found(None, None, spoiled=["<b>x</b>"], unreadable=3)
    text = render(found, "<script>")
    assert "<script>" not in text
    assert "&lt;b&gt;x" in text
    assert "3 damaged records" in text
    assert "No prediction was recorded" in text


def test_a_report_goes_to_s3(log: Path, packed: Path, s3: Any) -> None:
    done = run(str(log), "--store", str(packed), "--out", "s3://models/reports/today.html")
    assert done.exit_code == 0, done.output
    assert b"<svg" in s3.get_object(Bucket="models", Key="reports/today.html")["Body"].read()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no file or folder nowhere"),
        ([".", "--since", "yesterday"], "--since: expected a moment"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], message: str, packed: Path) -> None:
    found = run(*arguments, "--store", str(packed))
    assert isinstance(found.exception, PackingRefused)
    assert message in str(found.exception)
