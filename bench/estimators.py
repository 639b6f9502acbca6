"""Every estimator of scikit-learn that predicts, made with its defaults, fitted on the first data that fits it."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

# What cannot be made without another estimator.
_AROUND_A_CLASSIFIER = {
    "ClassifierChain",
    "FixedThresholdClassifier",
    "MultiOutputClassifier",
    "OneVsOneClassifier",
    "OneVsRestClassifier",
    "OutputCodeClassifier",
    "RFE",
    "RFECV",
    "SelfTrainingClassifier",
    "TunedThresholdClassifierCV",
}
_AROUND_A_REGRESSOR = {"MultiOutputRegressor", "RegressorChain"}
_SEARCHES = {"GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"}


@dataclass(frozen=True, slots=True)
class Case:
    """A fitted estimator and its data, or why it could not be fitted."""

    name: str
    estimator: Any = None
    data: "pd.DataFrame | None" = None
    reason: str | None = None


def cases(names: set[str] | None = None) -> Iterator[Case]:
    """Yield each estimator with `predict`, in alphabetical order; only those called `names` where given."""
    for name, kind in all_estimators():
        if hasattr(kind, "predict") and (names is None or name in names):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield _fitted(name, _made(name, kind))


def _made(name: str, kind: Any) -> Any:  # noqa: PLR0911  -- a table of cases
    if name in _AROUND_A_CLASSIFIER:
        return kind(LogisticRegression())
    if name in _AROUND_A_REGRESSOR:
        return kind(Ridge())
    if name in _SEARCHES:
        return kind(LogisticRegression(), {"C": [0.1, 1.0]})
    if name == "RandomizedSearchCV":
        return kind(LogisticRegression(), {"C": [0.1, 1.0]}, n_iter=2)
    if name in {"StackingClassifier", "VotingClassifier"}:
        return kind([("a", LogisticRegression()), ("b", DecisionTreeClassifier())])
    if name in {"StackingRegressor", "VotingRegressor"}:
        return kind([("a", Ridge()), ("b", LinearRegression())])
    return Pipeline([("scale", StandardScaler()), ("ask", LogisticRegression())]) if name == "Pipeline" else kind()


def _fitted(name: str, estimator: Any) -> Case:
    reason = ""
    for data, target in _data_sets(is_classifier(estimator)):
        try:
            estimator.fit(data, target)
            estimator.predict(data)
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            continue
        columns = [f"x{i}" for i in range(data.shape[1])]
        return Case(name, estimator, pd.DataFrame(data, columns=columns))
    return Case(name, reason=reason)


def _data_sets(classes: bool) -> Iterator[tuple[Any, Any]]:
    flowers, species = load_iris(return_X_y=True)
    patients, progress = load_diabetes(return_X_y=True)
    if classes:
        yield flowers, species
        yield np.abs(flowers), np.eye(3)[species].astype(int)
        yield flowers, (species > 0).astype(int)
    else:
        yield patients, progress
        yield patients, np.c_[progress, progress * 2]
        yield flowers[:, :1], species.astype(float)
        yield np.abs(flowers), species + 1.0
        yield flowers, species
