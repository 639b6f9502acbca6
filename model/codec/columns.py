"""Columns → matrix: a chunk checked as a whole, by arrays. Like the decoder of `model.rows` it only refuses. Pure."""

from typing import Any

import numpy as np

from model.manifest import Feature
from model.rows import LIMIT, RowSchema, is_text

TRUTH = {"true": True, "false": False, "1": True, "0": False}


def matrix(schema: RowSchema, columns: list[Any], count: int) -> Any:
    """Return (count, features) as `RowSchema.matrix` would, or None when any value does not fit.

    `columns` are in the order of the features: float64 arrays without NaN, or lists with None where a value is missing.
    """
    if schema.numeric:
        return _numbers(schema, columns, count)
    found = np.empty((count, len(columns)), dtype=object)
    for i, (feature, column) in enumerate(zip(schema.features, columns, strict=True)):
        checked = _checked(feature, column)
        if checked is None:
            return None
        found[:, i] = checked
    return found


def _numbers(schema: RowSchema, columns: list[Any], count: int) -> Any:
    found = np.empty((count, len(columns)))
    nulls = False
    for i, (feature, column) in enumerate(zip(schema.features, columns, strict=True)):
        if isinstance(column, list):
            nulls = True
            column = _checked(feature, column)  # noqa: PLW2901
            if column is None:
                return None
        elif not _whole(feature, column):
            return None
        found[:, i] = column
    # One pass over all: NaN fails the comparison, so a NaN that no null became is refused too.
    within = np.abs(found) <= LIMIT
    return found if within.all() or (nulls and (within | np.isnan(found)).all()) else None


def _whole(feature: Feature, column: Any) -> bool:
    """Tell whether an array without nulls fits what only some kinds demand: whole numbers, or a closed set."""
    if feature.kind == "integer":
        return bool((np.floor(column) == column).all())
    if feature.kind == "category" and feature.categories and not feature.open:
        return bool(np.isin(column, [float(c) for c in feature.categories]).all())
    return True


def _checked(feature: Feature, column: Any) -> Any:
    """Return one column's entries as the matrix holds them, or None."""
    if is_text(feature):
        return _texts(feature, column)
    if not isinstance(column, list):
        return column if _whole(feature, column) and (np.abs(column) <= LIMIT).all() else None
    known = np.array([value for value in column if value is not None], dtype=np.float64)
    fits = _whole(feature, known) and bool((np.abs(known) <= LIMIT).all())
    if not fits or (len(known) < len(column) and not feature.nullable):
        return None
    return [_missing(feature) if value is None else value for value in column]


def _texts(feature: Feature, column: list[str | None]) -> Any:
    distinct = set(column)
    if None in distinct and not feature.nullable:
        return None
    closed = feature.kind == "category" and feature.categories and not feature.open
    if closed and not distinct - {None} <= set(feature.categories or ()):
        return None
    return [_missing(feature) if value is None else value for value in column] if None in distinct else column


def _missing(feature: Feature) -> float | None:
    return None if feature.missing == "none" else float("nan")
