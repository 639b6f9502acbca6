"""Training rows and the estimator's answers to them → the reference that drift is measured against. Build time only.

Only counts and quantiles are kept, no row; an edge is rounded to six digits.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from model.errors import PredictionFailed
from model.manifest import Feature, Output, Scalar
from model.reference import FORMAT, NULL, UNSEEN, Histogram, Reference, binner
from model.rows import Row
from model.scorer import Scorer

BINS = 10
# Of a column's categories so many are counted, the most frequent; the rest is unseen, as it would be in a record.
CATEGORIES = 200


def reference(scorer: Scorer, rows: Sequence[Row]) -> Reference | None:
    """Return the histograms of training rows and of the answers to them; None where there are no rows.

    Without those of the answers where the estimator fails on the sample, or predicts several targets.
    """
    if not rows:
        return None
    columns = list(zip(*rows, strict=True))
    features = [_of(feature, column) for feature, column in zip(scorer.manifest.features, columns, strict=True)]
    return Reference(FORMAT, len(rows), tuple(features), _answers(scorer, rows))


def numbers(name: str, values: Sequence[float | None], kind: Any = "number") -> Histogram:
    """Return a histogram of ten quantile bins, or of one bin a value where ten or fewer different ones are there."""
    seen = np.array([value for value in values if value is not None], dtype=np.float64)
    different = np.unique(seen)
    if len(different) <= BINS:
        cuts = (different[:-1] + different[1:]) / 2
    else:
        cuts = np.quantile(seen, np.arange(1, BINS) / BINS)
    edges = tuple(dict.fromkeys(float(f"{cut:.6g}") for cut in cuts))
    return _counted(Histogram(name, kind, (0,) * (len(edges) + 1), edges=edges), values)


def categories(name: str, known: Sequence[Scalar], values: Sequence[Any]) -> Histogram:
    """Return a histogram with a bin a category."""
    kept = tuple(known)
    if len(kept) > CATEGORIES:
        common = Counter(values).most_common()
        kept = tuple(value for value, _ in common if value is not None)[:CATEGORIES]
    return _counted(Histogram(name, "category", (0,) * len(kept), categories=kept), values)


def _of(feature: Feature, column: Sequence[Any]) -> Histogram:
    if feature.kind == "text":
        lengths = [None if value is None else len(value) for value in column]
        found = numbers(feature.name, lengths)
        return Histogram(found.name, "length", found.counts, found.edges, nulls=found.nulls)
    if feature.kind == "boolean":
        return categories(feature.name, (False, True), column)
    if feature.kind == "category":
        known = feature.categories or tuple(sorted({value for value in column if value is not None}, key=str))
        return categories(feature.name, known, column)
    return numbers(feature.name, column)


def _answers(scorer: Scorer, rows: Sequence[Row]) -> Histogram | None:
    output: Output | None = scorer.manifest.output("prediction")
    if output is None or output.width != 1:
        return None
    try:
        values: list[Any] = scorer.score(rows, ["prediction"]).values or []
    except PredictionFailed:
        return None
    if output.kind == "number":
        return numbers("prediction", values)
    return categories("prediction", output.classes or tuple(sorted(set(values), key=str)), values)


def _counted(empty: Histogram, values: Sequence[Any]) -> Histogram:
    found = Counter(map(binner(empty), values))
    counts = tuple(found[i] for i in range(len(empty.counts)))
    return Histogram(empty.name, empty.kind, counts, empty.edges, empty.categories, found[NULL], found[UNSEEN])
