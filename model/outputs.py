"""What a fitted estimator answers: its task and outputs, found by asking it. Build time only."""

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

from model.errors import PackingRefused
from model.manifest import Output, Task


def task(estimator: Any) -> Task:
    """Return what kind of question the estimator answers; raises PackingRefused when it answers none."""
    if not hasattr(estimator, "predict"):
        raise PackingRefused(f"a {type(estimator).__name__} has no predict: only what predicts can be served")
    if is_classifier(estimator):
        return "classification"
    if is_outlier_detector(estimator):
        return "outlier-detection"
    if is_clusterer(estimator):
        return "clustering"
    if is_regressor(estimator):
        return "regression"
    # Mixture models predict the number of a component, and say nothing of their kind.
    return "clustering" if hasattr(estimator, "weights_") or hasattr(estimator, "fit_predict") else "regression"


def outputs(
    estimator: Any,
    data: Any,
    *,
    labels: Sequence[str] | None,
    unit: str | None,
    conversions: Mapping[str, float],
) -> tuple[Output, ...]:
    """Return the outputs that the estimator gives for `data` (a few rows as it was fitted to take them).

    `labels` name the classes, in the order of `classes_`; without them a class is its own name.
    """
    kind = task(estimator)
    answer = _width(estimator.predict(data))
    if kind == "classification":
        return _classification(estimator, data, answer, labels)
    if labels:
        raise PackingRefused("labels name classes, and this estimator has none")
    if kind == "regression":
        return (Output("prediction", "number", unit=unit, conversions=conversions, width=answer),)
    if kind == "outlier-detection":
        found = Output("prediction", "class", classes=(-1, 1), labels=("outlier", "inlier"))
        return (found, Output("decision", "number")) if hasattr(estimator, "decision_function") else (found,)
    return (Output("prediction", "cluster"),)


def _classification(estimator: Any, data: Any, width: int, labels: Sequence[str] | None) -> tuple[Output, ...]:
    if width > 1:
        return (Output("prediction", "class", width=width),)
    classes = tuple(estimator.classes_.tolist())
    names = tuple(labels or map(str, classes))
    if len(names) != len(classes) or len(set(names)) != len(names):
        raise PackingRefused(f"{len(classes)} classes {classes} need as many different labels, got {list(names)}")
    found = [Output("prediction", "class", classes=classes, labels=names)]
    if hasattr(estimator, "predict_proba"):
        found.append(Output("probabilities", "number", labels=names))
    if hasattr(estimator, "decision_function"):
        found.append(Output("decision", "number", labels=names, width=_width(estimator.decision_function(data))))
    return tuple(found)


def _width(array: Any) -> int:
    return int(array.shape[1]) if getattr(array, "ndim", 1) == 2 else 1
