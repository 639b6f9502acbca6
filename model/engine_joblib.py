"""The engine that runs the estimator itself: scikit-learn, unpickled by joblib from verified bytes."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from model import user_code
from model.errors import ArtifactCorrupt, ArtifactIncompatible
from model.estimator import answers_by_probability, by_position, force_one_job
from model.manifest import Feature, Manifest, OutputName

FILE = "model.joblib"


class JoblibEngine:
    """A fitted estimator behind the engine protocol; the matrix is (n, features), see `RowSchema.matrix`."""

    def __init__(self, estimator: Any, features: Sequence[Feature], *, frame: bool) -> None:
        force_one_job(estimator)
        if not frame:
            by_position(estimator)
        self._estimator = estimator
        self._features = tuple(features)
        self._text = len(features) == 1 and features[0].kind == "text"
        self._frame = frame
        self._one_pass = answers_by_probability(estimator)

    def predict(self, matrix: Any, outputs: Sequence[OutputName]) -> dict[OutputName, Any]:
        data = self._data(matrix)
        answers: dict[OutputName, Any] = {}
        if "probabilities" in outputs:
            answers["probabilities"] = np.asarray(self._estimator.predict_proba(data))
        if "prediction" in outputs:
            if self._one_pass and "probabilities" in answers:
                answers["prediction"] = self._estimator.classes_.take(answers["probabilities"].argmax(axis=1), axis=0)
            else:
                answers["prediction"] = _flat(self._estimator.predict(data))
        if "decision" in outputs:
            answers["decision"] = _flat(self._estimator.decision_function(data))
        return answers

    def _data(self, matrix: Any) -> Any:
        """Return the matrix as the estimator was fitted on it: a data frame, a list of texts, or as it is."""
        if self._frame:
            return frame(matrix, self._features)
        return matrix[:, 0] if self._text else matrix


def frame(matrix: Any, features: Sequence[Feature]) -> Any:
    """Return the matrix as a data frame with the features' names; numbers as float64, whole ones as they came."""
    import pandas as pd  # noqa: PLC0415  -- 80 MB in the layer and 230 ms, only for an artifact that cannot do without

    columns = {f.name: pd.Series(matrix[:, i]).infer_objects() for i, f in enumerate(features)}
    return pd.DataFrame(columns)


def _flat(values: Any) -> Any:
    """Return (n,) for a single target that some regressors give as (n, 1)."""
    array = np.asarray(values)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def load(manifest: Manifest, files: Mapping[str, bytes], *, version_mismatch: str, threads: int) -> JoblibEngine:
    """Unpickle model.joblib of verified `files`.

    `version_mismatch` is "refuse" or "warn". Raises ArtifactIncompatible when another scikit-learn wrote it (checked
    before a byte is read) and ArtifactCorrupt when it cannot be unpickled.
    """
    del threads  # an estimator's own are one: joblib's pool costs a row 9 ms
    packed = manifest.environment.get("scikit-learn", "?")
    if packed != sklearn.__version__:
        _mismatch(packed, version_mismatch)
    user_code.install(files)
    estimator, version = unpickle(files[FILE])
    if version is not None:
        _mismatch(version, version_mismatch)
    return JoblibEngine(estimator, manifest.features, frame=manifest.input == "frame")


def unpickle(content: bytes) -> tuple[Any, str | None]:
    """Return the object in a joblib or pickle file, and the scikit-learn that wrote it when that is not this one.

    Runs whatever code the pickle holds. Raises ArtifactCorrupt or ArtifactIncompatible.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        try:
            estimator = joblib.load(io.BytesIO(content))
        except (AttributeError, ImportError) as error:
            raise ArtifactIncompatible(f"the pickle needs code that is not here: {error}") from error
        except MemoryError:
            raise
        except Exception as error:
            raise ArtifactCorrupt(f"the file cannot be unpickled: {type(error).__name__}") from error
    versions = [w.message.original_sklearn_version for w in caught if isinstance(w.message, InconsistentVersionWarning)]
    return estimator, versions[0] if versions else None


def _mismatch(written: str, policy: str) -> None:
    message = f"written by scikit-learn {written}, but {sklearn.__version__} is installed"
    if policy != "warn":
        raise ArtifactIncompatible(f"{message}; pack it again, or set MODEL_VERSION_MISMATCH=warn")
    warnings.warn(message, stacklevel=2)
