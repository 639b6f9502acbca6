"""From a fitted estimator to a graph: the table of what is known, and what only forwards to another."""

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from model.manifest import Feature
from model.rows import is_text
from model.twin import distances, ensembles, linear
from model.twin.answers import Answer, integers, labels
from model.twin.graph import NUMBERS, STRINGS, Data, Graph, NotCompilable
from model.twin.transformers import transform


def build(estimator: Any, features: tuple[Feature, ...], wanted: list[str]) -> ModelProto:
    """Return the graph with the outputs `wanted`; its inputs are numbers (n, a) and strings (n, b), where any are.

    Columns come in the features' order within each. Raises NotCompilable.
    """
    graph = Graph()
    order, counts = [], {NUMBERS: 0, STRINGS: 0}
    for feature in features:
        kind = STRINGS if is_text(feature) else NUMBERS
        order.append((kind, counts[kind]))
        counts[kind] += 1
    names = {kind: kind if count else None for kind, count in counts.items()}
    answer = ask(graph, estimator, Data(tuple(order), names[NUMBERS], names[STRINGS], counts[NUMBERS]))
    outputs = answer.outputs()
    missing = [name for name in wanted if name not in outputs]
    if missing:
        raise NotCompilable(f"{', '.join(missing)} has no exact graph")
    kinds = {NUMBERS: TensorProto.DOUBLE, STRINGS: TensorProto.STRING}
    inputs = {kind: (kinds[kind], count) for kind, count in counts.items() if count}
    return graph.model(inputs, {name: outputs[name] for name in wanted})


def ask(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Return the answer of any estimator that is known here; raises NotCompilable."""
    for kind in type(estimator).__mro__:
        if kind.__name__ in ESTIMATORS:
            answer: Answer = ESTIMATORS[kind.__name__](graph, estimator, data)
            return answer
    raise NotCompilable(f"{type(estimator).__name__} has no exact graph")


def _pipeline(graph: Graph, estimator: Any, data: Data) -> Answer:
    for _, step in estimator.steps[:-1]:
        data = transform(graph, step, data)
    return ask(graph, estimator.steps[-1][1], data)


def _best(graph: Graph, estimator: Any, data: Data) -> Answer:
    return ask(graph, estimator.best_estimator_, data)


def _inner(graph: Graph, estimator: Any, data: Data) -> Answer:
    return ask(graph, estimator.estimator_, data)


def _selected(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Recursive feature elimination: the estimator was fitted on the columns that were kept."""
    return ask(graph, estimator.estimator_, data.select(np.flatnonzero(estimator.support_).tolist()))


def _thresholded(graph: Graph, estimator: Any, data: Data) -> Answer:
    """A classifier of two whose label is decided at a threshold of its own."""
    inner = ask(graph, estimator.estimator_, data)
    method = estimator._get_response_method() if hasattr(estimator, "_get_response_method") else "predict_proba"
    positive = getattr(estimator, "pos_label", None)
    classes = list(estimator.classes_)
    index = 1 if positive is None else classes.index(positive)
    use_odds = "predict_proba" in (method if isinstance(method, list | tuple) else [method]) and inner.probabilities
    if not use_odds or index != 1 or inner.probabilities is None:
        raise NotCompilable("a threshold on decision values has no exact graph")
    threshold = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", 0.5))
    if isinstance(threshold, str):
        threshold = 0.5
    score = graph.flat(graph.columns(inner.probabilities, [1]))
    above = graph.add("GreaterOrEqual", score, graph.constant(float(threshold)))
    return Answer(labels(graph, estimator.classes_, integers(graph, above)), inner.probabilities, inner.decision)


def _transformed_target(graph: Graph, estimator: Any, data: Data) -> Answer:
    if estimator.func is not None or estimator.inverse_func is not None:
        names = {np.exp: "Exp", np.expm1: "Expm1"}
        operator = names.get(estimator.inverse_func)
        if operator is None:
            raise NotCompilable("a transformed target runs Python")
        inner = graph.add("Exp", ask(graph, estimator.regressor_, data).prediction)
        return Answer(graph.add("Sub", inner, graph.constant(1.0)) if operator == "Expm1" else inner)
    if estimator.transformer is not None:
        raise NotCompilable("a transformed target runs a transformer")
    return ask(graph, estimator.regressor_, data)


ESTIMATORS: dict[str, ensembles.Ask] = {
    "Pipeline": _pipeline,
    "BaseSearchCV": _best,
    "SelfTrainingClassifier": _inner,
    "RFE": _selected,
    "FixedThresholdClassifier": _thresholded,
    "TunedThresholdClassifierCV": _thresholded,
    "TransformedTargetRegressor": _transformed_target,
    "DecisionTreeClassifier": ensembles.tree_classifier,
    "DecisionTreeRegressor": ensembles.tree_regressor,
    "ForestClassifier": ensembles.tree_classifier,
    "ForestRegressor": ensembles.tree_regressor,
    "GradientBoostingClassifier": ensembles.boosted_classifier,
    "GradientBoostingRegressor": ensembles.boosted_regressor,
    "HistGradientBoostingClassifier": ensembles.histogram_classifier,
    "HistGradientBoostingRegressor": ensembles.histogram_regressor,
    "IsolationForest": ensembles.isolation,
    "VotingClassifier": ensembles.voting_classifier(ask),
    "VotingRegressor": ensembles.voting_regressor(ask),
    "BaggingClassifier": ensembles.bagging(ask),
    "BaggingRegressor": ensembles.bagging(ask),
    "OneVsRestClassifier": ensembles.one_versus_rest(ask),
    "MultiOutputClassifier": ensembles.multi_output(ask),
    "MultiOutputRegressor": ensembles.multi_output(ask),
    "ClassifierChain": ensembles.chain(ask),
    "RegressorChain": ensembles.chain(ask),
    "LogisticRegression": linear.logistic,
    "LinearDiscriminantAnalysis": linear.discriminant,
    "BaseSGDClassifier": linear.stochastic,
    "Perceptron": linear.classifier,
    "PassiveAggressiveClassifier": linear.classifier,
    "LinearSVC": linear.classifier,
    "RidgeClassifier": linear.classifier,
    "RidgeClassifierCV": linear.classifier,
    "_GeneralizedLinearRegressor": linear.generalized,
    "_PLS": linear.least_squares_projection,
    "LinearModel": linear.regressor,
    "BaseSGDRegressor": linear.regressor,
    "LinearSVR": linear.regressor,
    "HuberRegressor": linear.regressor,
    "QuantileRegressor": linear.regressor,
    "KMeans": distances.centres,
    "MiniBatchKMeans": distances.centres,
    "BisectingKMeans": distances.bisected,
    "MeanShift": distances.centres,
    "AffinityPropagation": distances.centres,
    "Birch": distances.subclusters,
    "NearestCentroid": distances.nearest_centroid,
    "EllipticEnvelope": distances.envelope,
    "KernelRidge": distances.kernel_ridge,
    "BaseLabelPropagation": distances.spread_labels,
    "IsotonicRegression": distances.isotonic,
    "DummyClassifier": distances.dummy_classifier,
    "DummyRegressor": distances.dummy_regressor,
}
