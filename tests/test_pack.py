"""Any estimator a user brings: described from itself and a sample, proved to answer as it did, refused with advice."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from model.artifact import Policy, open_artifact
from model.errors import ArtifactIncompatible, PackingRefused
from model.manifest import Manifest
from model.pack import Card, pack
from model.registry import Registry
from model.scorer import Scorer
from model.source import Source, read_sample, read_source
from model.store import Store

RANDOM = np.random.default_rng(0)
N = 120
PEOPLE = pd.DataFrame(
    {
        "age": RANDOM.normal(40, 10, N),
        "income": RANDOM.normal(5e4, 1e4, N),
        "city": RANDOM.choice(["Bern", "Rome", "Oslo"], N),
        "plan": RANDOM.choice(["a", "b"], N),
        "member": RANDOM.integers(0, 2, N),
    }
)
PEOPLE.loc[::7, "age"] = np.nan
TARGET = RANDOM.choice(["no", "yes"], N)


def mixed(final: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["age", "income"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("plan", OrdinalEncoder(), make_column_selector(pattern="plan")),
        ],
        remainder="passthrough",
    )
    return make_pipeline(columns, final)


def packed(estimator: Any, folder: Path, sample: pd.DataFrame | None = None, **options: Any) -> tuple[Manifest, Scorer]:
    file = folder / "estimator.joblib"
    joblib.dump(estimator, file)
    store = Store((folder / "store").as_uri())
    manifest = pack(read_source(file), store, "m", "1", sample=sample, engine="joblib", **options)
    return manifest, open_artifact(store, "m", "1", Policy())


def test_a_mixed_pipeline_is_served_from_arrays_without_a_data_frame(tmp_path: Path) -> None:
    estimator = mixed(LogisticRegression()).fit(PEOPLE, TARGET)
    truth = estimator.predict_proba(PEOPLE)
    manifest, scorer = packed(estimator, tmp_path, PEOPLE)
    assert manifest.input == "array"
    by_name = {feature.name: feature for feature in manifest.features}
    assert by_name["age"].nullable
    assert by_name["income"].nullable  # imputed beside age
    assert (by_name["city"].kind, by_name["city"].open) == ("category", True)
    assert (by_name["plan"].categories, by_name["plan"].open) == (("a", "b"), False)
    assert by_name["member"].kind == "integer"
    rows = [tuple(None if pd.isna(v) else v for v in row) for row in PEOPLE.itertuples(index=False)]
    answer = scorer.score(rows)
    assert answer.probabilities is not None
    np.testing.assert_allclose([list(p.values()) for p in answer.probabilities], truth, rtol=1e-12)
    assert answer.labels == estimator.predict(PEOPLE).tolist()


def test_without_a_sample_the_estimator_tells_names_and_categories(tmp_path: Path) -> None:
    manifest, _ = packed(mixed(LogisticRegression()).fit(PEOPLE, TARGET), tmp_path)
    kinds = [(f.name, f.kind, f.nullable) for f in manifest.features]
    assert kinds == [
        ("age", "number", True),
        ("income", "number", True),
        ("city", "category", False),
        ("plan", "category", False),
        ("member", "number", False),
    ]
    assert all(feature.range is None for feature in manifest.features)


def test_an_estimator_without_names_gets_numbered_ones(tmp_path: Path) -> None:
    manifest, scorer = packed(LinearRegression().fit(np.eye(3), [1.0, 2.0, 3.0]), tmp_path)
    assert [feature.name for feature in manifest.features] == ["x0", "x1", "x2"]
    assert scorer.score([(1.0, 0.0, 0.0)]).values == pytest.approx([1.0])


def test_a_pipeline_that_needs_a_data_frame_says_so_and_is_served(tmp_path: Path) -> None:
    # np.log1p of a frame works on an array too; a selection by name does not.
    module = tmp_path / "choosing.py"
    module.write_text("def by_name(frame):\n    return frame[['income', 'age']]\n")
    sys.path.insert(0, str(tmp_path))
    try:
        choosing = import_module("choosing")

        columns = PEOPLE[["age", "income"]].fillna(0)
        estimator = make_pipeline(FunctionTransformer(choosing.by_name), LinearRegression()).fit(
            columns, PEOPLE["member"]
        )
        truth = estimator.predict(columns.head(2)).tolist()
        joblib.dump(estimator, tmp_path / "estimator.joblib")
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["choosing"]
    store = Store((tmp_path / "store").as_uri())
    manifest = pack(read_source(tmp_path / "estimator.joblib", module), store, "m", "1")
    assert manifest.input == "frame"
    rows = [tuple(row) for row in columns.head(2).itertuples(index=False)]
    assert open_artifact(store, "m", "1", Policy()).score(rows).values == pytest.approx(truth)


@pytest.mark.parametrize(
    ("estimator", "task", "outputs"),
    [
        (RandomForestClassifier(5, n_jobs=-1), "classification", ["prediction", "probabilities"]),
        (SVC(), "classification", ["prediction", "decision"]),
        (LogisticRegression(), "classification", ["prediction", "probabilities", "decision"]),
        (HistGradientBoostingClassifier(max_iter=5), "classification", ["prediction", "probabilities", "decision"]),
        (
            GridSearchCV(LogisticRegression(), {"C": [1, 2]}),
            "classification",
            ["prediction", "probabilities", "decision"],
        ),
        (KMeans(2, n_init=1), "clustering", ["prediction"]),
        (IsolationForest(n_estimators=5), "outlier-detection", ["prediction", "decision"]),
    ],
)
def test_outputs_are_what_the_estimator_offers(estimator: Any, task: str, outputs: list[str], tmp_path: Path) -> None:
    numbers = PEOPLE[["income", "member"]]
    fitted = estimator.fit(numbers, TARGET)
    truth = fitted.predict(numbers).tolist()
    manifest, scorer = packed(fitted, tmp_path, numbers)
    assert manifest.task == task
    assert [output.name for output in manifest.outputs] == outputs
    answer = scorer.score([tuple(row) for row in numbers.to_numpy().tolist()], outputs)  # type: ignore[arg-type]
    assert answer.values == truth


def test_a_regressor_of_several_targets_answers_a_list_a_row(tmp_path: Path) -> None:
    estimator = RandomForestRegressor(5).fit(np.eye(4), np.eye(4)[:, :2])
    manifest, scorer = packed(estimator, tmp_path)
    assert manifest.outputs[0].width == 2
    values = scorer.score([(1.0, 0.0, 0.0, 0.0)]).values
    assert values is not None
    assert np.shape(values) == (1, 2)


def test_text_is_one_feature(tmp_path: Path) -> None:
    texts = ["good film", "bad film", "good", "bad"]
    manifest, scorer = packed(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0]), tmp_path)
    assert [(feature.name, feature.kind) for feature in manifest.features] == [("text", "text")]
    assert scorer.score([("good good",), ("bad",)]).values == [1, 0]


def test_text_may_be_a_column_among_others(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["good film", "bad film", "good", "bad"], "stars": [5.0, 1, 4, 2]})
    columns = ColumnTransformer([("text", CountVectorizer(), "text"), ("stars", StandardScaler(), ["stars"])])
    manifest, scorer = packed(make_pipeline(columns, LogisticRegression()).fit(frame, [1, 0, 1, 0]), tmp_path, frame)
    assert [(feature.name, feature.kind) for feature in manifest.features] == [("text", "text"), ("stars", "number")]
    assert manifest.input == "array"
    assert scorer.score([("good", 5.0), ("bad", 1.0)]).values == [1, 0]


def test_every_job_count_becomes_one(tmp_path: Path) -> None:
    nested = GridSearchCV(RandomForestClassifier(5, n_jobs=-1), {"max_depth": [2]}, n_jobs=2, cv=2)
    _, scorer = packed(nested.fit(PEOPLE[["income"]], TARGET), tmp_path)
    served = scorer._engine._estimator  # type: ignore[attr-defined]
    assert (served.n_jobs, served.best_estimator_.n_jobs) == (1, 1)


def test_nulls_of_the_sample_that_the_estimator_refuses_are_not_promised(tmp_path: Path) -> None:
    complete = PEOPLE[["age"]].fillna(40)
    manifest, _ = packed(LinearRegression().fit(complete, PEOPLE["member"]), tmp_path, PEOPLE[["age"]])
    assert not manifest.features[0].nullable


def test_a_card_adds_labels_units_and_what_the_user_knows_better(tmp_path: Path) -> None:
    card = Card(labels=["no", "yes"], features={"x0": {"unit": "cm", "description": "length"}})
    manifest, scorer = packed(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path, card=card)
    assert manifest.features[0].unit == "cm"
    assert scorer.score([(1.0,)]).labels == ["yes"]
    assert scorer.score([(1.0,)]).values == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"card": Card(labels=["one"])}, "need as many different labels"),
        ({"card": Card(features={"y": {"unit": "cm"}})}, "no feature is called y"),
        ({"card": Card(features={"x0": {"colour": "red"}})}, "no such property"),
        ({"sample": pd.DataFrame({"a": [1], "b": [2]})}, "takes 1 features, the sample has 2 columns"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(PackingRefused, match=message):
        packed(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path, **options)


def test_versions_are_immutable_and_names_are_names(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0], [1.0]], [0, 1])
    packed(estimator, tmp_path)
    with pytest.raises(PackingRefused, match="m/1 exists, and versions are immutable"):
        packed(estimator, tmp_path)
    source = read_source(tmp_path / "estimator.joblib")
    with pytest.raises(PackingRefused, match="is no name"):
        pack(source, Store(tmp_path.as_uri()), "../m", "1")


def test_a_file_from_another_version_is_refused_or_warned_of_with_both_versions(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0], [1.0]], [0, 1])
    from sklearn import base  # noqa: PLC0415

    file = tmp_path / "old.joblib"
    present = base.__version__
    base.__version__ = "1.2.3"  # what __getstate__ writes into the pickle
    try:
        joblib.dump(estimator, file)
    finally:
        base.__version__ = present
    source = read_source(file)
    store = Store((tmp_path / "store").as_uri())
    with pytest.raises(PackingRefused, match=rf"scikit-learn 1\.2\.3, but {present}"):
        pack(source, store, "m", "1")
    manifest = pack(source, store, "m", "1", version_mismatch="warn", engine="joblib")
    assert manifest.environment["scikit-learn"] == "1.2.3"
    with pytest.raises(ArtifactIncompatible, match=rf"1\.2\.3, but {present}"):
        open_artifact(store, "m", "1", Policy())
    with pytest.warns(UserWarning, match=rf"1\.2\.3, but {present}"):
        assert open_artifact(store, "m", "1", Policy(version_mismatch="warn")).score([(1.0,)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.txt", b"", "none of .joblib"),
        ("m.pkl", b"", "cannot be unpickled"),
        ("m.pkl", b"\x80\x04K\x01.", "holds a int, not a scikit-learn estimator"),
        ("m.pkl", b"cnowhere_to_be_found\nThing\n.", "--code FILE"),
        ("m.pkl", b"c__main__\nThing\n.", "script or notebook"),
    ],
)
def test_a_file_that_is_no_estimator_is_refused_with_advice(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PackingRefused, match=message):
        read_source(tmp_path / name)


def test_what_is_not_fitted_or_does_not_predict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackingRefused, match="is it fitted"):
        packed(LinearRegression(), tmp_path)
    with pytest.raises(PackingRefused, match="has no predict"):
        packed(StandardScaler().fit([[1.0]]), tmp_path)


def test_skops_is_read_when_it_holds_only_trusted_types(tmp_path: Path) -> None:
    from skops.io import dump  # noqa: PLC0415

    dump(LinearRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    manifest = pack(read_source(tmp_path / "m.skops"), Store((tmp_path / "store").as_uri()), "m", "1")
    assert manifest.estimator == "LinearRegression"
    dump(make_pipeline(FunctionTransformer(test_text_is_one_feature), LinearRegression()), tmp_path / "bad.skops")
    with pytest.raises(PackingRefused, match="types that nobody vouches for"):
        read_source(tmp_path / "bad.skops")


def test_the_sample_loses_its_target(tmp_path: Path) -> None:
    PEOPLE.to_csv(tmp_path / "s.csv", index=False)
    sample, data = read_sample(tmp_path / "s.csv", "member")
    assert "member" not in sample.columns
    assert data["rows"] == N
    with pytest.raises(PackingRefused, match="no column 'nope'"):
        read_sample(tmp_path / "s.csv", "nope")


def test_the_file_is_kept_to_the_byte(tmp_path: Path) -> None:
    packed(LinearRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path)
    assert (tmp_path / "store/m/1/model.joblib").read_bytes() == (tmp_path / "estimator.joblib").read_bytes()
    assert Source((tmp_path / "estimator.joblib").read_bytes()).estimator() is not None


def test_a_forest_in_a_skops_file_passes_the_audit(tmp_path: Path) -> None:
    from skops.io import dump  # noqa: PLC0415

    from model.skops_audit import ALLOWED  # noqa: PLC0415

    rows = np.random.default_rng(0).normal(size=(40, 3))
    forest = RandomForestClassifier(5, random_state=0).fit(rows, rows[:, 0] > 0)
    dump(forest, tmp_path / "forest.skops")
    found = read_source(tmp_path / "forest.skops").estimator()
    assert found.predict(rows).tolist() == forest.predict(rows).tolist()
    # Nothing on the list calls anything: no functions, no transformers of them, no other library's types.
    assert all(name.startswith("sklearn.") and "Function" not in name for name in ALLOWED)


class LeavesAMark(LinearRegression):  # type: ignore[misc]
    """An estimator that runs code when its state is set, as skops does when it loads one."""

    def __init__(self, mark: str = "") -> None:
        super().__init__()
        self.mark = mark

    def __setstate__(self, state: dict[str, Any]) -> None:
        Path(state["mark"]).touch()
        self.__dict__.update(state)


def test_a_skops_file_that_would_leave_a_mark_leaves_none(tmp_path: Path) -> None:
    from skops.io import dump  # noqa: PLC0415

    mark = tmp_path / "mark"
    dump(LeavesAMark(str(mark)).fit([[0.0], [1.0]], [0, 1]), tmp_path / "evil.skops")
    with pytest.raises(PackingRefused, match=r"nobody vouches for: .*LeavesAMark"):
        read_source(tmp_path / "evil.skops")
    assert not mark.exists()
    assert read_source(tmp_path / "evil.skops", allow=["tests.test_pack.LeavesAMark"])
    assert mark.exists()  # so the first attempt could have left it
    (tmp_path / "broken.skops").write_bytes(b"no archive")
    with pytest.raises(PackingRefused, match=r"broken\.skops is no skops file"):
        read_source(tmp_path / "broken.skops")


def test_a_type_of_ones_own_is_allowed_by_its_name(tmp_path: Path) -> None:
    from skops.io import dump, get_untrusted_types  # noqa: PLC0415

    dump(make_pipeline(FunctionTransformer(test_text_is_one_feature), LinearRegression()), tmp_path / "own.skops")
    (name,) = get_untrusted_types(file=tmp_path / "own.skops")
    with pytest.raises(PackingRefused, match="nobody vouches for") as caught:
        read_source(tmp_path / "own.skops")
    assert name in str(caught.value)
    assert (
        read_source(tmp_path / "own.skops", allow=[name]).estimator().steps[0][1].func.__name__ == name.split(".")[-1]
    )


def test_packing_into_a_bucket_publishes(s3: Any, s3_endpoint: str) -> None:
    store = Store("s3://models/packed", s3_endpoint)
    source = Source(_dumped(LinearRegression().fit([[0.0], [1.0]], [0, 1])))
    for version in ("1", "2"):
        pack(source, store, "m", version)
    assert Registry(Store("s3://models/packed", s3_endpoint)).live("m") == "1"
    keys = [e["Key"] for e in s3.list_objects_v2(Bucket="models", Prefix="packed/m/2/")["Contents"]]
    assert {"packed/m/2/publisher.json", "packed/m/2/manifest.json"} < set(keys)
    with pytest.raises(PackingRefused, match="m/2 exists"):
        pack(source, store, "m", "2")


def _dumped(estimator: Any) -> bytes:
    import io  # noqa: PLC0415

    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()
