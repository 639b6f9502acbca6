"""Twins: exact where there is an exact graph, refused where a conversion is wrong, and never a wrong answer."""

import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import RFE, RFECV
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from model import compile as compiling
from model import parity
from model.artifact import Policy, open_artifact
from model.errors import PackingRefused
from model.manifest import Manifest, Output
from model.pack import pack
from model.parity import Limits
from model.scorer import Scorer
from model.source import read_source
from model.store import Store

IRIS = load_iris(as_frame=True)
FLOWERS, SPECIES = IRIS.data.set_axis(list("abcd"), axis=1), IRIS.target
DIABETES = load_diabetes(as_frame=True)
RANDOM = np.random.default_rng(7)
N = 300
PEOPLE = pd.DataFrame(
    {
        "age": RANDOM.normal(40, 10, N),
        "income": RANDOM.normal(5e4, 1e4, N),
        "city": RANDOM.choice(["Bern", "Rome", "Oslo"], N),
        "plan": RANDOM.choice(["a", "b"], N),
    }
)
PEOPLE.loc[::7, "age"] = np.nan
LEAVES = ((PEOPLE["income"] > 5e4) ^ (PEOPLE["city"] == "Bern")).map({True: "leaves", False: "stays"})
FEW = Limits(rows=4_000)


def packed(
    estimator: Any, folder: Path, sample: pd.DataFrame | None = None, **options: Any
) -> tuple[Manifest, dict[str, Scorer]]:
    """Pack, and open the artifact with each engine that it has."""
    joblib.dump(estimator, folder / "m.joblib")
    store = Store((folder / "store").as_uri())
    options = {"limits": FEW} | options
    manifest = pack(read_source(folder / "m.joblib"), store, "m", "1", sample=sample, **options)
    return manifest, {name: open_artifact(store, "m", "1", Policy(engines=(name,))) for name in manifest.engines}


def mixed(final: Any, unknown: str = "ignore") -> Any:
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age", "income"]),
            ("city", OneHotEncoder(handle_unknown=unknown), ["city"]),
            ("plan", OrdinalEncoder(), ["plan"]),
        ]
    )
    return make_pipeline(columns, final)


EXACT = [
    RandomForestClassifier(30, random_state=0),
    ExtraTreesClassifier(30, random_state=0),
    DecisionTreeClassifier(random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10, random_state=0),
    make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=10, random_state=0)),
    make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)),
    BaggingClassifier(n_estimators=5, random_state=0),
    LogisticRegression(max_iter=500),
    RidgeClassifier(),
    VotingClassifier([("a", LogisticRegression(max_iter=500)), ("b", DecisionTreeClassifier(random_state=0))]),
    RFE(LogisticRegression(max_iter=500), n_features_to_select=2),
    RFECV(LogisticRegression(max_iter=500), cv=2),
    GridSearchCV(LogisticRegression(max_iter=500), {"C": [1.0, 2.0]}, cv=2),
    RandomizedSearchCV(LogisticRegression(max_iter=500), {"C": [1.0, 2.0]}, n_iter=2, cv=2),
    IsolationForest(n_estimators=10, random_state=0),
    DummyClassifier(),
]


@pytest.mark.parametrize("estimator", EXACT, ids=lambda e: type(e).__name__)
def test_an_exact_graph_answers_to_the_last_bits(estimator: Any, tmp_path: Path) -> None:
    fitted = estimator.fit(FLOWERS, SPECIES)
    manifest, scorers = packed(fitted, tmp_path, FLOWERS)
    assert (manifest.engine, manifest.parity["converter"], manifest.notes) == ("onnx", "exact", ())
    assert max(manifest.parity["worst"].values()) < 1e-12
    assert manifest.parity["boundary_rows"] == 0
    rows = [tuple(row) for row in FLOWERS.to_numpy().tolist()]
    wanted = [output.name for output in manifest.outputs]
    compiled, served = (scorers[name].score(rows, wanted) for name in ("onnx", "joblib"))
    assert compiled.values == served.values == fitted.predict(FLOWERS).tolist()
    assert compiled.labels == served.labels


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        GradientBoostingRegressor(n_estimators=20),
        RandomForestRegressor(20),
        HistGradientBoostingRegressor(),
    ],
    ids=lambda e: type(e).__name__,
)
def test_a_regression_answers_to_the_last_bits(estimator: Any, tmp_path: Path) -> None:
    manifest, _ = packed(estimator.fit(DIABETES.data, DIABETES.target), tmp_path, DIABETES.data)
    assert (manifest.engine, manifest.parity["converter"]) == ("onnx", "exact")
    assert manifest.parity["worst"]["prediction"] < 1e-12


