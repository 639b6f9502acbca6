"""How good predictions were, once the truth is known: running sums, so that a window needs no memory. Pure."""

from dataclasses import dataclass, field
from math import log
from typing import Any, Protocol

from model.manifest import Manifest, Output, Scalar

BINS = 10
# A probability is recorded to five digits, so nothing smaller can be told from zero.
_LEAST = 1e-5


class Quality(Protocol):
    """What is known of pairs of prediction and truth."""

    rows: int

    def add(self, answer: Scalar, actual: Scalar, probabilities: list[float] | None) -> bool:
        """Take one pair; tell whether the truth is one that the model could have answered."""
        ...

    def figures(self) -> dict[str, float]:
        """Return the figures by name, none without a pair."""
        ...


def quality(manifest: Manifest) -> Quality | None:
    """Return what judges a model's predictions; None for what has no truth to be compared with."""
    output = manifest.output("prediction")
    if (
        output is None
        or output.width != 1
        or manifest.task not in {"classification", "regression", "outlier-detection"}
    ):
        return None
    return Numbers() if output.kind == "number" else Classes(output)


@dataclass(slots=True)
class Numbers:
    """Regression: mean absolute error, root mean square error, R² (not for truths that are all the same)."""

    rows: int = 0
    _absolute: float = 0.0
    _square: float = 0.0
    _mean: float = 0.0
    _spread: float = 0.0

    def add(self, answer: Scalar, actual: Scalar, probabilities: list[float] | None) -> bool:
        """Take one pair of numbers."""
        del probabilities
        if isinstance(actual, str | bool) or isinstance(answer, str | bool):
            return False
        self.rows += 1
        error = answer - actual
        self._absolute += abs(error)
        self._square += error * error
        before = actual - self._mean  # Welford: a sum of squares would lose the digits of a small spread
        self._mean += before / self.rows
        self._spread += before * (actual - self._mean)
        return True

    def figures(self) -> dict[str, float]:
        """Return MAE, RMSE and R2."""
        if not self.rows:
            return {}
        found = {"MAE": self._absolute / self.rows, "RMSE": (self._square / self.rows) ** 0.5}
        return found | {"R2": 1 - self._square / self._spread} if self._spread > 0 else found


@dataclass(slots=True)
class Classes:
    """Classification: accuracy; where probabilities are recorded log loss and expected calibration error.

    The calibration error compares, in ten bins, how sure the model was of its answer with how often it was right.
    """

    output: Output
    rows: int = 0
    _right: int = 0
    _judged: int = 0
    _loss: float = 0.0
    _bins: list[list[float]] = field(default_factory=lambda: [[0.0, 0.0] for _ in range(BINS)])

    def add(self, answer: Scalar, actual: Scalar, probabilities: list[float] | None) -> bool:
        """Take one pair; the truth is a class, or its label."""
        place, given = self._place(actual), self._place(answer)
        if place is None:
            return False
        self.rows += 1
        self._right += place == given
        if probabilities is not None and place < len(probabilities):
            self._judged += 1
            total = sum(probabilities) or 1.0
            self._loss -= log(min(max(probabilities[place] / total, _LEAST), 1.0))
            sure = max(probabilities) / total
            bin_ = self._bins[min(int(sure * BINS), BINS - 1)]
            bin_[0] += sure
            bin_[1] += place == given
        return True

    def figures(self) -> dict[str, float]:
        """Return Accuracy, LogLoss and CalibrationError."""
        if not self.rows:
            return {}
        found = {"Accuracy": self._right / self.rows}
        if self._judged:
            gap = sum(abs(sure - right) for sure, right in self._bins) / self._judged
            found |= {"LogLoss": self._loss / self._judged, "CalibrationError": gap}
        return found

    def _place(self, value: Any) -> int | None:
        classes, labels = self.output.classes or (), self.output.labels or ()
        if value in classes and not (isinstance(value, bool) and not any(isinstance(c, bool) for c in classes)):
            return classes.index(value)
        return labels.index(value) if value in labels else None
