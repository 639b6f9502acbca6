"""A candidate beside the live version on the same held-out rows: figures, and whether it is worse. Build time only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn import metrics

from model.compatible import breaks
from model.errors import PackingRefused
from model.manifest import Output
from model.rows import Row
from model.scorer import Prediction, Scorer

# In which direction a figure is better. All but R² and accuracy are judged relatively to the live one's.
_HIGHER = {"accuracy", "r2"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures by name, (candidate, live); `worse` are those beyond the tolerance, `agreement` of the predictions.

    `left_out` counts rows that one of the two would refuse. Without a target there are no figures, nothing is worse.
    """

    rows: int
    left_out: int
    figures: Mapping[str, tuple[float, float]]
    worse: tuple[str, ...]
    agreement: float
    breaking: tuple[str, ...]


def compare(
    candidate: Scorer, live: Scorer, sample: "pd.DataFrame", target: str | None, tolerance: float
) -> Comparison:
    """Ask both all rows of the sample; raises PackingRefused when the sample or the two do not fit together."""
    names = set(candidate.schema.names) | set(live.schema.names)
    wanted = [*sorted(names), *([target] if target else [])]
    missing = [name for name in wanted if name not in sample.columns]
    if missing:
        raise PackingRefused(f"the sample lacks the columns {', '.join(missing)}")
    mine, theirs = candidate.manifest.output("prediction"), live.manifest.output("prediction")
    if mine is None or theirs is None or (mine.kind, mine.width) != (theirs.kind, theirs.width) or mine.width != 1:
        raise PackingRefused("the two answer different questions, or several at once: they cannot be compared")
    if target:
        sample = sample[sample[target].notna()]
    rows = [(_row(candidate, line), _row(live, line)) for line in sample.to_dict("records")]
    pairs = [(i, one, other) for i, (one, other) in enumerate(rows) if one is not None and other is not None]
    if not pairs:
        raise PackingRefused("no row of the sample is one that both would answer")
    kept = [i for i, _, _ in pairs]
    answers = [candidate.score([one for _, one, _ in pairs]), live.score([other for _, _, other in pairs])]
    figures: dict[str, tuple[float, float]] = {}
    if target:
        truth = sample[target].iloc[kept].tolist()
        found = [_figures(output, a, truth) for output, a in zip((mine, theirs), answers, strict=True)]
        figures = {name: (found[0][name], found[1][name]) for name in found[0] if name in found[1]}
    worse = tuple(name for name, (new, old) in figures.items() if _is_worse(name, new, old, tolerance))
    agreement = _agreement(mine, *answers)
    breaking = breaks(live.manifest, candidate.manifest)
    return Comparison(len(kept), len(rows) - len(kept), figures, worse, agreement, breaking)


def _row(scorer: Scorer, line: Mapping[Any, Any]) -> Row | None:
    """Return a row as the service would take it; None where it would be refused."""
    values = [line[name] for name in scorer.schema.names]
    plain = [None if pd.isna(value) else value.item() if hasattr(value, "item") else value for value in values]
    try:
        request = scorer.schema.request(scorer.schema.convert({"features": plain}))
    except msgspec.ValidationError:
        return None
    return request.rows[0] if request else None


def _figures(output: Output, answer: Prediction, truth: Sequence[Any]) -> dict[str, float]:
    if output.kind == "number":
        values = np.asarray(answer.values, dtype=np.float64)
        found = {"mae": metrics.mean_absolute_error(truth, values)}
        found["rmse"] = metrics.root_mean_squared_error(truth, values)
        return {name: float(v) for name, v in (found | {"r2": metrics.r2_score(truth, values)}).items()}
    places = [_class(output, value) for value in truth]
    given = [_class(output, value) for value in answer.values or []]
    found = {"accuracy": metrics.accuracy_score(places, given)}
    if answer.probabilities is not None:
        shares = [list(row.values()) for row in answer.probabilities]
        found["log_loss"] = metrics.log_loss(places, shares, labels=range(len(shares[0])))
    return {name: float(value) for name, value in found.items()}


def _class(output: Output, value: Any) -> int:
    """Return the place of a class, which may be given by its label."""
    for known in (output.classes or (), output.labels or ()):
        if value in known:
            return known.index(value)
    raise PackingRefused("the target holds what is no class of the model: name the column of classes or labels")


def _is_worse(name: str, new: float, old: float, tolerance: float) -> bool:
    return new < old - tolerance if name in _HIGHER else new > old * (1 + tolerance)


def _agreement(output: Output, one: Prediction, other: Prediction) -> float:
    """Return the share of equal answers; of numbers the R² of one by the other, at least 0."""
    mine, theirs = one.values or [], other.values or []
    if output.kind != "number":
        return sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine)
    a, b = np.asarray(mine, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    spread = float(np.sum((b - b.mean()) ** 2))
    return max(0.0, 1 - float(np.sum((a - b) ** 2)) / spread) if spread else float(np.array_equal(a, b))
