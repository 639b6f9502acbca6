"""What an estimator's graph ends in: scores become labels, probabilities and decision values."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.twin.graph import Graph, NotCompilable


@dataclass(frozen=True, slots=True)
class Answer:
    """Tensors by output: prediction (n,) or (n, targets), probabilities (n, classes), decision (n,) or (n, classes)."""

    prediction: str
    probabilities: str | None = None
    decision: str | None = None

    def outputs(self) -> dict[str, str]:
        named = {"prediction": self.prediction, "probabilities": self.probabilities, "decision": self.decision}
        return {name: tensor for name, tensor in named.items() if tensor is not None}


def labels(graph: Graph, classes: Any, index: str) -> str:
    """Return the classes at int64 positions (n,): strings, integers or doubles as the estimator's own are."""
    array = np.asarray(classes)
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(c, str) for c in array)):
        table = graph.constant([str(c) for c in array], str)
    elif array.dtype.kind in "iub":
        table = graph.constant(array.astype(np.int64), np.int64)
    elif array.dtype.kind == "f":
        table = graph.constant(array)
    else:
        raise NotCompilable("classes of mixed types have no exact graph")
    return graph.add("Gather", table, index)


def by_probability(graph: Graph, classes: Any, probabilities: str, decision: str | None = None) -> Answer:
    """The label is the first of the largest probabilities, as numpy's argmax has it."""
    index = graph.add("ArgMax", probabilities, axis=1, keepdims=0)
    return Answer(labels(graph, classes, index), probabilities, decision)


def by_decision(graph: Graph, classes: Any, decision: str, probabilities: str | None = None) -> Answer:
    """Two classes: the second when the decision value (n, 1) is above 0; more: the first of the largest."""
    if len(classes) == 2:
        flat = graph.flat(decision)
        above = graph.add("Greater", flat, graph.constant(0.0))
        return Answer(labels(graph, classes, integers(graph, above)), probabilities, flat)
    index = graph.add("ArgMax", decision, axis=1, keepdims=0)
    return Answer(labels(graph, classes, index), probabilities, decision)


def integers(graph: Graph, flags: str) -> str:
    return graph.add("Cast", flags, to=7)  # TensorProto.INT64


def two_columns(graph: Graph, second: str) -> str:
    """Return (n, 2) from the probability (n, 1) of the second class."""
    return graph.add("Concat", graph.add("Sub", graph.constant(1.0), second), second, axis=1)


def normalized(graph: Graph, matrix: str) -> str:
    """Return rows divided by their sums."""
    return graph.add("Div", matrix, graph.add("ReduceSum", matrix, graph.constant([1], np.int64), keepdims=1))


def affine(graph: Graph, matrix: str, coefficients: Any, intercept: Any) -> str:
    """Return X @ coefficients.T + intercept, (n, outputs)."""
    weights = np.atleast_2d(np.asarray(coefficients, dtype=np.float64))
    product = graph.add("MatMul", matrix, graph.constant(weights.T))
    return graph.add("Add", product, graph.constant(np.atleast_1d(np.asarray(intercept, dtype=np.float64))[None, :]))
