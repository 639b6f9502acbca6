"""Transformers: columns in, columns out, each in scikit-learn's own arithmetic."""

from collections.abc import Callable
from typing import Any

import numpy as np

from model.engine_onnx import NULL
from model.twin.graph import NUMBERS, Data, Graph, NotCompilable, joined

Transformer = Callable[[Graph, Any, Data], Data]


def transform(graph: Graph, step: Any, data: Data) -> Data:
    """Return the columns that a fitted transformer makes of `data`; raises NotCompilable."""
    if step is None or step == "passthrough":
        return data
    if hasattr(step, "get_support") and hasattr(step, "n_features_in_"):
        return data.select(np.flatnonzero(step.get_support()).tolist())
    for kind in type(step).__mro__:
        if kind.__name__ in TRANSFORMERS:
            return TRANSFORMERS[kind.__name__](graph, step, data)
    raise NotCompilable(f"{type(step).__name__} has no exact graph")


def _pipeline(graph: Graph, step: Any, data: Data) -> Data:
    for _, inner in step.steps:
        data = transform(graph, inner, data)
    return data


def _columns(graph: Graph, step: Any, data: Data) -> Data:
    parts = []
    for name, inner, _ in step.transformers_:
        chosen = step._transformer_to_input_indices.get(name, [])
        if (isinstance(inner, str) and inner == "drop") or not len(chosen):
            continue
        part = transform(graph, inner, data.select(list(chosen)))
        weight = (step.transformer_weights or {}).get(name)
        if weight is not None:
            part = _elementwise(graph, part, "Mul", weight)
        parts.append(part)
    return joined(graph, parts)


def _union(graph: Graph, step: Any, data: Data) -> Data:
    if step.transformer_weights:
        raise NotCompilable("a FeatureUnion with weights has no exact graph")
    return joined(graph, [transform(graph, inner, data) for _, inner in step.transformer_list if inner != "drop"])


def _elementwise(graph: Graph, data: Data, operator: str, values: Any) -> Data:
    row = graph.constant(np.reshape(np.broadcast_to(values, (len(data),)), (1, -1)))
    return Data.of_numbers(graph.add(operator, data.matrix(graph), row), len(data))


def _standard(graph: Graph, step: Any, data: Data) -> Data:
    if step.with_mean:
        data = _elementwise(graph, data, "Sub", step.mean_)
    return _elementwise(graph, data, "Div", step.scale_) if step.with_std else data


def _min_max(graph: Graph, step: Any, data: Data) -> Data:
    data = _elementwise(graph, _elementwise(graph, data, "Mul", step.scale_), "Add", step.min_)
    if not step.clip:
        return data
    low, high = (graph.constant(float(bound)) for bound in step.feature_range)
    return Data.of_numbers(graph.add("Clip", data.matrix(graph), low, high), len(data))


def _max_abs(graph: Graph, step: Any, data: Data) -> Data:
    if getattr(step, "clip", False):
        raise NotCompilable("MaxAbsScaler(clip=True) has no exact graph")
    return _elementwise(graph, data, "Div", step.scale_)


def _robust(graph: Graph, step: Any, data: Data) -> Data:
    if step.with_centering:
        data = _elementwise(graph, data, "Sub", step.center_)
    return _elementwise(graph, data, "Div", step.scale_) if step.with_scaling else data


def _normalizer(graph: Graph, step: Any, data: Data) -> Data:
    matrix = data.matrix(graph)
    axes = graph.constant([1], np.int64)
    if step.norm == "l2":
        norm = graph.add("Sqrt", graph.add("ReduceSum", graph.add("Mul", matrix, matrix), axes, keepdims=1))
    else:
        sizes = graph.add("Abs", matrix)
        norm = graph.add("ReduceSum" if step.norm == "l1" else "ReduceMax", sizes, axes, keepdims=1)
    zero = graph.add("Equal", norm, graph.constant(0.0))
    norm = graph.add("Where", zero, graph.constant(1.0), norm)
    return Data.of_numbers(graph.add("Div", matrix, norm), len(data))


def _binarizer(graph: Graph, step: Any, data: Data) -> Data:
    above = graph.add("Greater", data.matrix(graph), graph.constant(float(step.threshold)))
    return Data.of_numbers(graph.doubles(above), len(data))


def _function(_: Graph, step: Any, data: Data) -> Data:
    if step.func is not None:
        raise NotCompilable("a FunctionTransformer runs Python")
    return data


def _imputer(graph: Graph, step: Any, data: Data) -> Data:
    kinds = {kind for kind, _ in data.order}
    if kinds == {NUMBERS}:
        return _impute_numbers(graph, step, data)
    if step.add_indicator or len(kinds) > 1:
        raise NotCompilable("an imputer of strings and numbers together has no exact graph")
    columns = []
    for i, fill in enumerate(step.statistics_):
        _, column = data.column(graph, i)
        absent = graph.add("Equal", column, graph.constant([[NULL]], str))
        columns.append(graph.add("Where", absent, graph.constant([[str(fill)]], str), column))
    whole = columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)
    return Data(tuple(("strings", i) for i in range(len(data))), strings=whole)


