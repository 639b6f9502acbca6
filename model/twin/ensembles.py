"""Forests, boosting, and what only combines the answers of others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.ensemble._iforest import _average_path_length

from model.twin.answers import Answer, by_decision, by_probability, integers, labels, normalized, two_columns
from model.twin.graph import Data, Graph, NotCompilable
from model.twin.trees import Forest, Tree, averaged, total

Ask = Callable[[Graph, Any, Data], Answer]


def tree_classifier(graph: Graph, estimator: Any, data: Data) -> Answer:
    if estimator.n_outputs_ > 1:
        raise NotCompilable("a classifier of several targets has no exact graph")
    trees = getattr(estimator, "estimators_", [estimator])
    return by_probability(graph, estimator.classes_, averaged(graph, trees, data.matrix(graph)))


def tree_regressor(graph: Graph, estimator: Any, data: Data) -> Answer:
    values = averaged(graph, getattr(estimator, "estimators_", [estimator]), data.matrix(graph))
    return Answer(values if estimator.n_outputs_ > 1 else graph.flat(values))


def isolation(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Isolation forest: 2 to the minus of the mean path length over its expectation, against the offset."""
    forest = Forest()
    chosen = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    for i, (inner, features) in enumerate(chosen):
        lengths = estimator._decision_path_lengths[i] + estimator._average_path_length_per_tree[i] - 1.0
        tree = Tree.of(inner.tree_)
        own = np.where(tree.left >= 0, np.asarray(features)[tree.feature], 0)
        forest.add(replace(tree, feature=own, values=np.reshape(lengths, (-1, 1))), 0, 0)
    depths = graph.flat(total(graph, graph.through_single(data.matrix(graph)), forest, 1))
    expected = len(estimator.estimators_) * float(_average_path_length([estimator._max_samples])[0])
    share = graph.add("Neg", graph.add("Div", depths, graph.constant(expected)))
    score = graph.add("Neg", graph.add("Pow", graph.constant(2.0), share))
    decision = graph.add("Sub", score, graph.constant(float(estimator.offset_)))
    inside = graph.add("GreaterOrEqual", decision, graph.constant(0.0))
    return Answer(labels(graph, np.array([-1, 1]), integers(graph, inside)), decision=decision)


def boosted(graph: Graph, estimator: Any, data: Data) -> str:
    """Return the raw scores (n, trees a stage) of classic gradient boosting: its prior plus the scaled trees."""
    matrix = data.matrix(graph)
    width = estimator.estimators_.shape[1]
    forest = Forest()
    for stage in estimator.estimators_:
        for k, tree in enumerate(stage):
            forest.add(Tree.of(tree.tree_, scale=estimator.learning_rate), 0, k)
    if type(estimator.init_).__name__ not in {"DummyClassifier", "DummyRegressor", "str"}:
        raise NotCompilable("gradient boosting over an initial estimator has no exact graph")
    # The prior is the same for every row, so one row of zeros tells it.
    prior = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))
    scores = total(graph, graph.through_single(matrix), forest, width)
    return graph.add("Add", scores, graph.constant(np.asarray(prior, dtype=np.float64)))


def boosted_classifier(graph: Graph, estimator: Any, data: Data) -> Answer:
    if estimator.loss != "log_loss":
        raise NotCompilable(f"gradient boosting with {estimator.loss} loss has no exact graph")
    return _scored(graph, estimator.classes_, boosted(graph, estimator, data))


def boosted_regressor(graph: Graph, estimator: Any, data: Data) -> Answer:
    return Answer(graph.flat(boosted(graph, estimator, data)))


def histogram_scores(graph: Graph, estimator: Any, data: Data) -> str:
    """Return the raw scores (n, trees an iteration) of histogram boosting, which compares in 64 bits."""
    if getattr(estimator, "_preprocessor", None) is not None:
        raise NotCompilable("histogram gradient boosting with categorical features has no exact graph")
    forest = Forest()
    width = estimator.n_trees_per_iteration_
    for stage in estimator._predictors:
        for k, predictor in enumerate(stage):
            forest.add(Tree.of_histogram(predictor), 0, k)
    scores = total(graph, data.matrix(graph), forest, width)
    return graph.add("Add", scores, graph.constant(np.reshape(estimator._baseline_prediction, (1, -1))))


def histogram_classifier(graph: Graph, estimator: Any, data: Data) -> Answer:
    return _scored(graph, estimator.classes_, histogram_scores(graph, estimator, data))


def histogram_regressor(graph: Graph, estimator: Any, data: Data) -> Answer:
    scores = graph.flat(histogram_scores(graph, estimator, data))
    link = type(estimator._loss.link).__name__
    if link not in {"IdentityLink", "LogLink"}:
        raise NotCompilable(f"{link} has no exact graph")
    return Answer(graph.add("Exp", scores) if link == "LogLink" else scores)


def _scored(graph: Graph, classes: Any, scores: str) -> Answer:
    """Raw scores of boosting: the sigmoid of one column, the softmax of several."""
    if len(classes) == 2:
        odds = two_columns(graph, graph.add("Sigmoid", scores))
        index = graph.add("ArgMax", odds, axis=1, keepdims=0)
        return Answer(labels(graph, classes, index), odds, graph.flat(scores))
    return by_decision(graph, classes, scores, graph.add("Softmax", scores, axis=1))


