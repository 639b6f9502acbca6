"""Each claim of the README is run: its requests are sent, its commands typed, its tables compared with the code."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import targets
from bench.figures import parse
from handler.settings import VARIABLES
from model import errors
from model.errors import LabelsMoved, ModelError, PackingRefused, PublishingRefused
from tests.conftest import ROOT, next_version
from tests.test_local_service import running

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
REQUESTS = [
    (block, answer)
    for (kind, block), (answer_kind, answer) in itertools.pairwise(BLOCKS)
    if kind == "sh" and answer_kind == "json"
]


def same(found: Any, shown: Any) -> bool:
    """Compare an answer with the one shown: "…" stands for anything, numbers agree to nine digits."""
    if shown == "…":
        return True
    if isinstance(shown, dict):
        return isinstance(found, dict) and found.keys() == shown.keys() and all(same(found[k], shown[k]) for k in shown)
    if isinstance(shown, list):
        return len(found) == len(shown) and all(map(same, found, shown))
    return bool(found == (pytest.approx(shown, rel=1e-9) if isinstance(shown, float) else shown))


def test_every_request_gets_the_answer_shown(packed: Path) -> None:
    assert len(REQUESTS) == 4
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris") as url:
        for request, shown in REQUESTS:
            command = request.replace("http://127.0.0.1:8000", url)
            out = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
            assert same(json.loads(out), json.loads(shown)), out


def test_the_users_own_model_from_the_script_to_the_scores(tmp_path: Path) -> None:
    (script,) = (block for kind, block in BLOCKS if kind == "python")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    (commands,) = (block for _, block in BLOCKS if "python -m model pack" in block)
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    ).stdout
    answer = json.loads(found.splitlines()[-1])
    assert len(answer["labels"]) == 2
    assert set(answer["labels"]) <= {"stays", "leaves"}
    with running(MODEL_PATH=str(tmp_path / "churn.joblib")) as url:
        import httpx2  # noqa: PLC0415

        assert httpx2.post(f"{url}/predict", json={"age": None, "town": "Bern"}).status_code == 200


def test_a_version_is_published_promoted_and_rolled_back_as_shown(store: Path, tmp_path: Path) -> None:
    """The block as it stands, but for the store (a folder), the model (iris under another name) and the key."""
    (block,) = (block for kind, block in BLOCKS if kind == "console" and "promote" in block)
    next_version(store, "iris", "1.1.0")
    place = (tmp_path / "bucket").as_uri()
    for version in ("1.0.0", "1.1.0"):
        folder = tmp_path / "artifacts/churn" / version
        folder.parent.mkdir(parents=True, exist_ok=True)
        (store / "iris" / version).rename(folder)
        manifest = json.loads((folder / "manifest.json").read_text()) | {"name": "churn"}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    keygen, rest = block.split("\n", 1)
    keygen = f"key=$({keygen.split('#')[0].strip()})"
    first = f"python -m model publish artifacts/churn/1.0.0 {place} --sign release.key"
    script = "\n".join([keygen, first, rest.replace("s3://bucket/prefix", place).replace("ed25519:…", "$key")])
    script = script.replace("python -m", f"{sys.executable} -m")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels = json.loads((tmp_path / "bucket/churn/labels.json").read_text())
    moves = [(line["label"], line["from"], line["to"]) for line in labels["history"]]
    assert moves == [
        ("live", None, "1.0.0"),
        ("canary", None, "1.1.0"),
        ("live", "1.0.0", "1.1.0"),
        ("canary", "1.1.0", None),
        ("live", "1.1.0", "1.0.0"),
    ]
    assert labels["history"][0]["by"]


def test_the_table_of_settings_is_the_settings() -> None:
    assert set(re.findall(r"^\| `(MODEL_\w+)` \|", README, re.MULTILINE)) == set(VARIABLES)
    assert set(re.findall(r"MODEL_[A-Z_]+", README)) <= set(VARIABLES)


def test_the_errors_to_catch_are_the_errors_raised() -> None:
    leaves = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, ModelError) and not kind.__subclasses__()
    } - {kind.__name__ for kind in (PackingRefused, PublishingRefused, LabelsMoved)}
    paragraph = README.split("Errors are raised by name")[1].split(":", 1)[1].split("\n\n")[0]
    assert set(re.findall(r"`([A-Z]\w+)`", paragraph)) == leaves


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_parameter_is_the_templates() -> None:
    template = (ROOT / "template.yaml").read_text()
    for line in re.findall(r"^\| (`[A-Z].*?) \|", README, re.MULTILINE):
        for name in re.findall(r"`([A-Z]\w+)`", line):
            if not name.startswith("MODEL_"):
                assert re.search(rf"^  {name}:", template, re.MULTILINE), name


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w./-]+)\)", README))
def test_every_link_to_a_file_leads_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_count_of_compiled_estimators_is_the_tables() -> None:
    table = (ROOT / "docs" / "coverage.md").read_text()
    served, compiled = re.search(r"(\d+) are served, (\d+) of them compiled", table).groups()  # type: ignore[union-attr]
    assert f"{compiled} of {served} are compiled" in README


def test_the_measured_figures_are_those_of_the_committed_run() -> None:
    run = parse((ROOT / "bench" / "results.json").read_bytes())
    assert run.quota
    ours, tutorial, shipped = (run.find(name, "forest", 1.0) for name in ("onnx", "tutorial", "shipped"))
    assert ours
    assert tutorial
    assert shipped
    warm, theirs = ours.at(1), tutorial.at(1)
    assert warm
    assert theirs
    firsts = f"after {ours.median:,.0f} ms", f"takes {tutorial.median:,.0f} with bytecode and {shipped.median:,.0f} as"
    for said in (*firsts, f"a warm one in {warm.own_p50:.2f} ms instead of {theirs.own_p50:.1f}"):
        assert said in " ".join(README.split())


def test_the_committed_run_meets_every_target() -> None:
    verdicts = targets.verdicts(parse((ROOT / "bench" / "results.json").read_bytes()))
    assert [verdict.name for verdict in verdicts if verdict.met is not True] == []
