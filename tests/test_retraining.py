"""docs/retraining.md as it stands, on moto's S3; what `train --data` refuses; when `compare` says worse."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from model.__main__ import app
from model.artifact import Policy, open_artifact
from model.compare import compare
from model.errors import PackingRefused
from model.examples import babies
from model.records import encode
from model.registry import Registry
from model.store import Store
from model.train import train
from tests.conftest import BUCKET, ROOT
from tests.test_window import baby, truth

DOCUMENT = (ROOT / "docs/retraining.md").read_text()


def split(folder: Path) -> None:
    births = pd.read_csv(babies.DATA).sample(frac=1, random_state=3)
    births.iloc[:900].to_csv(folder / "NEW.csv", index=False)
    births.iloc[900:].to_csv(folder / "HELD-OUT.csv", index=False)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_loop_runs_as_it_is_documented(packed: Path, tmp_path: Path, s3: Any, s3_endpoint: str) -> None:
    (block,) = re.findall(r"^```console\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    split(tmp_path)
    shutil.copytree(packed, tmp_path / "artifacts")
    s3.create_bucket(Bucket="records")
    lines = b"".join(encode(record) + b"\n" for record in (baby("a", 110.0), truth("a", 118.5)))
    s3.put_object(Bucket="records", Key="records/2026/11/21/11/a", Body=lines)
    keygen = "export MODEL_STORE=s3://models/loop MODEL_PUBLIC_KEYS=$(python -m model keygen release.key)"
    first = "python -m model publish artifacts/babies/1.0.0 $MODEL_STORE --sign release.key"
    export, rest = block.split("\n", 1)
    assert export.startswith("export MODEL_STORE=s3://bucket/prefix MODEL_PUBLIC_KEYS=")
    script = "\n".join([keygen, first, rest]).replace("python -m", f"{sys.executable} -m")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    labels = json.loads(s3.get_object(Bucket=BUCKET, Key="loop/babies/labels.json")["Body"].read())
    assert [(line["label"], line["from"], line["to"]) for line in labels["history"]] == [
        ("live", None, "1.0.0"),
        ("canary", None, "1.0.1"),
        ("live", "1.0.0", "1.0.1"),
        ("canary", "1.0.1", None),
        ("live", "1.0.1", "1.0.0"),
    ]
    assert "MAE 8.5000" in done.stdout
    report = (tmp_path / "report.html").read_text()
    assert "<svg" in report
    assert "babies 1.0.0" in report
    s3.delete_object(Bucket="records", Key="records/2026/11/21/11/a")
    s3.delete_bucket(Bucket="records")


def test_new_data_is_packed_as_a_candidate_and_what_is_live_stays_live(store: Path, tmp_path: Path) -> None:
    split(tmp_path)
    manifest = train("babies", Store(store.as_uri()), data=tmp_path / "NEW.csv")
    assert manifest is not None
    assert (manifest.version, manifest.data["file"], manifest.data["rows"]) == ("1.0.1", "NEW.csv", 900)
    assert "published" not in manifest.metrics
    registry = Registry(Store(store.as_uri()))
    assert registry.live("babies") == "1.0.0"
    reference = registry.reference("babies", "1.0.1")
    assert reference is not None
    assert reference.rows == manifest.data["training_rows"]
    again = train("babies", Store(store.as_uri()), data=tmp_path / "NEW.csv", force=True)
    assert again is not None
    assert Registry(Store(store.as_uri())).live("babies") == again.version == "1.0.2"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda births: births.drop(columns=["age", "bwt"]), "lacks the columns age, bwt"),
        (lambda births: births.assign(smoke="yes"), "no number in smoke"),
        (lambda births: births.head(99), "fewer than 100 complete rows"),
        (lambda births: births.assign(age=np.nan), "fewer than 100 complete rows"),
    ],
)
def test_data_that_does_not_fit_is_refused_by_its_columns(
    store: Path, tmp_path: Path, change: Any, message: str
) -> None:
    change(pd.read_csv(babies.DATA)).to_csv(tmp_path / "NEW.csv", index=False)
    with pytest.raises(PackingRefused, match=message):
        train("babies", Store(store.as_uri()), data=tmp_path / "NEW.csv")
    assert [folder.name for folder in (store / "babies").iterdir()] == ["1.0.0"]


def test_what_is_no_file_no_csv_or_no_data_of_this_example_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00,\n")
    (tmp_path / "empty.csv").write_bytes(b"")
    for name, message in (("none.csv", "no file"), ("bad.csv", "no CSV|lacks"), ("empty.csv", "no CSV")):
        with pytest.raises(PackingRefused, match=message):
            train("babies", Store(store.as_uri()), data=tmp_path / name)
    with pytest.raises(PackingRefused, match="--data is for babies"):
        train("iris", Store(store.as_uri()), data=tmp_path / "none.csv")


# --- compare


@pytest.fixture
def candidates(store: Path, tmp_path: Path) -> Path:
    """babies/1.0.1 from most of the rows, and 1.0.2 from rows whose birth weights are another's."""
    split(tmp_path)
    births = pd.read_csv(tmp_path / "NEW.csv")
    train("babies", Store(store.as_uri()), data=tmp_path / "NEW.csv")
    births.assign(bwt=births["bwt"].sample(frac=1, random_state=0).to_numpy()).to_csv(tmp_path / "BAD.csv", index=False)
    train("babies", Store(store.as_uri()), data=tmp_path / "BAD.csv")
    return store / "babies"


