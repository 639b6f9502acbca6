"""What may replace a live version: a table of changes and whether they break a caller or a deployment."""

from dataclasses import replace
from typing import Any

import pytest

from model.compatible import breaks
from model.manifest import Feature, Manifest, Output

AGE = Feature("age", "integer", unit="years", nullable=True)
TOWN = Feature("town", "category", categories=("Bern", "Rome"))
CLASSES = Output("prediction", "class", classes=("no", "yes"), labels=("stays", "leaves"))
SHARES = Output("probabilities", "number", classes=("no", "yes"), labels=("stays", "leaves"))
LIVE = Manifest(
    format=1,
    name="churn",
    version="1",
    task="classification",
    estimator="X",
    engine="onnx",
    input="array",
    features=(AGE, TOWN),
    outputs=(CLASSES, SHARES),
    digests={},
    environment={"scikit-learn": "1.9.0"},
    created="",
)
JOBLIB = replace(LIVE, engine="joblib")


def age(**members: Any) -> dict[str, Any]:
    return {"features": (replace(AGE, **members), TOWN)}


def town(**members: Any) -> dict[str, Any]:
    return {"features": (AGE, replace(TOWN, **members))}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"version": "2", "metrics": {"r2": 1}, "estimator": "Y", "created": "later"},
        age(kind="number"),
        age(range=(0.0, 9.0), example=3, description="how old"),
        town(nullable=True),
        town(categories=("Rome", "Oslo", "Bern")),
        town(categories=("Oslo",), open=True),
        town(kind="text", categories=None),
        {"outputs": (CLASSES, SHARES, Output("decision", "number"))},
        {"outputs": (replace(CLASSES, conversions={"g": 28.0}), SHARES)},
        {"environment": {"scikit-learn": "1.8.0"}},
        {"input": "frame"},
    ],
)
def test_what_callers_do_not_notice_is_no_break(change: dict[str, Any]) -> None:
    assert breaks(LIVE, replace(LIVE, **change)) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "regression"}, "the task is regression, it was classification"),
        ({"features": (AGE,)}, "features are gone: town"),
        ({"features": (AGE, TOWN, Feature("new", "number"))}, "features are new, and callers do not send them: new"),
        ({"features": (TOWN, AGE)}, "the order of the features is town, age; it was age, town"),
        (age(kind="boolean"), "feature age is of kind boolean, it was integer"),
        (age(nullable=False), "feature age no longer takes null"),
        (age(unit="months"), "feature age is in months, it was in years"),
        (age(unit=None), "feature age is in no unit, it was in years"),
        (town(categories=("Rome",)), "feature town no longer takes Bern"),
        (town(kind="number", categories=None), "feature town is of kind number, it was category"),
        ({"outputs": (CLASSES,)}, "output probabilities is gone"),
        ({"outputs": (replace(CLASSES, classes=("yes", "no")), SHARES)}, "output prediction has classes"),
        ({"outputs": (replace(CLASSES, labels=("a", "b")), SHARES)}, "output prediction has labels"),
        ({"outputs": (replace(CLASSES, width=2), SHARES)}, "output prediction has width 2, it had 1"),
        ({"outputs": (replace(CLASSES, kind="number"), SHARES)}, "output prediction has kind number, it had class"),
        ({"engine": "joblib"}, "it cannot run on onnx"),
    ],
)
def test_what_callers_would_notice_is_said(change: dict[str, Any], said: str) -> None:
    (found,) = breaks(LIVE, replace(LIVE, **change))
    assert found.startswith(said)


def test_an_open_category_that_closes_a_unit_that_is_no_longer_given_and_kinds_that_only_narrow() -> None:
    opened = replace(LIVE, **town(open=True))
    assert breaks(opened, LIVE) == ("feature town no longer takes unknown categories",)
    grams = replace(LIVE, outputs=(replace(CLASSES, conversions={"g": 28.0}), SHARES))
    assert breaks(grams, LIVE) == ("output prediction is no longer converted in the same way to g",)
    assert breaks(replace(LIVE, **age(kind="number")), LIVE) == ("feature age is of kind integer, it was number",)
    codes = replace(LIVE, **town(categories=(1, 2)))
    assert breaks(codes, replace(LIVE, **town(kind="text", categories=None))) == (
        "feature town is of kind text, it was category",
    )


def test_where_the_estimator_itself_is_live_its_library_must_fit() -> None:
    assert breaks(JOBLIB, LIVE) == ()  # the twin's artifact holds the estimator, too
    assert "scikit-learn 1.8.0" in breaks(JOBLIB, replace(JOBLIB, environment={"scikit-learn": "1.8.0"}))[0]
    assert "data frames" in breaks(JOBLIB, replace(JOBLIB, input="frame"))[0]