@pytest.mark.parametrize("unknown", ["ignore", "error"])
@pytest.mark.parametrize(
    "final",
    [
        LogisticRegression(),
        RandomForestClassifier(20, random_state=0),
        GradientBoostingClassifier(n_estimators=10),
        HistGradientBoostingClassifier(max_iter=10),
    ],
    ids=lambda e: type(e).__name__,
)
def test_columns_of_mixed_types_are_compiled_with_nulls_and_strangers(final: Any, unknown: str, tmp_path: Path) -> None:
    estimator = mixed(final, unknown).fit(PEOPLE, LEAVES)
    manifest, scorers = packed(estimator, tmp_path, PEOPLE)
    assert (manifest.engine, manifest.parity["converter"], manifest.input) == ("onnx", "exact", "array")
    assert max(manifest.parity["worst"].values()) < 1e-12
    rows = [(None, 5e4, "Rome", "b"), (30.0, 4e4, "Bern", "a")]
    compiled, served = (scorers[name].score(rows) for name in ("onnx", "joblib"))
    assert compiled.labels == served.labels
    if unknown == "ignore":
        assert (
            scorers["onnx"].score([(30.0, 4e4, "Paris", "a")]).labels
            == scorers["joblib"].score([(30.0, 4e4, "Paris", "a")]).labels
        )


WRONG = {
    "categorical histogram boosting": (
        HistGradientBoostingClassifier(categorical_features=[0], max_iter=20, random_state=0),
        FLOWERS.assign(a=(FLOWERS["a"] * 2 % 7).round()),
        SPECIES,
    ),
    "infrequent categories": (
        make_pipeline(OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=110), LogisticRegression()),
        PEOPLE[["city", "plan"]],
        LEAVES,
    ),
    "sublinear text": (
        make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression()),
        pd.DataFrame({"text": ["good good film", "bad film", "très bon été", "bad bad bad", "good", "été"] * 4}),
        [1, 0, 1, 0, 1, 0] * 4,
    ),
    "neighbours that tie": (KNeighborsClassifier(), FLOWERS, SPECIES),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_conversion_that_is_silently_wrong_is_caught(name: str, tmp_path: Path) -> None:
    estimator, data, target = WRONG[name]
    text = list(data.columns) == ["text"]
    fitted = estimator.fit(data["text"].tolist() if text else data, target)
    manifest, scorers = packed(fitted, tmp_path, data)
    if manifest.engine == "joblib":
        assert manifest.notes
        assert all(note.startswith("not compiled, ") for note in manifest.notes)
    wanted = [output.name for output in manifest.outputs]
    rows = [tuple(v.item() if hasattr(v, "item") else v for v in row) for row in data.itertuples(index=False)]
    truth = fitted.predict(data["text"].tolist() if text else data).tolist()
    for scorer in scorers.values():
        assert scorer.score(rows, wanted).values == truth


def test_the_reason_and_the_figures_of_a_refusal_are_in_the_manifest(tmp_path: Path) -> None:
    manifest, _ = packed(KNeighborsClassifier().fit(FLOWERS, SPECIES), tmp_path, FLOWERS)
    assert manifest.engine == "joblib"
    assert "KNeighborsClassifier has no exact graph" in manifest.notes[0]
    assert "probabilities differs: the estimator gives [" in manifest.notes[-1]
    assert manifest.parity["worst"]["probabilities"] > 0.01


def test_onnx_or_nothing_refuses_what_was_not_proved(tmp_path: Path) -> None:
    with pytest.raises(PackingRefused, match="no twin was proved: exact: "):
        packed(KNeighborsClassifier().fit(FLOWERS, SPECIES), tmp_path, FLOWERS, engine="onnx")


def test_a_conversion_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiling, "CONVERSION_SECONDS", 0.05)
    monkeypatch.setattr(compiling, "build", lambda *_: time.sleep(30))
    monkeypatch.setattr(compiling, "_skl2onnx", lambda *_: time.sleep(30))
    before = time.monotonic()
    manifest, _ = packed(LinearRegression().fit(FLOWERS, SPECIES), tmp_path, FLOWERS)
    assert time.monotonic() - before < 10
    assert manifest.engine == "joblib"
    assert manifest.notes == tuple(
        f"not compiled, {name}: no graph after 0.05 s" for name in ("exact", "skl2onnx double", "skl2onnx single")
    )


