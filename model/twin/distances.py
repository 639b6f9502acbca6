"""What answers by distance: nearest centres, Gaussian envelopes, kernels; and the constants of the dummies."""

from typing import Any

import numpy as np

from model.twin.answers import Answer, affine, by_probability, integers, labels, normalized
from model.twin.graph import Data, Graph, NotCompilable


def squared(graph: Graph, matrix: str, points: Any) -> str:
    """Return squared Euclidean distances (n, points): |x|² - 2 x·p + |p|², as scikit-learn computes them."""
    array = np.asarray(points, dtype=np.float64)
    own = graph.add("ReduceSum", graph.add("Mul", matrix, matrix), graph.constant([1], np.int64), keepdims=1)
    cross = graph.add("MatMul", matrix, graph.constant(-2.0 * array.T))
    norms = graph.constant((array * array).sum(axis=1)[None, :])
    return graph.add("Max", graph.add("Add", graph.add("Add", cross, own), norms), graph.constant(0.0))


def _nearest(graph: Graph, matrix: str, points: Any) -> str:
    return graph.add("ArgMin", squared(graph, matrix, points), axis=1, keepdims=0)


def centres(graph: Graph, estimator: Any, data: Data) -> Answer:
    """KMeans, mean shift, affinity propagation: the number of the nearest centre."""
    return Answer(_nearest(graph, data.matrix(graph), estimator.cluster_centers_))


