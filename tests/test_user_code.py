"""The user's own modules travel with the artifact, under digests, and are what the estimator finds at load."""

import subprocess
import sys
from pathlib import Path

import pytest

from model.artifact import Policy, open_artifact
from model.errors import ArtifactCorrupt, PackingRefused
from model.pack import pack
from model.source import read_code, read_source
from model.store import Store

TRANSFORMER = """
from sklearn.base import BaseEstimator, TransformerMixin
from {package}constants import FACTOR

class Scaled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self
    def transform(self, X):
        return X * FACTOR
"""
FIT = """
import joblib, numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from {module} import Scaled
joblib.dump(make_pipeline(Scaled(), LinearRegression()).fit(np.array([[0.], [1.]]), [0., 1.]), "{file}")
"""


def fitted(folder: Path, module: str, file: str) -> Path:
    """Fit in another process, as a user would: nothing of it may be imported already here."""
    subprocess.run([sys.executable, "-c", FIT.format(module=module, file=file)], cwd=folder, check=True)
    return folder / file


def as_module(folder: Path, factor: int) -> None:
    (folder / "constants.py").write_text(f"FACTOR = {factor}\n")
    (folder / "scaling.py").write_text(TRANSFORMER.format(package=""))


def test_a_folder_of_modules_travels_and_is_found(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    as_module(code, 10)
    file = fitted(code, "scaling", "m.pkl")
    store = Store((tmp_path / "store").as_uri())
    manifest = pack(read_source(file, code), store, "m", "1")
    assert {"code/constants.py", "code/scaling.py"} <= set(manifest.digests)
    assert open_artifact(store, "m", "1", Policy()).score([(0.5,)]).values == pytest.approx([0.5])


def test_a_package_travels_under_its_name(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    as_module(package, 10)
    (package / "__init__.py").write_text("")
    (package / "scaling.py").write_text(TRANSFORMER.format(package="mine."))
    file = fitted(tmp_path, "mine.scaling", "m.pkl")
    store = Store((tmp_path / "store").as_uri())
    manifest = pack(read_source(file, package), store, "m", "1")
    assert {"code/mine/__init__.py", "code/mine/constants.py"} <= set(manifest.digests)


def test_two_versions_with_different_modules_of_one_name_each_keep_their_own(tmp_path: Path) -> None:
    store = Store((tmp_path / "store").as_uri())
    for version, factor in (("1", 10), ("2", 100)):
        code = tmp_path / version
        code.mkdir()
        as_module(code, factor)
        pack(read_source(fitted(code, "scaling", "m.pkl"), code), store, "m", version)
    first, second = (open_artifact(store, "m", version, Policy()) for version in ("1", "2"))
    assert first.score([(0.5,)]).values == pytest.approx([0.5])
    assert second.score([(0.5,)]).values == pytest.approx([0.5])
    factors = [sys.modules[type(s._engine._estimator.steps[0][1]).__module__] for s in (second,)]  # type: ignore[attr-defined]
    assert factors[0].FACTOR == 100
    assert first._engine._estimator.steps[0][1].transform(1) == 10  # type: ignore[attr-defined]


def test_altered_code_is_never_imported(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    as_module(code, 10)
    store = Store((tmp_path / "store").as_uri())
    pack(read_source(fitted(code, "scaling", "m.pkl"), code), store, "m", "1")
    mark = tmp_path / "mark"
    (tmp_path / "store/m/1/code/scaling.py").write_text(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(ArtifactCorrupt, match=r"code/scaling\.py is not the file that was packed"):
        open_artifact(store, "m", "1", Policy())
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model", "rename it .for example my_model.py., fit and save the estimator again"),
        ("handler", "my_handler.py"),
        ("json", "hides an installed one"),
        ("numpy", "hides an installed one"),
    ],
)
def test_a_name_that_is_taken_is_refused_with_what_to_do(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("")
    for path in (tmp_path / f"{name}.py", tmp_path):
        with pytest.raises(PackingRefused, match=message):
            read_code(path)


def test_no_code_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackingRefused, match="holds no Python file"):
        read_code(tmp_path)
    with pytest.raises(PackingRefused, match="there is no file or folder"):
        read_code(tmp_path / "nope")