def voting_classifier(ask: Ask) -> Ask:
    def answer(graph: Graph, estimator: Any, data: Data) -> Answer:
        weights = _weights(estimator)
        if estimator.voting == "soft":
            odds = _mean(graph, [_need(ask(graph, e, data).probabilities) for e in estimator.estimators_], weights)
            return by_probability(graph, estimator.classes_, odds)
        votes = [_votes(graph, ask(graph, e, data).prediction, e.classes_) for e in estimator.estimators_]
        index = graph.add("ArgMax", _sum(graph, votes, weights), axis=1, keepdims=0)
        return Answer(labels(graph, estimator.classes_, index))

    return answer


def voting_regressor(ask: Ask) -> Ask:
    def answer(graph: Graph, estimator: Any, data: Data) -> Answer:
        parts = [ask(graph, e, data).prediction for e in estimator.estimators_]
        return Answer(_mean(graph, parts, _weights(estimator)))

    return answer


def bagging(ask: Ask) -> Ask:
    """Bagging of classifiers with probabilities, or of regressors, each on its own choice of features."""

    def answer(graph: Graph, estimator: Any, data: Data) -> Answer:
        chosen = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
        parts = [ask(graph, inner, data.select(list(features))) for inner, features in chosen]
        ones = [1.0] * len(parts)
        if not hasattr(estimator, "classes_"):
            return Answer(_mean(graph, [part.prediction for part in parts], ones))
        if any(len(inner.classes_) != len(estimator.classes_) for inner in estimator.estimators_):
            raise NotCompilable("bagging whose parts know fewer classes has no exact graph")
        odds = _mean(graph, [_need(part.probabilities) for part in parts], ones)
        return by_probability(graph, estimator.classes_, odds)

    return answer


def one_versus_rest(ask: Ask) -> Ask:
    """Several binary estimators: their probabilities normalised, the label by decision value or probability."""

    def answer(graph: Graph, estimator: Any, data: Data) -> Answer:
        if getattr(estimator, "multilabel_", False) or any(
            type(e).__name__ == "_ConstantPredictor" for e in estimator.estimators_
        ):
            raise NotCompilable("one versus rest of many labels has no exact graph")
        parts = [ask(graph, inner, data) for inner in estimator.estimators_]
        if len(estimator.classes_) == 2:
            return Answer(
                labels(graph, estimator.classes_, _as_index(graph, parts[0].prediction, estimator.estimators_[0])),
                parts[0].probabilities,
                parts[0].decision,
            )
        decisions = [part.decision for part in parts]
        odds = [part.probabilities for part in parts]
        joined = None
        if all(odds):
            joined = normalized(graph, _beside(graph, [graph.columns(_need(p), [1]) for p in odds]))
        if all(decisions):
            scores = _beside(graph, [_column(graph, _need(d)) for d in decisions])
            return by_decision(graph, estimator.classes_, scores, joined)
        return by_probability(graph, estimator.classes_, _need(joined))

    return answer


def multi_output(ask: Ask) -> Ask:
    def answer(graph: Graph, estimator: Any, data: Data) -> Answer:
        parts = [_column(graph, ask(graph, inner, data).prediction) for inner in estimator.estimators_]
        return Answer(_beside(graph, parts))

    return answer


def chain(ask: Ask) -> Ask:
    """A chain: each link also sees the answers before it, in the chain's order."""

    def answer(graph: Graph, estimator: Any, data: Data) -> Answer:
        if getattr(estimator, "chain_method", "predict") != "predict":
            raise NotCompilable("a chain over probabilities has no exact graph")
        matrix = data.matrix(graph)
        found: list[str] = []
        for i, inner in enumerate(estimator.estimators_):
            seen = matrix if not found else graph.add("Concat", matrix, *found, axis=1)
            reply = ask(graph, inner, Data.of_numbers(seen, len(data) + i)).prediction
            found.append(graph.doubles(_column(graph, reply)))
        inverse = [list(estimator.order_).index(i) for i in range(len(found))]
        return Answer(_beside(graph, [found[i] for i in inverse]))

    return answer


def _as_index(graph: Graph, prediction: str, binary: Any) -> str:
    if list(binary.classes_) != [0, 1]:
        raise NotCompilable("a binary part has other classes than 0 and 1")
    return integers(graph, prediction)


def _votes(graph: Graph, prediction: str, classes: Any) -> str:
    """Return doubles (n, classes): one where the vote went. Parts of a vote answer with positions 0, 1, …"""
    if list(classes) != list(range(len(classes))):
        raise NotCompilable("a vote of parts that know fewer classes has no exact graph")
    positions = graph.constant(np.arange(len(classes))[None, :], np.int64)
    return graph.doubles(graph.add("Equal", _column(graph, integers(graph, prediction)), positions))


def _weights(estimator: Any) -> list[float]:
    """Return the weights of what is left after dropped parts."""
    found = estimator._weights_not_none
    return [1.0] * len(estimator.estimators_) if found is None else [float(weight) for weight in found]


def _sum(graph: Graph, parts: list[str], weights: list[float]) -> str:
    scaled = [p if w == 1 else graph.add("Mul", p, graph.constant(w)) for p, w in zip(parts, weights, strict=True)]
    whole = scaled[0]
    for part in scaled[1:]:
        whole = graph.add("Add", whole, part)
    return whole


def _mean(graph: Graph, parts: list[str], weights: list[float]) -> str:
    return graph.add("Div", _sum(graph, parts, weights), graph.constant(sum(weights)))


def _beside(graph: Graph, columns: list[str]) -> str:
    return columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)


def _column(graph: Graph, tensor: str) -> str:
    return graph.add("Reshape", tensor, graph.constant([-1, 1], np.int64))


def _need(tensor: str | None) -> str:
    if tensor is None:
        raise NotCompilable("a part gives no probabilities")
    return tensor
