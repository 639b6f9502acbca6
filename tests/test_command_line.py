"""The command line as a user types it, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.conftest import ROOT


def run(*arguments: str | Path, status: int = 0, out: bool = False, **env: str) -> str:
    """Return what was printed: of a failure the error, unless `out` wants the output."""
    command = [sys.executable, "-m", "model", *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "200"} | env
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    return result.stdout if out or (status == 0 and result.stdout) else result.stderr


def test_a_users_own_model_from_file_to_prediction(tmp_path: Path) -> None:
    joblib.dump(LogisticRegression().fit(np.eye(2), ["ham", "spam"]), tmp_path / "mail.pkl")
    store = tmp_path / "store"
    assert "packed mail/1.0.0" in run("pack", tmp_path / "mail.pkl", "--to", store)
    shown = json.loads(run("inspect", "mail", "--json", MODEL_STORE=store.as_uri()))
    assert (shown["engine"], shown["task"]) == ("onnx", "classification")
    assert shown["manifest_digest"].startswith("sha256:")
    (tmp_path / "rows.json").write_text('{"instances": [[1, 0], [0, 1]]}')
    answer = json.loads(run("score", store / "mail/1.0.0", tmp_path / "rows.json", "--json"))
    assert answer["labels"] == ["ham", "spam"]
    (tmp_path / "rows.csv").write_text("x0,x1\n0,1\n")
    assert "spam" in run("score", "mail/1.0.0", tmp_path / "rows.csv", MODEL_STORE=store.as_uri())
    listed = json.loads(run("list", store, "--json"))
    assert [(entry["name"], entry["version"], entry["live"]) for entry in listed] == [("mail", "1.0.0", True)]


def test_people_get_tables(packed: Path) -> None:
    assert "gestation" in run("inspect", packed / "babies/1.0.0")
    listed = run("list", packed)
    assert "iris" in listed
    assert "live" in listed


def test_training_an_example_twice_does_nothing(packed: Path) -> None:
    assert "iris is packed already" in run("train", "iris", "--to", packed)
    assert "there is no example 'titanic'" in run("train", "titanic", "--to", packed, status=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pack", "nowhere.pkl"), "there is no file nowhere.pkl"),
        (("inspect", "nope"), "UnknownModel"),
        (("score", "iris", "rows.json"), "/features/0 expected a number"),
    ],
)
def test_an_error_is_a_sentence_and_a_status(
    packed: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "rows.json").write_text('{"features": ["x", 1, 1, 1]}')
    found = [str(tmp_path / a) if a.endswith(".json") else a for a in arguments]
    error = run(*found, status=1, MODEL_STORE=packed.as_uri())
    assert message in error
    assert "Traceback" not in error


def test_inspect_never_unpickles(packed: Path, tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    from tests.test_artifact import Mark  # noqa: PLC0415

    folder = Path(shutil.copytree(packed / "iris/1.0.0", tmp_path / "iris/1.0.0"))
    (folder / "model.joblib").write_bytes(pickle.dumps(Mark(tmp_path / "mark")))
    assert json.loads(run("inspect", folder, "--json"))["name"] == "iris"
    assert not (tmp_path / "mark").exists()