def _impute_numbers(graph: Graph, step: Any, data: Data) -> Data:
    placeholder = step.missing_values
    matrix = data.matrix(graph)
    if isinstance(placeholder, float) and np.isnan(placeholder):
        absent = graph.add("IsNaN", matrix)
    elif isinstance(placeholder, int | float):
        absent = graph.add("Equal", matrix, graph.constant(float(placeholder)))
    else:
        raise NotCompilable("an imputer of None has no exact graph")
    fills = np.asarray(step.statistics_, dtype=np.float64)
    kept = np.flatnonzero(~np.isnan(fills)).tolist()
    filled = graph.add("Where", absent, graph.constant(np.nan_to_num(fills)[None, :]), matrix)
    result = Data.of_numbers(filled, len(data)).select(kept)
    if not step.add_indicator:
        return result
    flags = Data.of_numbers(graph.doubles(absent), len(data)).select(step.indicator_.features_.tolist())
    return joined(graph, [result, flags])


def _is_missing(category: Any) -> bool:
    return category is None or (isinstance(category, float) and np.isnan(category))


def _matches(graph: Graph, data: Data, position: int, categories: list[Any]) -> str:
    """Return doubles (n, categories): 1 where the column is that category."""
    kind, column = data.column(graph, position)
    if kind != NUMBERS:
        names = [NULL if _is_missing(category) else category for category in categories]
        if not all(isinstance(name, str) for name in names):
            raise NotCompilable("a column of strings is encoded with categories that are none")
        return graph.doubles(graph.add("Equal", column, graph.constant([names], str)))
    numbers = np.array([[np.nan if category is None else category for category in categories]], dtype=np.float64)
    same = graph.add("Equal", column, graph.constant(numbers))
    if np.isnan(numbers).any():
        both = graph.add("And", graph.add("IsNaN", column), graph.constant(np.isnan(numbers), np.bool_))
        same = graph.add("Or", same, both)
    return graph.doubles(same)


def _one_hot(graph: Graph, step: Any, data: Data) -> Data:
    if getattr(step, "_infrequent_enabled", False):
        raise NotCompilable("a OneHotEncoder with infrequent categories has no exact graph")
    blocks, width = [], 0
    for i, categories in enumerate(step.categories_):
        block = _matches(graph, data, i, categories.tolist())
        kept = list(range(len(categories)))
        if step.drop_idx_ is not None and step.drop_idx_[i] is not None:
            kept.remove(int(step.drop_idx_[i]))
            if not kept:
                continue
            block = graph.columns(block, kept)
        blocks.append(block)
        width += len(kept)
    whole = blocks[0] if len(blocks) == 1 else graph.add("Concat", *blocks, axis=1)
    return Data.of_numbers(whole, width)


def _ordinal(graph: Graph, step: Any, data: Data) -> Data:
    if getattr(step, "_infrequent_enabled", False):
        raise NotCompilable("an OrdinalEncoder with infrequent categories has no exact graph")
    columns = []
    for i, categories in enumerate(step.categories_):
        values = categories.tolist()
        match = _matches(graph, data, i, values)
        codes = [float(k) for k in range(len(values))]
        if values and _is_missing(values[-1]):
            codes[-1] = 0.0 if np.isnan(step.encoded_missing_value) else float(step.encoded_missing_value)
        code = graph.add("MatMul", match, graph.constant(np.reshape(codes, (-1, 1))))
        if values and _is_missing(values[-1]) and np.isnan(step.encoded_missing_value):
            missing = graph.add("Greater", graph.columns(match, [len(values) - 1]), graph.constant(0.0))
            code = graph.add("Where", missing, graph.constant(np.nan), code)
        unknown = graph.constant(np.nan if step.unknown_value is None else float(step.unknown_value))
        known = graph.add("ReduceMax", match, graph.constant([1], np.int64), keepdims=1)
        columns.append(graph.add("Where", graph.add("Greater", known, graph.constant(0.0)), code, unknown))
    whole = columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)
    return Data.of_numbers(whole, len(columns))


def _projection(graph: Graph, step: Any, data: Data) -> Data:
    """PCA and truncated SVD: X @ components.T, less the mean's projection."""
    matrix = graph.add("MatMul", data.matrix(graph), graph.constant(step.components_.T))
    mean = getattr(step, "mean_", None)
    if mean is not None:
        matrix = graph.add("Sub", matrix, graph.constant((mean @ step.components_.T)[None, :]))
    if getattr(step, "whiten", False):
        scale = np.sqrt(step.explained_variance_)
        scale[scale < np.finfo(scale.dtype).eps] = np.finfo(scale.dtype).eps
        matrix = graph.add("Div", matrix, graph.constant(scale[None, :]))
    return Data.of_numbers(matrix, step.components_.shape[0])


def _polynomial(graph: Graph, step: Any, data: Data) -> Data:
    matrix = data.matrix(graph)
    columns = []
    for powers in step.powers_:
        factors = [i for i, power in enumerate(powers) for _ in range(power)]
        if not factors:
            first = graph.columns(matrix, [0])
            columns.append(graph.doubles(graph.add("Equal", first, first)))
            continue
        product = graph.columns(matrix, [factors[0]])
        for factor in factors[1:]:
            product = graph.add("Mul", product, graph.columns(matrix, [factor]))
        columns.append(product)
    return Data.of_numbers(graph.add("Concat", *columns, axis=1), len(columns))


TRANSFORMERS: dict[str, Transformer] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "Normalizer": _normalizer,
    "Binarizer": _binarizer,
    "FunctionTransformer": _function,
    "SimpleImputer": _imputer,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "PCA": _projection,
    "TruncatedSVD": _projection,
    "PolynomialFeatures": _polynomial,
}
