"""How far a window of predictions is from training: stability index, Jensen–Shannon, nulls, unseen. Pure.

A window of few rows differs from training by chance alone. Without drift the index times 1 / (1/n + 1/m), for windows
of n rows and m training rows, is close to chi-square with (bins - 1) degrees of freedom (Yurdakul 2018), so what is
called drift is above that distribution's quantile, and above FLOOR, where a difference begins to matter.
tests/test_drift.py shows both rates on resampled training data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, log2
from statistics import NormalDist

from model.reference import NULL, UNSEEN, Histogram, Reference

# By the usual rule an index below 0.1 is no change, above 0.25 a large one.
FLOOR = 0.1
# Windows of fewer rows are reported and marked, and raise no alarm.
SMALL = 200
# The chance that a window of training rows is called drift, all columns together.
FALSE_ALARMS = 0.001
# Bins that hold fewer in the smaller of two samples are taken together (Cochran's rule for chi-square): apart, many
# rare categories would raise the limit and hide what happens to the frequent ones.
_EXPECTED = 5.0
# What each bin is smoothed by, in rows: without it an empty bin would make the index infinite.
_SMOOTHING = 0.5

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Column:
    """One feature, or "prediction": its distance from training, the limit of chance, and what has no bin."""

    name: str
    psi: float
    js: float
    limit: float
    nulls: float
    nulls_in_training: float
    unseen: float
    drifted: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """A window against training; `small` says that it has too few rows to tell, and then nothing has drifted."""

    rows: int
    small: bool
    columns: tuple[Column, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.drifted)

    @property
    def worst(self) -> float:
        """The largest index as a multiple of its limit: above 1 is drift."""
        return max((column.psi / column.limit for column in self.columns), default=0.0)


def measure(reference: Reference, window: Sequence[Counts]) -> Drift:
    """Compare counts by bin, a mapping a column of `reference.columns`, with training."""
    columns = reference.columns
    rows = max((sum(counts.values()) for counts in window), default=0)
    small = rows < SMALL
    chance = FALSE_ALARMS / max(len(columns), 1)
    pairs = zip(columns, window, strict=True)
    return Drift(rows, small, tuple(_column(column, counts, chance, small=small) for column, counts in pairs))


def _column(training: Histogram, counts: Counts, chance: float, *, small: bool) -> Column:
    known, found = aligned(training, counts)
    n, m = sum(found), sum(known)
    index, bins = (0.0, 1) if not n or not m else _pooled_index(known, found)
    limit = max(FLOOR, noise(bins, n, m, chance)) if n and m else FLOOR
    return Column(
        name=training.name,
        psi=round(index, 6),
        js=round(jensen_shannon(known, found), 6) if n and m else 0.0,
        limit=round(limit, 6),
        nulls=counts.get(NULL, 0) / n if n else 0.0,
        nulls_in_training=training.nulls / m if m else 0.0,
        unseen=counts.get(UNSEEN, 0) / n if n else 0.0,
        drifted=index > limit and not small,
    )


def aligned(training: Histogram, counts: Counts) -> tuple[list[int], list[int]]:
    """Return the counts of training and of a window side by side: each bin, then nulls, then unseen."""
    bins = [*range(len(training.counts)), NULL, UNSEEN]
    return [*training.counts, training.nulls, training.unseen], [counts.get(bin_, 0) for bin_ in bins]


def stability(known: Sequence[int], found: Sequence[int]) -> float:
    """Return the population stability index of two samples, counted in the same bins: 0 for equal shares, symmetric.

    Both are smoothed towards what they are together, by half a row a bin: so equal ones stay equal, and a bin that is
    empty in both is none.
    """
    n, m = sum(found), sum(known)
    strength = _SMOOTHING * sum(1 for a, b in zip(known, found, strict=True) if a + b)
    total = 0.0
    for a, b in zip(known, found, strict=True):
        both = strength * (a + b) / (n + m)
        p, q = (a + both) / (m + strength), (b + both) / (n + strength)
        total += (q - p) * log(q / p) if both else 0.0
    return total


def jensen_shannon(known: Sequence[int], found: Sequence[int]) -> float:
    """Return the Jensen–Shannon divergence in bits, without smoothing: 0 for equal shares, 1 for disjoint ones."""
    n, m = sum(found), sum(known)
    total = 0.0
    for a, b in zip(known, found, strict=True):
        p, q = a / m, b / n
        for share in (p, q):
            total += share * log2(2 * share / (p + q)) / 2 if share else 0.0
    return min(max(total, 0.0), 1.0)


def noise(bins: int, n: int, m: int, chance: float) -> float:
    """Return the index that two samples of one distribution, of n and m rows, exceed by this chance only."""
    return chi_square(1 - chance, bins - 1) * (1 / n + 1 / m) if bins > 1 else 0.0


def chi_square(probability: float, freedom: int) -> float:
    """Return a high quantile of chi-square (Wilson and Hilferty 1931): at most 3 % above it, 8 % below 5 degrees."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + NormalDist().inv_cdf(probability) * spread**0.5) ** 3  # type: ignore[no-any-return]


def _pooled_index(known: Sequence[int], found: Sequence[int]) -> tuple[float, int]:
    """Return the index and the number of bins that it rests on, rare ones taken together."""
    n, m = sum(found), sum(known)
    least = _EXPECTED * (n + m) / min(n, m)
    pairs = list(zip(known, found, strict=True))
    kept = [pair for pair in pairs if sum(pair) >= least]
    rare = [pair for pair in pairs if 0 < sum(pair) < least]
    if rare:
        kept.append((sum(a for a, _ in rare), sum(b for _, b in rare)))
    if len(kept) < 2:  # so few rows that every bin is rare: a figure to show, and nothing to decide by
        kept = pairs
    return stability([a for a, _ in kept], [b for _, b in kept]), sum(1 for a, b in kept if a + b)
