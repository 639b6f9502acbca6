"""Rows that try to tell two implementations of one estimator apart. Seeded, build time only.

Tree thresholds and their neighbours in both precisions, pulled back through scalers and imputers to the columns that a
request has; extremes of each range; nulls; categories nobody has seen; text as people write it.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from model import golden
from model.manifest import Feature, Scalar
from model.rows import Row

# Neighbours of a threshold that are replayed: itself, one step of each precision either way, two of the coarser.
STRANGERS = ("", " ", "unseen", "UNSEEN", "Ünseen", "\u4e2d\u6587", "nan", "None", "0", "a b", "a-b_c.d", "été naïve")
MOST_THRESHOLDS = 4_000


def rows(features: Sequence[Feature], estimator: Any, sample: Sequence[Row], limit: int, seed: int = 0) -> list[Row]:
    """Return at most `limit` rows, the hardest first."""
    source = random.Random(seed)  # noqa: S311  -- repeatable, nothing secret
    bases = [*golden.draw(features, seed), *sample[: golden.ROWS]]
    found = [*bases]
    found += _extremes(features, bases[0])
    found += _nulls(features, bases[0])
    found += _strangers(features, bases)
    found += islice(_thresholds(features, thresholds(estimator, len(features)), bases, source), MOST_THRESHOLDS * 7)
    found = found[: limit // 2]
    found += sample[: limit // 4]
    while len(found) < limit:
        found += golden.draw(features, source.getrandbits(32))
    return found[:limit]


def _replaced(row: Row, i: int, value: Scalar | None) -> Row:
    return (*row[:i], value, *row[i + 1 :])


def _is_continuous(feature: Feature) -> bool:
    return feature.kind == "number"


def _extremes(features: Sequence[Feature], base: Row) -> Iterator[Row]:
    for i, feature in enumerate(features):
        if _is_continuous(feature):
            low, high = feature.range or (0.0, 1.0)
            span = (high - low) or 1.0
            for value in (low, high, low - span, high + span, low - 100 * span, high + 100 * span, 0.0, -0.0, 1.0):
                yield _replaced(base, i, value)
        for category in (feature.categories or ())[:50]:
            yield _replaced(base, i, category)


def _nulls(features: Sequence[Feature], base: Row) -> Iterator[Row]:
    nullable = [i for i, feature in enumerate(features) if feature.nullable]
    for i in nullable:
        yield _replaced(base, i, None)
    if nullable:
        yield tuple(None if i in nullable else value for i, value in enumerate(base))


def _strangers(features: Sequence[Feature], bases: Sequence[Row]) -> Iterator[Row]:
    for i, feature in enumerate(features):
        is_open = feature.kind == "text" or (feature.kind == "category" and feature.open)
        if not is_open or any(not isinstance(category, str) for category in feature.categories or ()):
            continue
        known = [str(category) for category in (feature.categories or ())[:10]]
        for word in (*STRANGERS, *(w.upper() for w in known), *(f" {w}" for w in known), " ".join(known)):
            yield _replaced(bases[0], i, word)


def _thresholds(
    features: Sequence[Feature], splits: dict[int, Any], bases: Sequence[Row], source: random.Random
) -> Iterator[Row]:
    pairs = [(i, float(value)) for i, values in splits.items() if _is_continuous(features[i]) for value in values]
    source.shuffle(pairs)
    for i, value in pairs[:MOST_THRESHOLDS]:
        single = np.float32(value)
        near = (
            value,
            float(np.nextafter(value, -np.inf)),
            float(np.nextafter(value, np.inf)),
            float(single),
            float(np.nextafter(single, np.float32(-np.inf))),
            float(np.nextafter(single, np.float32(np.inf))),
        )
        base = source.choice(bases)
        yield from (_replaced(base, i, neighbour) for neighbour in near if abs(neighbour) < 1e38)


def thresholds(estimator: Any, count: int) -> dict[int, Any]:
    """Return the splits of every tree by input column, as values of that column.

    A split behind scalers and imputers is pulled back through their inverses; one behind anything else is left out.
    """
    found: dict[int, list[float]] = {}
    for column, value in _splits(estimator, count):
        found.setdefault(column, []).append(value)
    return {column: np.unique(values) for column, values in found.items()}


def _splits(part: Any, count: int) -> Iterator[tuple[int, float]]:
    if hasattr(part, "steps"):
        yield from _behind([step for _, step in part.steps[:-1]], part.steps[-1][1], count)
    elif hasattr(part, "best_estimator_"):
        yield from _splits(part.best_estimator_, count)
    elif hasattr(part, "tree_"):
        tree = part.tree_
        inner = tree.children_left >= 0
        yield from zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True)
    elif hasattr(part, "_predictors"):
        for stage in part._predictors:
            for predictor in stage:
                nodes = predictor.nodes[(predictor.nodes["is_leaf"] == 0) & (predictor.nodes["is_categorical"] == 0)]
                yield from zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True)
    else:
        for inner in _parts(part):
            yield from _splits(inner, count)


def _parts(part: Any) -> list[Any]:
    """Return the estimators inside one that see the same columns as it does."""
    if hasattr(part, "estimators_features_") or hasattr(part, "support_"):
        return []
    inner = getattr(part, "estimators_", None)
    if inner is None:
        return [part.estimator_] if hasattr(part, "estimator_") else []
    return [e for e in np.ravel(np.asarray(inner, dtype=object)) if hasattr(e, "get_params")]


def _behind(steps: list[Any], last: Any, count: int) -> Iterator[tuple[int, float]]:
    """Yield the splits of `last` as values of the columns before `steps`."""
    try:
        for column, value in _splits(last, count):
            place: tuple[int, float] | None = (column, value)
            for step in reversed(steps):
                place = _pulled_back(step, *place) if place else None
            if place is not None:
                yield place
    except (AttributeError, IndexError, TypeError, ValueError):
        return  # a step this module does not know: its splits are simply not among the rows


def _pulled_back(step: Any, column: int, value: float) -> tuple[int, float] | None:  # noqa: PLR0911  -- a table of cases
    kind = type(step).__name__
    if step is None or step == "passthrough" or kind == "FunctionTransformer":
        return column, value
    if hasattr(step, "steps"):
        place: tuple[int, float] | None = (column, value)
        for _, inner in reversed(step.steps):
            place = _pulled_back(inner, *place) if place else None
        return place
    if hasattr(step, "transformers_"):
        for name, inner, _ in step.transformers_:
            span = step.output_indices_.get(name, slice(0, 0))
            if span.start <= column < span.stop:
                place = _pulled_back(inner, column - span.start, value)
                return None if place is None else (step._transformer_to_input_indices[name][place[0]], place[1])
        return None
    if kind == "SimpleImputer":
        return (column, value) if column < step.n_features_in_ else None
    if hasattr(step, "get_support"):
        return int(np.flatnonzero(step.get_support())[column]), value
    if kind.endswith("Scaler"):
        row = np.zeros((1, step.n_features_in_))
        row[0, column] = value
        return column, float(step.inverse_transform(row)[0, column])
    return None
