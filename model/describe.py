"""Fitted estimator (and a sample of its training data) → features. Pure: reads attributes, predicts nothing.

The estimator says what it was fitted to take: names, encoder categories, imputed columns, vectorised text. The sample
adds what it cannot know: ranges, examples, columns of zeros and ones. No value of a single row is kept, only quantiles.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from model.errors import PackingRefused
from model.estimator import nested
from model.manifest import Feature, Scalar

# A column of strings with more values than this is text, unless an encoder lists them.
CATEGORY_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Fact:
    """What one part of the estimator tells about one column, by position."""

    column: int
    changes: Mapping[str, Any]


def features(estimator: Any, sample: "pd.DataFrame | None") -> tuple[Feature, ...]:
    """Return the features in training order; raises PackingRefused when sample and estimator do not fit."""
    names = _names(estimator, sample)
    found = {name: Feature(name, "number") for name in names}
    if sample is not None:
        missing = [name for name in names if name not in sample.columns]
        if missing:
            raise PackingRefused(
                f"the sample lacks the columns {', '.join(missing)}, which the estimator was fitted on"
            )
        found = {name: _from_sample(name, sample[name]) for name in names}
    for fact in _facts(estimator, tuple(range(len(names)))):
        name = names[fact.column]
        found[name] = replace(found[name], **fact.changes)
    return tuple(_completed(feature) for feature in found.values())


def _names(estimator: Any, sample: "pd.DataFrame | None") -> tuple[str, ...]:
    for part in nested(estimator):
        names = getattr(part, "feature_names_in_", None)
        if names is not None and len(names) == getattr(estimator, "n_features_in_", len(names)):
            return tuple(map(str, names))
    if _first(estimator, "vocabulary_") or type(_step(estimator)).__name__ == "HashingVectorizer":
        return ("text",) if sample is None else (str(sample.columns[0]),)
    count = getattr(estimator, "n_features_in_", 1 if hasattr(estimator, "X_thresholds_") else None)
    if count is None:
        raise PackingRefused("the estimator does not tell how many features it takes: is it fitted?")
    if sample is None:
        return tuple(f"x{i}" for i in range(count))
    if len(sample.columns) != count:
        raise PackingRefused(
            f"the estimator takes {count} features, the sample has {len(sample.columns)} columns: "
            "name the target with --target, and leave out what is no feature"
        )
    return tuple(map(str, sample.columns))


def _from_sample(name: str, column: "pd.Series[Any]") -> Feature:
    seen = column.dropna()
    nullable = len(seen) < len(column)
    if pd.api.types.is_bool_dtype(seen) and len(seen):
        return Feature(name, "boolean", nullable=nullable, example=bool(seen.mode().iloc[0]))
    if pd.api.types.is_numeric_dtype(seen) and len(seen):
        span = (_rounded(float(seen.quantile(0.01))), _rounded(float(seen.quantile(0.99))))
        flags = set(seen.unique()) <= {0, 1}
        middle = float(seen.mode().iloc[0]) if flags else _rounded(float(seen.median()))
        # Whole numbers in a column do not make halves wrong, zeros and ones do.
        return Feature(name, "integer" if flags else "number", nullable=nullable, range=span, example=middle)
    known = sorted(map(str, seen.unique()))
    if len(known) > CATEGORY_LIMIT:
        return Feature(name, "text", nullable=nullable, example="text")
    example = str(seen.mode().iloc[0]) if known else None
    return Feature(name, "category", nullable=nullable, categories=tuple(known), open=True, example=example)


def _facts(part: Any, columns: tuple[int, ...]) -> Iterator[Fact]:
    """Walk the parts that see the original columns, and yield what each tells about them."""
    if hasattr(part, "steps"):
        for _, step in part.steps:
            if step is None or step == "passthrough":
                continue
            yield from _facts(step, columns)
            if not _keeps_columns(step):
                return
    elif hasattr(part, "transformers_"):
        for name, transformer, _ in part.transformers_:
            chosen = tuple(part._transformer_to_input_indices.get(name, ()))
            if not isinstance(transformer, str):
                yield from _facts(transformer, tuple(columns[i] for i in chosen))
    elif hasattr(part, "transformer_list"):
        for _, transformer in part.transformer_list:
            yield from _facts(transformer, columns)
    elif hasattr(part, "best_estimator_"):
        yield from _facts(part.best_estimator_, columns)
    else:
        yield from _own_facts(part, columns)


def _own_facts(part: Any, columns: tuple[int, ...]) -> Iterator[Fact]:
    kind = type(part).__name__
    if hasattr(part, "categories_") and len(part.categories_) == len(columns):
        for column, categories in zip(columns, part.categories_, strict=True):
            yield Fact(column, _categories(part, categories))
    elif "Imputer" in kind and hasattr(part, "n_features_in_"):
        placeholder = getattr(part, "missing_values", math.nan)
        if placeholder is None or _is_nan(placeholder):
            missing = "none" if placeholder is None else "nan"
            yield from (Fact(column, {"nullable": True, "missing": missing}) for column in columns)
    elif kind in {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}:
        yield from (Fact(column, {"kind": "text", "categories": None, "open": False}) for column in columns)
    elif hasattr(part, "mean_") and kind == "StandardScaler" and part.mean_ is not None:
        for column, mean in zip(columns, part.mean_, strict=True):
            yield Fact(column, {"example": _rounded(float(mean))})


def _categories(encoder: Any, categories: Any) -> dict[str, Any]:
    """Return what an encoder tells of a column; a null that it lists is not a category but makes it nullable."""
    values = categories.tolist()
    known = tuple(value for value in values if not (value is None or _is_nan(value)))
    changes: dict[str, Any] = {"kind": "category", "categories": known, "range": None}
    changes["open"] = getattr(encoder, "handle_unknown", "ignore") != "error"
    if len(known) < len(values):
        changes |= {"nullable": True, "missing": "none" if None in values else "nan"}
    return changes


def _completed(feature: Feature) -> Feature:
    """Fill in an example where neither estimator nor sample had one of the feature's kind."""
    if feature.kind == "category" and feature.categories and feature.example not in feature.categories:
        return replace(feature, example=feature.categories[0])
    if feature.example is None:
        fallback: dict[str, Scalar] = {"boolean": False, "text": "text", "category": "text"}
        return replace(feature, example=fallback.get(feature.kind, 0.0))
    return feature


def _keeps_columns(step: Any) -> bool:
    """Tell whether a step's output has its input's columns, so that the next step's facts are still about them."""
    name = type(step).__name__
    if "Imputer" in name:
        return not getattr(step, "add_indicator", False)
    return name.endswith("Scaler")


def _step(estimator: Any) -> Any:
    return estimator.steps[0][1] if hasattr(estimator, "steps") else estimator


def _first(estimator: Any, attribute: str) -> bool:
    return hasattr(_step(estimator), attribute)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _rounded(value: float) -> float:
    """Return the value to six significant digits: a quantile needs no more, and a page reads better."""
    return float(f"{value:.6g}")


def override(found: Sequence[Feature], changes: Mapping[str, Mapping[str, Any]]) -> tuple[Feature, ...]:
    """Return the features with what the user knows better (unit, description, range, …), by name."""
    unknown = set(changes) - {feature.name for feature in found}
    if unknown:
        raise PackingRefused(f"no feature is called {', '.join(sorted(unknown))}")
    try:
        return tuple(replace(feature, **changes.get(feature.name, {})) for feature in found)
    except TypeError as error:
        raise PackingRefused(f"a feature has no such property: {error}") from None
