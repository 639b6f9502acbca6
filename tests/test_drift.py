"""The measures' own laws, and what they are for: no alarm on noise, a shift of one sigma within 500 records."""

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from model import histograms
from model.drift import FLOOR, SMALL, Drift, chi_square, jensen_shannon, measure, noise, stability
from model.examples import babies
from model.reference import NULL, UNSEEN, Histogram, Reference, binner, bins_of, parse

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=12)
PAIRS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 1000), min_size=n, max_size=n) for _ in range(2)])
)


@given(COUNTS, st.integers(1, 20))
def test_equal_shares_have_no_distance_however_many_they_are(counts: list[int], times: int) -> None:
    assume(sum(counts))
    more = [times * count for count in counts]
    assert stability(counts, more) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(counts, more) == pytest.approx(0, abs=1e-12)


@given(PAIRS)
def test_both_measures_are_symmetric_finite_and_not_negative(pair: tuple[list[int], list[int]]) -> None:
    known, found = pair
    assume(sum(known))
    assume(sum(found))
    assert stability(known, found) == pytest.approx(stability(found, known))
    assert jensen_shannon(known, found) == pytest.approx(jensen_shannon(found, known))
    assert stability(known, found) >= -1e-12
    assert 0 <= jensen_shannon(known, found) <= 1


def test_disjoint_samples_are_one_bit_apart() -> None:
    assert jensen_shannon([10, 0], [0, 7]) == 1
    assert stability([10, 0], [0, 7]) > 2


def test_without_smoothing_in_the_way_the_index_is_the_textbooks() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4])
    known, found = (p * 1e6).astype(int).tolist(), (q * 1e6).astype(int).tolist()
    assert stability(known, found) == pytest.approx(float(np.sum((q - p) * np.log(q / p))), rel=1e-4)


@pytest.mark.parametrize("freedom", [1, 2, 5, 9, 50, 200])
@pytest.mark.parametrize("chance", [0.01, 0.001, 0.0001])
def test_the_quantile_of_chi_square_errs_by_little_and_towards_fewer_alarms(freedom: int, chance: float) -> None:
    chi2: Any = import_module("scipy.stats").chi2  # by name: it has no types
    exact = float(chi2.ppf(1 - chance, freedom))
    assert 0.99 * exact <= chi_square(1 - chance, freedom) <= (1.03 if freedom >= 5 else 1.08) * exact


def test_the_limit_falls_with_the_rows_and_never_below_nothing() -> None:
    assert noise(10, 200, 1000, 0.001) > noise(10, 2000, 1000, 0.001) > noise(10, 2000, 100_000, 0.001) > 0
    assert noise(1, 10, 10, 0.001) == 0


def reference(counts: tuple[int, ...] = (50, 50)) -> Reference:
    column = Histogram("x", "category", counts, categories=tuple("ab"))
    return Reference(1, sum(counts), (column,))


def test_a_small_window_is_marked_and_raises_no_alarm_whatever_is_in_it() -> None:
    found = measure(reference(), [Counter({1: SMALL - 1})])
    assert (found.small, found.drifted) == (True, ())
    assert found.columns[0].psi > found.columns[0].limit
    found = measure(reference(), [Counter({1: SMALL})])
    assert (found.small, found.drifted) == (False, ("x",))
    assert found.worst > 1


def test_nulls_and_categories_that_training_had_not_are_counted_and_are_drift() -> None:
    found = measure(reference(), [Counter({0: 200, 1: 200, NULL: 40, UNSEEN: 60})])
    (column,) = found.columns
    assert (column.nulls, column.unseen, column.nulls_in_training) == (0.08, 0.12, 0.0)
    assert found.drifted == ("x",)


def test_an_empty_window_is_small_and_no_error() -> None:
    found = measure(reference(), [Counter()])
    assert (found.rows, found.small, found.drifted) == (0, True, ())


def test_rare_categories_are_taken_together_so_that_a_few_of_them_are_no_drift() -> None:
    counts = (500, 480) + (1,) * 20
    column = Histogram("x", "category", counts, categories=tuple(range(22)))
    found = measure(Reference(1, 1000, (column,)), [Counter({0: 245, 1: 240, 3: 3, 4: 2, 5: 4, 6: 2, UNSEEN: 2})])
    assert found.drifted == ()
    assert found.columns[0].limit == FLOOR  # apart, the 23 bins would raise it to 0.14, and blunt it for all others


# --- on the data of babies


@pytest.fixture(scope="module")
def training(packed: Path) -> tuple[Reference, np.ndarray[Any, Any]]:
    """The packed reference, and the bins of each of its training rows, a column a feature."""
    known = parse((packed / "babies/1.0.0/reference.json").read_bytes())
    return known, binned(known, babies.train().sample)


def rows_of(frame: pd.DataFrame) -> list[list[float | None]]:
    return [[None if pd.isna(v) else float(v) for v in row] for row in frame.itertuples(index=False)]


def binned(known: Reference, frame: pd.DataFrame) -> "np.ndarray[Any, Any]":
    binners = [binner(column) for column in known.features]
    return np.array([bins_of(binners, row) for row in rows_of(frame)])


def window(known: Reference, bins: "np.ndarray[Any, Any]") -> Drift:
    features = Reference(known.format, known.rows, known.features)
    return measure(features, [Counter(column.tolist()) for column in bins.T])


@pytest.mark.parametrize("size", [200, 500, 2000])
def test_at_most_one_window_of_resampled_training_rows_in_a_hundred_is_called_drift(
    training: tuple[Reference, "np.ndarray[Any, Any]"], size: int
) -> None:
    known, bins = training
    chance = np.random.default_rng(size)
    alarms = sum(bool(window(known, bins[chance.integers(0, len(bins), size)]).drifted) for _ in range(400))
    assert alarms <= 4


def test_neither_is_the_half_of_the_data_against_the_other_half() -> None:
    """Here the reference is a sample, too, and its own noise must be reckoned with."""
    frame = pd.read_csv(babies.DATA)[list(babies.FEATURES)]
    alarms = 0
    for seed in range(200):
        shuffled = frame.sample(frac=1, random_state=seed)
        one, other = shuffled.iloc[:618], shuffled.iloc[618:]
        columns = [
            histograms.numbers(name, column)
            for name, column in zip(babies.FEATURES, zip(*rows_of(one), strict=True), strict=True)
        ]
        known = Reference(1, len(one), tuple(columns))
        alarms += bool(window(known, binned(known, other)).drifted)
    assert alarms <= 2


def shifted(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Move one feature by its standard deviation; of zeros and ones the share of ones."""
    column = frame[name]
    if set(column.dropna().unique()) <= {0, 1}:
        share = column.mean() + column.std()
        ones = np.random.default_rng(7).random(len(frame)) < share
        return frame.assign(**{name: ones.astype(float)})
    return frame.assign(**{name: column + column.std()})


@pytest.mark.parametrize("name", list(babies.FEATURES))
def test_a_shift_of_one_sigma_in_one_feature_is_found_within_500_records_and_in_no_other(
    training: tuple[Reference, "np.ndarray[Any, Any]"], name: str
) -> None:
    known, _ = training
    frame = babies.train().sample
    bins = binned(known, shifted(frame, name))
    chance = np.random.default_rng(1)
    for _ in range(50):
        found = window(known, bins[chance.integers(0, len(bins), 500)])
        assert found.drifted == (name,)