def subclusters(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Birch: the label of the nearest subcluster."""
    index = _nearest(graph, data.matrix(graph), estimator.subcluster_centers_)
    return Answer(graph.add("Gather", graph.constant(estimator.subcluster_labels_, np.int64), index))


def bisected(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Bisecting k-means: down the tree of splits, the nearer of two centres at each."""
    matrix = graph.add("Sub", data.matrix(graph), graph.constant(np.reshape(estimator._X_mean, (1, -1))))

    def descend(node: Any) -> str:
        if node.left is None:
            return graph.constant([node.label], np.int64)
        nearer = graph.add(
            "ArgMin", squared(graph, matrix, np.vstack([node.left.center, node.right.center])), axis=1, keepdims=0
        )
        left = graph.add("Equal", nearer, graph.constant(0, np.int64))
        return graph.add("Where", left, descend(node.left), descend(node.right))

    return Answer(descend(estimator._bisecting_tree))


def nearest_centroid(graph: Graph, estimator: Any, data: Data) -> Answer:
    """The label is the nearest centroid's; scores are distances in within-class deviations, less the priors' logs."""
    if estimator.metric != "euclidean" or not np.allclose(estimator.class_prior_, estimator.class_prior_[0]):
        raise NotCompilable("NearestCentroid is exact for the Euclidean metric and equal priors only")
    matrix = data.matrix(graph)
    label = labels(graph, estimator.classes_, _nearest(graph, matrix, estimator.centroids_))
    spread = np.where(estimator.within_class_std_dev_ != 0, estimator.within_class_std_dev_, 1.0)
    scaled = graph.add("Div", matrix, graph.constant(np.reshape(spread, (1, -1))))
    gaps = graph.add("Neg", squared(graph, scaled, estimator.centroids_ / spread))
    scores = graph.add("Add", gaps, graph.constant(2.0 * np.log(estimator.class_prior_)[None, :]))
    odds = graph.add("Softmax", scores, axis=1)
    if len(estimator.classes_) == 2:
        scores = graph.flat(graph.add("Sub", graph.columns(scores, [1]), graph.columns(scores, [0])))
    return Answer(label, odds, scores)


def envelope(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Elliptic envelope: the squared Mahalanobis distance against its threshold."""
    centred = graph.add("Sub", data.matrix(graph), graph.constant(estimator.location_[None, :]))
    turned = graph.add("MatMul", centred, graph.constant(estimator.get_precision()))
    axes = graph.constant([1], np.int64)
    distance = graph.add("ReduceSum", graph.add("Mul", turned, centred), axes, keepdims=0)
    decision = graph.add("Sub", graph.add("Neg", distance), graph.constant(float(estimator.offset_)))
    inside = graph.add("GreaterOrEqual", decision, graph.constant(0.0))
    return Answer(labels(graph, np.array([-1, 1]), integers(graph, inside)), decision=decision)


def kernel_ridge(graph: Graph, estimator: Any, data: Data) -> Answer:
    values = graph.add(
        "MatMul",
        kernel(graph, data.matrix(graph), estimator.X_fit_, estimator),
        graph.constant(np.reshape(estimator.dual_coef_, (len(estimator.X_fit_), -1))),
    )
    return Answer(graph.flat(values) if estimator.dual_coef_.ndim == 1 else values)


def kernel(graph: Graph, matrix: str, points: Any, estimator: Any) -> str:
    """Return the kernel (n, points) named by the estimator: linear, polynomial, sigmoid or rbf."""
    gamma = getattr(estimator, "gamma", None)
    gamma = 1.0 / points.shape[1] if gamma is None else float(gamma)
    if estimator.kernel == "rbf":
        return graph.add("Exp", graph.add("Mul", squared(graph, matrix, points), graph.constant(-gamma)))
    if estimator.kernel not in {"linear", "poly", "polynomial", "sigmoid"}:
        raise NotCompilable(f"the kernel {estimator.kernel} has no exact graph")
    product = graph.add("MatMul", matrix, graph.constant(np.asarray(points, dtype=np.float64).T))
    if estimator.kernel == "linear":
        return product
    shifted = graph.add("Add", graph.add("Mul", product, graph.constant(gamma)), graph.constant(float(estimator.coef0)))
    if estimator.kernel == "sigmoid":
        return graph.add("Tanh", shifted)
    return graph.add("Pow", shifted, graph.constant(float(estimator.degree)))


def spread_labels(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Label propagation and spreading over an rbf kernel: neighbours' label distributions, weighted."""
    if estimator.kernel != "rbf":
        raise NotCompilable("label propagation is exact for the rbf kernel only")
    weights = kernel(graph, data.matrix(graph), estimator.X_, estimator)
    odds = normalized(graph, graph.add("MatMul", weights, graph.constant(estimator.label_distributions_)))
    return by_probability(graph, estimator.classes_, odds)


def isotonic(graph: Graph, estimator: Any, data: Data) -> Answer:
    """Linear interpolation between thresholds; outside them constant when it clips, no number otherwise."""
    if estimator.out_of_bounds != "clip":
        # An answer that is no number is a failed prediction, which only the estimator itself can raise alike.
        raise NotCompilable("isotonic regression without clipping answers some rows with no number")
    xs, ys = np.asarray(estimator.X_thresholds_, np.float64), np.asarray(estimator.y_thresholds_, np.float64)
    if len(xs) == 1:
        return constant(graph, ys[0], data)
    value = graph.add("Clip", data.matrix(graph), graph.constant(xs[0]), graph.constant(xs[-1]))
    segment = graph.constant([0], np.int64)
    if len(xs) > 2:
        passed = integers(graph, graph.add("GreaterOrEqual", value, graph.constant(xs[None, 1:-1])))
        segment = graph.add("ReduceSum", passed, graph.constant([1], np.int64), keepdims=0)
    slopes = graph.add("Gather", graph.constant(np.diff(ys) / np.diff(xs)), segment)
    start = graph.add("Gather", graph.constant(xs[:-1]), segment)
    base = graph.add("Gather", graph.constant(ys[:-1]), segment)
    return Answer(graph.add("Add", graph.add("Mul", graph.add("Sub", graph.flat(value), start), slopes), base))


def constant(graph: Graph, value: Any, data: Data) -> Answer:
    """The same answer to every row: (n,) of a scalar, (n, targets) of several."""
    matrix = data.matrix(graph)
    row = np.atleast_1d(np.asarray(value, dtype=np.float64))
    zeros = affine(
        graph,
        graph.add("Where", graph.add("IsNaN", matrix), graph.constant(0.0), matrix),
        np.zeros((len(row), len(data))),
        np.zeros(len(row)),
    )
    values = graph.add("Add", zeros, graph.constant(row[None, :]))
    return Answer(graph.flat(values) if len(row) == 1 else values)


def dummy_regressor(graph: Graph, estimator: Any, data: Data) -> Answer:
    return constant(graph, np.ravel(estimator.constant_), data)


def dummy_classifier(graph: Graph, estimator: Any, data: Data) -> Answer:
    if estimator.strategy not in {"prior", "most_frequent", "constant"} or estimator.n_outputs_ > 1:
        raise NotCompilable(f"DummyClassifier({estimator.strategy!r}) has no exact graph")
    odds = estimator.predict_proba(np.zeros((1, 1)))[0]
    return by_probability(graph, estimator.classes_, constant(graph, odds, data).prediction)
