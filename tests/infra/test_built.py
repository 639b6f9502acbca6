"""The tree that a plain `sam build` leaves is what Lambda would unzip: whole, small enough, and nothing beside."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from infra.built import functions, main
from infra.sizes import unzipped
from infra.target import LIMIT
from tests.infra.stack import ROOT
from tests.infra.test_layer import BYTES_OF_JOBLIB

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
    print(len(all_estimators()))
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


def test_every_estimator_of_sklearn_imports_from_the_pruned_layer(layer: Path) -> None:
    from sklearn.utils import all_estimators  # noqa: PLC0415

    assert lambda_python(EVERY_ESTIMATOR, layer) == str(len(all_estimators()))


def test_what_serves_imports_from_the_pruned_layer(layer: Path) -> None:
    lambda_python(
        "import fastapi, fastapi.openapi.docs, mangum, msgspec, obstore.store, opentelemetry.trace\n"
        "from aws_lambda_powertools import Logger, Metrics\n"
        "from aws_lambda_powertools.utilities.batch import BatchProcessor\n"
        "from importlib.metadata import entry_points, version\n"
        "assert entry_points(group='opentelemetry_context') and version('scikit-learn')",
        layer,
    )


def test_each_function_fits_with_room_for_models(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = functions(built)
    assert set(found) == {"ApiFunction", "InvokeFunction"}
    for function in found.values():
        assert unzipped(function.code, *function.layers) < BYTES_OF_JOBLIB < LIMIT
        assert [folder.name for folder in function.layers] == ["DependenciesLayer", "ModelLayer"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["infra.built", str(built)])
        main()
    assert "ApiFunction: " in capsys.readouterr().out


def test_the_code_is_the_two_packages_and_nothing_else(built: Path) -> None:
    for function in functions(built).values():
        assert {path.name for path in function.code.iterdir()} == {"handler", "model"}
        for line in (ROOT / "infra" / "build-time-only.txt").read_text().splitlines():
            assert line.startswith("#") or not line or not (function.code / line).exists()


def test_every_module_has_bytecode_that_lambda_takes_unchecked(built: Path) -> None:
    for function in functions(built).values():
        for root, mounted in ((function.code, b"/var/task/"), (function.layers[0], b"/opt/python/")):
            sources = list(root.rglob("*.py"))
            assert sources
            for source in sources:
                compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
                content = compiled.read_bytes()
                assert struct.unpack("<I", content[4:8]) == (1,), compiled
                assert mounted in content or source.stat().st_size == 0, compiled


def test_the_models_are_the_local_store(built: Path) -> None:
    models = built / "ModelLayer" / "model"
    packed = {str(path.relative_to(ROOT / "artifacts")) for path in (ROOT / "artifacts").rglob("manifest.json")}
    assert {str(path.relative_to(models)) for path in models.rglob("manifest.json")} == packed
    assert {path.split("/")[0] for path in packed} >= {"iris", "babies"}


def test_everything_in_it_is_readable_by_another_user(built: Path) -> None:
    for path in built.rglob("*"):
        mode = path.stat().st_mode
        assert mode & 0o004, path
        assert not path.is_dir() or mode & 0o001, path