def test_a_tie_between_classes_is_broken_as_scikit_learn_does(tmp_path: Path) -> None:
    """Sums in 32 bits flip labels here: 150 rows of the plain conversion of this forest disagree on some."""
    forest = RandomForestClassifier(100, random_state=42).fit(FLOWERS, SPECIES)
    _, scorers = packed(forest, tmp_path, FLOWERS)
    grid = RANDOM.uniform(FLOWERS.min(), FLOWERS.max(), (3_000, 4)).round(1)
    rows = [tuple(row) for row in grid.tolist()]
    odds = forest.predict_proba(pd.DataFrame(grid, columns=FLOWERS.columns))
    ties = (np.sort(odds, axis=1)[:, -1] == np.sort(odds, axis=1)[:, -2]).sum()
    assert ties > 0
    assert scorers["onnx"].score(rows).values == scorers["joblib"].score(rows).values


class Answers:
    """An engine that answers what it is told to."""

    def __init__(self, **outputs: Any) -> None:
        self.outputs = outputs

    def predict(self, matrix: Any, outputs: Any) -> Any:
        return {name: np.asarray(self.outputs[name](matrix)) for name in outputs}


def compared(twin: Any, limits: Limits, splits: dict[int, Any] | None = None) -> parity.Replay:
    from model.manifest import Feature  # noqa: PLC0415
    from model.rows import RowSchema  # noqa: PLC0415

    outputs = (Output("prediction", "class", classes=(0, 1), labels=("a", "b")),)
    rows = [(float(value),) for value in (0.0, 0.5, 1.0)]
    truth = Answers(prediction=lambda m: (m[:, 0] > 0.5).astype(int))
    schema = RowSchema([Feature("x", "number")])
    return parity.replay(truth, Answers(prediction=twin), schema, outputs, rows, splits or {}, limits)


def test_a_row_may_differ_only_at_a_split() -> None:
    def twin(matrix: Any) -> Any:
        return (matrix[:, 0] >= 0.5).astype(int)

    assert "prediction differs" in str(compared(twin, Limits()).failure)
    at_a_split = compared(twin, Limits(), {0: np.array([0.5])})
    assert at_a_split.failure is None
    assert at_a_split.boundary_rows == 1
    assert "prediction differs" in str(compared(twin, Limits(strict=True), {0: np.array([0.5])}).failure)
    assert "prediction differs" in str(compared(twin, Limits(), {0: np.array([0.5001])}).failure)


def test_a_twin_that_raises_or_answers_in_another_shape_is_refused() -> None:
    def raising(matrix: Any) -> Any:
        raise ValueError("an operator is missing")

    assert "the twin raises ValueError" in str(compared(raising, Limits()).failure)
    assert "has shape" in str(compared(lambda m: np.zeros((len(m), 2)), Limits()).failure)


@pytest.mark.parametrize(
    ("output", "expected", "given", "wrong"),
    [
        (Output("probabilities", "number"), [[0.5, 0.5]], [[0.500009, 0.499991]], False),
        (Output("probabilities", "number"), [[0.5, 0.5]], [[0.50002, 0.49998]], True),
        (Output("prediction", "number"), [1e6], [1e6 + 9], False),
        (Output("prediction", "number"), [1e6], [1e6 + 11], True),
        (Output("prediction", "number"), [1.0], [np.nan], True),
        (Output("prediction", "class"), ["a"], ["b"], True),
        (Output("decision", "number"), [5.0], [5.00002], True),
    ],
)
def test_differences_are_held_to_the_tolerance(output: Output, expected: Any, given: Any, wrong: bool) -> None:
    found, _ = parity.differences(output, np.array(expected), np.array(given), 1e-5)
    assert found.tolist() == [wrong]


def test_a_stack_of_trees_is_served_and_right(tmp_path: Path) -> None:
    stack = StackingClassifier([("a", LogisticRegression(max_iter=500)), ("b", DecisionTreeClassifier(random_state=0))])
    fitted = stack.fit(FLOWERS, SPECIES)
    _, scorers = packed(fitted, tmp_path, FLOWERS)
    for scorer in scorers.values():
        rows = [tuple(row) for row in FLOWERS.to_numpy().tolist()]
        assert scorer.score(rows).values == fitted.predict(FLOWERS).tolist()
