"""The histograms that are packed: where a value falls, what is kept of each kind of column, and what is refused."""

import io
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from model import histograms
from model.errors import ArtifactCorrupt, ArtifactIncompatible
from model.manifest import digest
from model.pack import SAMPLE_ROWS, pack
from model.reference import NULL, UNSEEN, Histogram, Reference, binner, dump, parse, words
from model.registry import Registry
from model.source import Source
from model.store import Store

VALUES = st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9), st.integers(0, 3).map(float)), max_size=60)


@given(VALUES)
def test_every_value_has_one_bin_and_every_bin_its_count(values: list[float | None]) -> None:
    found = histograms.numbers("x", values)
    assert found.total == len(values)
    assert found.nulls == sum(value is None for value in values)
    assert list(found.edges) == sorted(set(found.edges))
    assert len(found.counts) == len(found.edges) + 1 == len(words(found))
    find = binner(found)
    assert all(0 <= find(value) <= len(found.edges) for value in values if value is not None)
    assert find(None) == NULL


def test_quantiles_share_the_rows_evenly_and_few_values_have_a_bin_each() -> None:
    many = histograms.numbers("x", np.random.default_rng(0).normal(size=5000).tolist())
    assert len(many.counts) == 10
    assert max(many.counts) <= 1.1 * min(many.counts)
    few = histograms.numbers("x", [0.0] * 70 + [1.0] * 20 + [5.0] * 10)
    assert (few.counts, few.edges) == ((70, 20, 10), (0.5, 3.0))


def test_a_category_beyond_those_of_training_is_unseen() -> None:
    found = histograms.categories("x", ("a", "b"), ["a", "b", "b", None])
    find = binner(found)
    assert [find(value) for value in ("a", "b", "c", None)] == [0, 1, UNSEEN, NULL]
    assert (found.counts, found.nulls) == ((1, 2), 1)
    assert len(histograms.categories("x", range(300), [*range(300), 7]).counts) == histograms.CATEGORIES


def test_what_is_written_is_what_is_read(packed: Path) -> None:
    for name in ("iris", "babies"):
        content = (packed / name / "1.0.0/reference.json").read_bytes()
        assert dump(parse(content)) == content


def test_the_reference_is_under_the_manifests_digests_and_read_by_them(store: Path) -> None:
    file = store / "babies/1.0.0/reference.json"
    manifest = json.loads((store / "babies/1.0.0/manifest.json").read_text())
    assert manifest["digests"]["reference.json"] == digest(file.read_bytes())
    found = Registry(Store(store.as_uri())).reference("babies", "1.0.0")
    assert found is not None
    assert [column.name for column in found.columns] == [f["name"] for f in manifest["features"]] + ["prediction"]
    file.write_bytes(file.read_bytes().replace(b'"rows":1001', b'"rows":9999'))
    with pytest.raises(ArtifactCorrupt, match="sha256 differs"):
        Registry(Store(store.as_uri())).reference("babies", "1.0.0")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{}", ArtifactCorrupt),
        (b"[1", ArtifactCorrupt),
        (b'{"format": 2, "rows": "later"}', ArtifactIncompatible),
        (dump(Reference(1, 1, (Histogram("x", "number", (1,), (1.0,)),))), ArtifactCorrupt),
        (dump(Reference(1, 1, (Histogram("x", "number", (1, 0, 0), (2.0, 1.0)),))), ArtifactCorrupt),
        (dump(Reference(1, 1, (Histogram("x", "category", (1,), categories=("a", "b")),))), ArtifactCorrupt),
    ],
)
def test_what_is_no_reference_is_refused(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"reference\.json"):
        parse(content)


def _packed(folder: Path, estimator: Any, sample: pd.DataFrame | None) -> Reference | None:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    pack(Source(file.getvalue()), Store(folder.as_uri()), "m", "1", sample=sample, engine="joblib")
    return Registry(Store(folder.as_uri())).reference("m", "1")


def test_columns_of_every_kind_are_counted_without_their_values(tmp_path: Path) -> None:
    frame = pd.DataFrame({"town": ["Bern", "Rome", "Oslo", "Rome"] * 5, "yes": [True, False] * 10, "n": range(20)})
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["town"]), remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression()).fit(frame, ["x", "y"] * 10)
    found = _packed(tmp_path, estimator, frame)
    assert found is not None
    town, yes, n, prediction = found.columns
    assert (town.kind, town.categories, town.counts) == ("category", ("Bern", "Oslo", "Rome"), (5, 5, 10))
    assert (yes.categories, yes.counts) == ((False, True), (10, 10))
    assert (n.kind, sum(n.counts)) == ("number", 20)
    assert prediction.categories == ("x", "y")


def test_without_a_sample_there_is_no_reference(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    assert _packed(tmp_path, estimator, None) is None
    assert not (tmp_path / "m/1/reference.json").exists()


def test_of_a_long_sample_rows_are_drawn_from_all_of_it(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(3.0 * SAMPLE_ROWS)})
    found = _packed(tmp_path, LinearRegression().fit(frame, frame["x"]), frame)
    assert found is not None
    assert found.rows == SAMPLE_ROWS
    assert found.features[0].edges[-1] > 2.5 * SAMPLE_ROWS


def test_several_targets_have_no_histogram(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
    found = _packed(tmp_path, LinearRegression().fit(frame, [[0, 1], [1, 2], [2, 3]]), frame)
    assert found is not None
    assert found.prediction is None
