"""The rows that try to tell two implementations apart: splits pulled back to the columns of a request."""

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from model.adversary import rows, thresholds
from model.manifest import Feature

X, Y = load_iris(return_X_y=True)
FEATURES = [Feature(name, "number", range=(0.0, 8.0), example=1.0) for name in "abcd"]


def test_the_splits_of_a_tree_are_its_thresholds() -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(X, Y)
    inner = tree.tree_.children_left >= 0
    found = thresholds(tree, 4)
    assert sorted(found) == sorted(set(tree.tree_.feature[inner].tolist()))
    assert sum(map(len, found.values())) == len(
        set(zip(tree.tree_.feature[inner], tree.tree_.threshold[inner], strict=True))
    )


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), SimpleImputer()], ids=lambda s: type(s).__name__)
def test_a_split_behind_a_transformer_is_pulled_back_to_the_request(scaler: object) -> None:
    plain = thresholds(DecisionTreeClassifier(random_state=0).fit(X, Y), 4)
    behind = thresholds(make_pipeline(scaler, DecisionTreeClassifier(random_state=0)).fit(X, Y), 4)
    for column, values in plain.items():
        assert behind[column] == pytest.approx(values, abs=1e-6)


def test_a_split_behind_chosen_columns_finds_its_column() -> None:
    columns = ColumnTransformer([("last", StandardScaler(), [3]), ("first", "passthrough", [0])])
    found = thresholds(make_pipeline(columns, DecisionTreeClassifier(random_state=0)).fit(X, Y), 4)
    assert set(found) <= {0, 3}
    assert 0.0 < float(np.min(found[3])) < 2.6


@pytest.mark.parametrize("estimator", [RandomForestClassifier(5), HistGradientBoostingClassifier(max_iter=5)])
def test_rows_stand_on_the_splits_and_on_their_neighbours(estimator: RandomForestClassifier) -> None:
    fitted = estimator.fit(X, Y)
    splits = thresholds(fitted, 4)
    found = {(i, value) for row in rows(FEATURES, fitted, [], 20_000) for i, value in enumerate(row)}
    column, values = next(iter(splits.items()))
    value = float(values[0])
    assert {(column, value), (column, float(np.nextafter(value, np.inf))), (column, float(np.float32(value)))} <= found


def test_rows_hold_nulls_strangers_and_extremes_and_are_repeatable() -> None:
    features = [
        Feature("n", "number", range=(0.0, 1.0), example=0.5, nullable=True),
        Feature("c", "category", categories=("x", "y"), open=True, example="x"),
        Feature("closed", "category", categories=("p", "q"), example="p"),
    ]
    found = rows(features, object(), [], 1_000)
    assert len(found) == 1_000
    assert {None, 0.0, 1.0, 101.0, -100.0} <= {row[0] for row in found}
    assert {"x", "y", "", "unseen", "X"} <= {row[1] for row in found}
    assert {row[2] for row in found} == {"p", "q"}
    assert found == rows(features, object(), [], 1_000)
