"""A version that is asked beside the one that answers, to be compared. Inline, for Lambda freezes after the answer.

Numbers differ between any two fits, so they disagree when they are further apart than TOLERANCE of the larger one;
classes disagree when they are not equal.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ArtifactIncompatible
from model.routing import bound, point
from model.rows import Row
from model.scorer import Prediction, Scorer

BUDGET = 0.005
TOLERANCE = 0.01
# How much a new measurement counts, and what is forgotten of the cost at each call that was too dear to follow.
_NEW, _FORGOTTEN = 0.2, 0.98


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one call's shadow: no value of a row or of an answer is in it."""

    version: str
    rows: int
    disagreements: int
    seconds: float
    error: str | None = None


class Shadow:
    """A scorer with the share of calls that it sees and what it has cost lately; raises ArtifactIncompatible when the
    rows of `live` do not fit it.
    """

    def __init__(
        self, scorer: Scorer, live: Scorer, weight: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        if _columns(scorer) != _columns(live):
            raise ArtifactIncompatible(f"{scorer.manifest.version} takes other features than the live version")
        self.scorer = scorer
        self._live = live.manifest.version
        self.weight = weight
        self._key = f"shadow/{scorer.manifest.version}"
        self._bound = bound(weight)
        self._clock = clock
        self._call = self._row = 0.0
        example = tuple(feature.example for feature in scorer.manifest.features)
        if None not in example:
            self._measure([example])

    def follow(self, rows: Sequence[Row], answer: Prediction, key: str) -> Compared | None:
        """Score what was answered once more and compare; None where the call is not in the share or too dear.

        Of many rows it takes as many as fit the budget. Whatever it meets, nothing is raised.
        """
        if not rows or answer.values is None or answer.version != self._live or point(self._key, key) >= self._bound:
            return None
        if self._call > BUDGET:
            self._call *= _FORGOTTEN
            self._row = min(self._row, self._call)
            return None
        few = rows[: max(int(BUDGET / self._row), 1)] if self._row else rows[:1]
        before = self._clock()
        try:
            found = self.scorer.score(few, ("prediction",)).values or []
            wrong = sum(map(_differ, answer.values, found))
            error = None
        except Exception as raised:
            wrong, error = 0, type(raised).__name__
        seconds = self._clock() - before
        self._learn(seconds, len(few))
        return Compared(self.scorer.manifest.version, len(few), wrong, seconds, error)

    def _measure(self, rows: Sequence[Row]) -> None:
        """Begin with a figure: the first call of a dear one must not be the one that finds out."""
        self.scorer.score(rows, ("prediction",))
        before = self._clock()
        self.scorer.score(rows, ("prediction",))
        self._call = self._row = self._clock() - before

    def _learn(self, seconds: float, rows: int) -> None:
        """Believe a rise at once and a fall by and by."""
        row = seconds / rows
        self._call = max(seconds, self._call + _NEW * (seconds - self._call))
        self._row = max(row, self._row + _NEW * (row - self._row))


def _columns(scorer: Scorer) -> list[tuple[str, str]]:
    return [(feature.name, feature.kind) for feature in scorer.manifest.features]


def _differ(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return not isinstance(right, list) or len(left) != len(right) or any(map(_differ, left, right))
    if isinstance(left, float) and isinstance(right, int | float):
        return abs(left - right) > TOLERANCE * max(abs(left), abs(right))
    return bool(left != right)