def beside(candidates: Path, version: str, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    sample = str(folder / "HELD-OUT.csv")
    arguments = [str(candidates / version), str(candidates / "1.0.0"), "--sample", sample, "--json", *more]
    result = run("compare", *arguments)
    return result.exit_code, json.loads(result.stdout)


def test_a_candidate_within_the_tolerance_passes_and_a_bad_one_fails(candidates: Path, tmp_path: Path) -> None:
    target = ("--target", "bwt")
    status, good = beside(candidates, "1.0.1", tmp_path, *target, "--tolerance", "0.02")
    assert (status, good["worse"], good["rows"]) == (0, [], 336)
    assert set(good["figures"]) == {"mae", "rmse", "r2"}
    assert good["agreement"] > 0.9
    status, bad = beside(candidates, "1.0.2", tmp_path, *target, "--tolerance", "0.02")
    assert status == 1
    assert set(bad["worse"]) == {"mae", "rmse", "r2"}
    assert bad["figures"]["mae"][0] > bad["figures"]["mae"][1]
    assert beside(candidates, "1.0.2", tmp_path, *target, "--tolerance", "9")[0] == 0
    assert beside(candidates, "1.0.0", tmp_path, *target)[1]["agreement"] == 1


def test_without_a_target_there_is_agreement_and_no_verdict(candidates: Path, tmp_path: Path) -> None:
    status, found = beside(candidates, "1.0.2", tmp_path)
    assert (status, found["figures"]) == (0, {})
    assert found["agreement"] < 0.9


def test_the_table_says_which_figure_is_worse_and_that_a_file_was_trained_on(candidates: Path, tmp_path: Path) -> None:
    arguments = [str(candidates / "1.0.2"), str(candidates / "1.0.0"), "--target", "bwt", "--sample"]
    result = run("compare", *arguments, str(tmp_path / "NEW.csv"))
    assert result.exit_code == 1
    assert "worse" in result.stdout
    assert "comes from this very file" not in result.stderr
    assert "comes from this very file" in run("compare", *arguments, str(tmp_path / "BAD.csv")).stderr


def scorer(packed: Path, name: str) -> Any:
    return open_artifact(Store(packed.as_uri()), name, "1.0.0", Policy())


def test_classes_are_compared_by_value_or_label(packed: Path) -> None:
    iris = scorer(packed, "iris")
    frame = pd.DataFrame([[5.1, 3.5, 1.4, 0.2], [6.1, 2.8, 4.7, 1.2], [6.1, 2.8, None, 1.2]], columns=iris.schema.names)
    by_label = compare(iris, iris, frame.assign(kind=["setosa", "versicolor", "setosa"]), "kind", 0)
    by_value = compare(iris, iris, frame.assign(kind=[0, 1, 0]), "kind", 0)
    assert by_label.figures == by_value.figures
    assert (by_label.rows, by_label.left_out) == (2, 1)  # a null that iris refuses
    assert by_label.figures["accuracy"] == (1.0, 1.0)
    assert set(by_label.figures) == {"accuracy", "log_loss"}


def test_what_cannot_be_compared_is_refused(packed: Path) -> None:
    iris, other = scorer(packed, "iris"), scorer(packed, "babies")
    row = pd.DataFrame([[5.1, 3.5, 1.4, 0.2]], columns=iris.schema.names)
    for sample, target, message in (
        (row.drop(columns=["petal_width"]), None, "lacks the columns petal_width"),
        (row, "kind", "lacks the columns kind"),
        (row.assign(kind="tulip"), "kind", "no class of the model"),
        (row.assign(petal_width=None), None, "no row of the sample"),
    ):
        with pytest.raises(PackingRefused, match=message):
            compare(iris, iris, sample, target, 0)
    both = pd.concat([row, pd.DataFrame([[270, 1, 28, 64, 125, 0]], columns=other.schema.names)], axis=1)
    with pytest.raises(PackingRefused, match="different questions"):
        compare(iris, other, both, None, 0)
