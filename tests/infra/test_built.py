"""The trees that `sam build` leaves are what Lambda would unzip: whole, small enough, and nothing beside."""

import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.built import functions, main
from infra.flavour import FLAVOURS
from infra.sizes import unzipped
from infra.target import LIMIT
from model.artifact import Policy, open_artifact, read_manifest
from model.doctor.tree import examine
from model.engine import files_of
from model.manifest import EngineName
from model.store import Store
from tests.infra.stack import ROOT

pytestmark = pytest.mark.sam

EVERY_ESTIMATOR = """
import warnings; warnings.simplefilter("ignore")
from sklearn.utils import all_estimators
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
X, y = make_classification(random_state=0)
for estimator in (RandomForestClassifier(5), HistGradientBoostingClassifier(max_iter=5), LogisticRegression(), SVC()):
    assert make_pipeline(StandardScaler(), estimator).fit(X, y).predict(X).shape == y.shape
try:
    import pandas
except ImportError:
    print(len(all_estimators()), "without pandas")
else:
    X = pandas.DataFrame(X).add_prefix("column ")
    columns = make_pipeline(StandardScaler().set_output(transform="pandas"), LogisticRegression())
    assert columns.fit(X, y).predict(X).shape == y.shape
    print(len(all_estimators()), "with pandas")
"""


def lambda_python(code: str, *path: Path) -> str:
    """Run code by the interpreter alone, no environment: it sees `path` and the standard library."""
    done = subprocess.run(
        [getattr(sys, "_base_executable", sys.executable), "-S", "-B", "-c", code],
        env={"PYTHONPATH": ":".join(map(str, path)), "PATH": "/usr/bin:/bin", "PYDANTIC_DISABLE_PLUGINS": "__all__"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def dependencies(tree: Path) -> Path:
    """The built layer, as it stands on sys.path."""
    return tree / "DependenciesLayer" / "python"


def test_every_estimator_of_sklearn_imports_from_the_pruned_layer(built_for_joblib: Path, pandas_layer: Path) -> None:
    from sklearn.utils import all_estimators  # noqa: PLC0415

    every = len(all_estimators())
    assert lambda_python(EVERY_ESTIMATOR, dependencies(built_for_joblib)) == f"{every} without pandas"
    assert lambda_python(EVERY_ESTIMATOR, pandas_layer / "python") == f"{every} with pandas"


def test_what_serves_imports_from_the_pruned_layer(tree: Path, flavour: EngineName) -> None:
    engine = {"onnx": "onnxruntime", "joblib": "scikit-learn"}[flavour]
    lambda_python(
        "import fastapi, fastapi.openapi.docs, mangum, msgspec, obstore.store, opentelemetry.trace\n"
        "from aws_lambda_powertools import Logger, Metrics\n"
        "from aws_lambda_powertools.utilities.batch import BatchProcessor\n"
        "from importlib.metadata import entry_points, version\n"
        f"assert entry_points(group='opentelemetry_context') and version({engine!r})",
        dependencies(tree),
    )


def test_each_function_fits_with_room_for_models(
    tree: Path, flavour: EngineName, pandas_layer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = functions(tree)
    assert set(found) >= {"ApiFunction", "InvokeFunction", "QueueFunction", "BusFunction", "ObjectFunction"}
    for function in found.values():
        assert function.flavour == flavour
        assert replace(function, layers=(pandas_layer,)).flavour == "pandas"
        bulk = ["BulkLayer"] if function.name in {"ObjectFunction", "MapFunction"} else []
        assert [folder.name for folder in function.layers] == ["DependenciesLayer", "ModelLayer", *bulk]
        assert unzipped(function.code, *function.layers[:2]) < FLAVOURS[flavour].ceiling
        assert unzipped(function.code, *function.layers) < LIMIT
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["infra.built", str(tree)])
        main()
    said = capsys.readouterr().out
    assert "ApiFunction, code and dependencies: " in said
    assert "ApiFunction with models: " in said


def test_the_code_is_the_two_packages_and_nothing_else(tree: Path) -> None:
    for function in functions(tree).values():
        assert {path.name for path in function.code.iterdir()} == {"handler", "model"}
        for line in (ROOT / "infra" / "build-time-only.txt").read_text().splitlines():
            assert line.startswith("#") or not line or not (function.code / line).exists()


def test_every_module_has_bytecode_that_lambda_takes_unchecked(tree: Path) -> None:
    for function in functions(tree).values():
        for root, mounted in ((function.code, b"/var/task/"), (function.layers[0], b"/opt/python/")):
            sources = list(root.rglob("*.py"))
            assert sources
            for source in sources:
                compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
                content = compiled.read_bytes()
                assert struct.unpack("<I", content[4:8]) == (1,), compiled
                assert mounted in content or source.stat().st_size == 0, compiled


def test_the_models_are_the_local_store_as_far_as_the_engine_reads_it(tree: Path, flavour: EngineName) -> None:
    models = tree / "ModelLayer" / "model"
    packed = {str(path.relative_to(ROOT / "artifacts")) for path in (ROOT / "artifacts").rglob("manifest.json")}
    assert {str(path.relative_to(models)) for path in models.rglob("manifest.json")} == packed
    assert {path.split("/")[0] for path in packed} >= {"iris", "babies"}
    store = Store(models.as_uri())
    for path in packed:
        name, version, _ = path.split("/")
        manifest = read_manifest(store, name, version, Policy())
        there = {str(file.relative_to(models / name / version)) for file in (models / name / version).rglob("*.*")}
        assert there == {"manifest.json", "golden.json", "reference.json", *files_of(manifest, flavour)}
        assert open_artifact(store, name, version, Policy(engines=(flavour,)))  # which replays the golden rows


def test_the_doctor_finds_nothing_that_hurts(tree: Path, flavour: EngineName) -> None:
    found = {(finding.severity, finding.rule) for finding in examine(tree)}
    assert found == (set() if flavour == "onnx" else {("hint", "unused-twin")})


def test_everything_in_it_is_readable_by_another_user(tree: Path) -> None:
    for path in tree.rglob("*"):
        mode = path.stat().st_mode
        assert mode & 0o004, path
        assert not path.is_dir() or mode & 0o001, path
