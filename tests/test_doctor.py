"""What will hurt in an artifact, and the command that says it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from model.doctor import artifact
from model.doctor.finding import Finding
from model.manifest import Manifest, dump, parse
from model.pack import pack
from model.source import read_source
from model.store import Store
from tests.conftest import ROOT
from tests.test_architecture import loaded
from tests.test_command_line import run

LOCKED = artifact.locked(ROOT / "requirements.txt")
IRIS = "iris/1.0.0"


def examine(store: Path, versions: Mapping[str, str] = LOCKED, **options: Any) -> list[Finding]:
    return artifact.examine(Store(store.as_uri()), "iris", "1.0.0", versions, **options)


def rules(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.rule) for finding in found]


def rewrite(store: Path, **changes: Any) -> Manifest:
    file = store / IRIS / "manifest.json"
    manifest = replace(parse(file.read_bytes()), **changes)
    file.write_bytes(dump(manifest))
    return manifest


def test_nothing_is_found_in_what_was_just_packed(packed: Path) -> None:
    assert examine(packed) == []
    assert LOCKED["scikit-learn"].startswith("1.")


def test_a_newer_format_is_told_from_no_manifest(store: Path) -> None:
    file = store / IRIS / "manifest.json"
    file.write_text('{"format": 99}')
    (finding,) = examine(store)
    assert (finding.severity, finding.rule, finding.where) == ("error", "newer-format", IRIS)
    assert "has format 99, this code reads 1" in finding.what
    file.write_text("{}")
    assert rules(examine(store)) == [("error", "no-manifest")]


def test_a_file_that_is_not_the_one_packed_is_named(store: Path) -> None:
    (store / IRIS / "model.onnx").write_bytes(b"other")
    (store / IRIS / "golden.json").unlink()
    found = examine(store)
    assert rules(found) == [("error", "missing-file"), ("error", "digest")]
    assert "golden.json is not there" in found[0].what
    assert "model.onnx is not the file that was packed" in found[1].what
    assert all(finding.cure for finding in found)


def test_a_file_that_will_be_read_needs_a_digest(store: Path) -> None:
    manifest = parse((store / IRIS / "manifest.json").read_bytes())
    rewrite(store, digests={file: text for file, text in manifest.digests.items() if file != "model.onnx"})
    (finding,) = examine(store)
    assert (finding.rule, finding.what) == ("no-digest", "the manifest has no digest of model.onnx")


def test_files_of_the_engine_that_is_not_deployed_may_be_absent(store: Path) -> None:
    (store / IRIS / "model.joblib").unlink()
    assert rules(examine(store)) == [("error", "missing-file")]
    assert examine(store, engine="onnx") == []


def test_the_joblib_engine_is_told_with_its_reason(store: Path) -> None:
    rewrite(store, engine="joblib", notes=("not compiled, exact: no graph for Ridge", "not compiled, single: differs"))
    (finding,) = examine(store)
    assert (finding.severity, finding.rule) == ("warning", "joblib-engine")
    assert finding.what.endswith("not compiled, exact: no graph for Ridge; not compiled, single: differs")
    rewrite(store, engine="joblib", notes=())
    assert examine(store)[0].what.endswith("it was packed with --engine joblib")
    rewrite(store, engine="joblib", notes=(), input="frame")
    assert rules(examine(store)) == [("warning", "joblib-engine"), ("warning", "needs-pandas")]


def test_a_twin_that_is_not_used_is_a_hint(store: Path) -> None:
    assert rules(examine(store, engine="joblib")) == [("hint", "unused-twin")]


@pytest.mark.parametrize(
    ("engine", "package", "expected"),
    [
        ("joblib", "scikit-learn", [("warning", "joblib-engine"), ("error", "version-drift")]),
        ("joblib", "numpy", [("warning", "joblib-engine"), ("warning", "version-drift")]),
        ("onnx", "scikit-learn", [("hint", "version-drift")]),
        ("onnx", "numpy", []),
    ],
)
def test_versions_that_drifted(store: Path, engine: str, package: str, expected: list[tuple[str, str]]) -> None:
    rewrite(store, engine=engine)
    found = examine(store, {**LOCKED, package: "0.1"})
    assert rules(found) == expected
    assert all("0.1" in finding.what for finding in found if finding.rule == "version-drift")


def test_a_model_that_no_layer_can_hold_belongs_to_s3(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "LIMIT", 1000)
    (finding,) = examine(store)
    assert (finding.severity, finding.rule) == ("error", "too-large")
    assert finding.cure.startswith("Serve it from S3")


def test_jobs_are_recorded_when_packing_and_need_no_unpickling(tmp_path: Path) -> None:
    forest = make_pipeline(RandomForestClassifier(3, n_jobs=-1, random_state=0)).fit(np.eye(2), [0, 1])
    joblib.dump(forest, tmp_path / "forest.joblib")
    store = tmp_path / "store"
    manifest = pack(read_source(tmp_path / "forest.joblib"), Store(store.as_uri()), "forest", "1.0.0")
    assert manifest.n_jobs == {"RandomForestClassifier": -1}
    (finding,) = artifact.examine(Store(store.as_uri()), "forest", "1.0.0", LOCKED)
    assert (finding.severity, finding.rule) == ("hint", "n-jobs")
    assert "RandomForestClassifier was fitted with n_jobs=-1" in finding.what


def test_the_command_fails_on_an_error_and_prints_the_cure(store: Path) -> None:
    assert "nothing found that will hurt" in run("doctor", store / IRIS)
    rewrite(store, notes=("not compiled, exact: [/row 3] differs",), engine="joblib")
    said = run("doctor", store / IRIS)  # a warning is no failure
    assert said.startswith(f"warning {IRIS} no compiled twin")
    assert "[/row 3] differs" in said
    assert "→ Pack it with --engine auto" in said
    (store / IRIS / "model.joblib").write_bytes(b"other")
    said = run("doctor", "iris", MODEL_STORE=store.as_uri(), status=1, out=True)
    assert said.startswith(f"error {IRIS} model.joblib is not the file that was packed")


def test_machines_get_json(store: Path) -> None:
    assert json.loads(run("doctor", store / IRIS, "--json")) == {"path": str(store / IRIS), "findings": []}
    (store / IRIS / "golden.json").unlink()
    (finding,) = json.loads(run("doctor", store / IRIS, "--json", status=1, out=True))["findings"]
    assert finding.keys() == {"severity", "rule", "where", "what", "cure"}
    assert finding["rule"] == "missing-file"


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert "UnknownModel" in run("doctor", "nowhere", status=1, MODEL_STORE=tmp_path.as_uri())


def test_it_looks_without_an_engine(packed: Path) -> None:
    call = f"import sys; sys.argv = ['model', 'doctor', {str(packed / IRIS)!r}]\n"
    code = call + "import model.__main__\ntry: model.__main__.main()\nexcept SystemExit: pass"
    assert not loaded(code) & {"sklearn", "joblib", "numpy", "pandas", "onnxruntime"}
