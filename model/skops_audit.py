"""A .skops file, audited before anything in it is constructed. Build time only.

skops names the types in a file without loading one, and trusts those of scikit-learn's that it knows to be plain. Some
that scikit-learn fits all the time are not among them: ALLOWED are those that hold numbers and settings only, found by
fitting every classifier and regressor of scikit-learn 1.9 (no forest could be packed without its trees).
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import joblib
from skops.io import get_untrusted_types, load
from skops.io.exceptions import UntrustedTypesFoundException

from model import user_code
from model.errors import PackingRefused

ALLOWED = frozenset(
    {
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)


def as_joblib(file: Path, modules: Mapping[str, bytes], allow: Sequence[str] = ()) -> bytes:
    """Return the estimator of a .skops file as bytes that joblib reads; raises PackingRefused.

    `allow` are further types, the user's own; their `modules` are imported only when the audit has passed.
    """
    try:
        untrusted = get_untrusted_types(file=file)
    except Exception as error:  # a damaged archive fails in as many ways as zip and JSON do
        raise PackingRefused(f"{file.name} is no skops file: {type(error).__name__}: {error}") from error
    allowed = [name for name in untrusted if name in ALLOWED or name in allow]
    refused = [name for name in untrusted if name not in allowed]
    if refused:
        raise PackingRefused(
            f"{file.name} holds types that nobody vouches for: {', '.join(refused)}. "
            "If you know what they do, name each with --allow"
        )
    user_code.install(modules)
    buffer = io.BytesIO()
    try:
        joblib.dump(load(file, trusted=allowed), buffer)
    except UntrustedTypesFoundException as error:
        raise PackingRefused(f"{file.name} holds types that nobody vouches for: {error}") from error
    return buffer.getvalue()
