"""Linear models, and what reduces to one: an affine map and a link."""

from typing import Any

import numpy as np

from model.twin.answers import Answer, affine, by_decision, normalized, two_columns
from model.twin.graph import Data, Graph, NotCompilable


def regressor(graph: Graph, estimator: Any, data: Data) -> Answer:
    """coef_ and intercept_: least squares and its many relatives."""
    values = affine(graph, data.matrix(graph), estimator.coef_, estimator.intercept_)
    return Answer(graph.flat(values) if np.ndim(estimator.coef_) == 1 or len(estimator.coef_) == 1 else values)


def generalized(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Poisson, gamma and Tweedie regression: the inverse of the link over the affine map."""
    values = graph.flat(affine(graph, data.matrix(graph), estimator.coef_, estimator.intercept_))
    link = type(estimator._base_loss.link).__name__
    if link == "LogLink":
        return Answer(graph.add("Exp", values))
    if link == "IdentityLink":
        return Answer(values)
    raise NotCompilable(f"{link} has no exact graph")


def least_squares_projection(graph: Graph, estimator: Any, data: Data) -> Answer:
    """PLS and CCA: centred input times coef_, plus intercept_."""
    centred = graph.add("Sub", data.matrix(graph), graph.constant(estimator._x_mean[None, :]))
    values = affine(graph, centred, estimator.coef_, estimator.intercept_)
    return Answer(graph.flat(values) if getattr(estimator, "_predict_1d", False) else values)


def classifier(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Decision values alone: the label is their sign, or the largest."""
    return by_decision(graph, estimator.classes_, _decision(graph, estimator, data))


def logistic(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Logistic regression: a sigmoid of two classes, a softmax of more."""
    decision = _decision(graph, estimator, data)
    if len(estimator.classes_) == 2:
        return by_decision(graph, estimator.classes_, decision, two_columns(graph, graph.add("Sigmoid", decision)))
    if getattr(estimator, "solver", "") == "liblinear":
        one_versus_rest = normalized(graph, graph.add("Sigmoid", decision))
        return by_decision(graph, estimator.classes_, decision, one_versus_rest)
    return by_decision(graph, estimator.classes_, decision, graph.add("Softmax", decision, axis=1))


def discriminant(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Linear discriminant analysis: a sigmoid of two classes, a softmax of more."""
    decision = _decision(graph, estimator, data)
    if len(estimator.classes_) == 2:
        return by_decision(graph, estimator.classes_, decision, two_columns(graph, graph.add("Sigmoid", decision)))
    return by_decision(graph, estimator.classes_, decision, graph.add("Softmax", decision, axis=1))


def stochastic(graph: Graph, estimator: Any, data: Data) -> Answer:
    """SGDClassifier: probabilities exist for two of its losses only."""
    decision = _decision(graph, estimator, data)
    two = len(estimator.classes_) == 2
    if estimator.loss == "log_loss":
        sigmoid = graph.add("Sigmoid", decision)
        odds = two_columns(graph, sigmoid) if two else normalized(graph, sigmoid)
        return by_decision(graph, estimator.classes_, decision, odds)
    if estimator.loss == "modified_huber":
        raise NotCompilable("the probabilities of modified_huber have no exact graph")
    return by_decision(graph, estimator.classes_, decision)


def _decision(graph: Graph, estimator: Any, data: Data) -> str:
    return affine(graph, data.matrix(graph), estimator.coef_, estimator.intercept_)
