"""Trees, forests and boosting as one sum over trees in double precision, in scikit-learn's order of addition.

ONNX's older tree operators add in 32 bits: two classes that tie in scikit-learn no longer tie, and the label flips.
Only `TreeEnsemble` (ai.onnx.ml 5) keeps 64. Its leaves give to one target each, so a tree of k values is there k times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import numpy_helper

from model.twin.graph import Graph, NotCompilable

_LESS_OR_EQUAL = 0
_SUM = 1


@dataclass(slots=True)
class Forest:
    """The attributes of a TreeEnsemble, in the making: inner nodes and leaves are numbered apart."""

    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    children: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    leaves: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    missing_left: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, tree: "Tree", column: int, target: int) -> None:
        """Append a tree that gives its leaves' `column` of values to `target`.

        A subtree whose leaves all give the same is one leaf, and a tree that gives nothing is none: the sum is the same
        to the last bit, and of a forest's k copies of a tree most are smaller (iris: by a quarter).
        """
        values, constant = tree.collapsed(column)
        if constant[0] and values[0] == 0.0:
            return
        kept = tree.reached(constant)
        inner, leaves = [n for n in kept if not constant[n]], [n for n in kept if constant[n]]
        first_node, first_leaf = len(self.features), len(self.weights)
        number = {node: first_node + i for i, node in enumerate(inner)}
        number |= {node: first_leaf + i for i, node in enumerate(leaves)}
        self.roots.append(first_node)
        self.weights += [float(values[node]) for node in leaves]
        self.targets += [target] * len(leaves)
        if not inner:  # a root must split: both ways lead to the only leaf
            self._split(0, 0.0, False, ((first_leaf, 1), (first_leaf, 1)))
        for node in inner:
            sides = [(number[child], int(constant[child])) for child in (int(tree.left[node]), int(tree.right[node]))]
            self._split(int(tree.feature[node]), float(tree.threshold[node]), bool(tree.missing_left[node]), sides)

    def _split(self, feature: int, threshold: float, missing_left: bool, sides: Any) -> None:
        self.features.append(feature)
        self.splits.append(threshold)
        self.missing_left.append(int(missing_left))
        for side, (child, is_leaf) in enumerate(sides):
            self.children[side].append(child)
            self.leaves[side].append(is_leaf)


@dataclass(frozen=True, slots=True)
class Tree:
    """Flat arrays over nodes: children (-1 for a leaf's), feature, threshold, way of a missing value, values (n, k)."""

    left: Any
    right: Any
    feature: Any
    threshold: Any
    missing_left: Any
    values: Any

    def collapsed(self, column: int) -> tuple[list[float], list[bool]]:
        """Return each node's value and whether all leaves below it give it; children come after their parents."""
        values, constant = self.values[:, column].tolist(), (self.left < 0).tolist()
        left, right = self.left.tolist(), self.right.tolist()
        for node in range(len(left) - 1, -1, -1):
            if left[node] >= 0:
                a, b = left[node], right[node]
                constant[node] = constant[a] and constant[b] and values[a] == values[b]
                values[node] = values[a]
        return values, constant

    def reached(self, constant: Sequence[bool]) -> list[int]:
        """Return the nodes from the root down to the first constant ones, parents first."""
        found, waiting = [], [0]
        while waiting:
            node = waiting.pop()
            found.append(node)
            if not constant[node]:
                waiting += [int(self.right[node]), int(self.left[node])]
        return found

    @classmethod
    def of(cls, structure: Any, scale: float = 1.0) -> "Tree":
        """Read a fitted `tree_`; leaf values are flattened and multiplied by `scale`."""
        missing = getattr(structure, "missing_go_to_left", np.zeros(structure.node_count))
        values = scale * structure.value.reshape(structure.node_count, -1)
        left, right = structure.children_left, structure.children_right
        return cls(left, right, structure.feature, structure.threshold, missing, values)

    @classmethod
    def of_histogram(cls, predictor: Any) -> "Tree":
        """Read a tree of histogram gradient boosting; a split on a set of categories has no exact node."""
        nodes = predictor.nodes
        is_leaf = nodes["is_leaf"].astype(bool)
        if nodes["is_categorical"][~is_leaf].any():
            raise NotCompilable("histogram gradient boosting with categorical splits has no exact graph")
        left = np.where(is_leaf, -1, nodes["left"].astype(np.int64))
        right = np.where(is_leaf, -1, nodes["right"].astype(np.int64))
        threshold, missing = nodes["num_threshold"], nodes["missing_go_to_left"]
        return cls(left, right, nodes["feature_idx"], threshold, missing, nodes["value"].reshape(-1, 1))


def total(graph: Graph, matrix: str, forest: Forest, targets: int) -> str:
    """Return doubles (n, targets): the leaf weights summed over the trees, in their order."""
    return graph.add(
        "TreeEnsemble",
        matrix,
        domain="ai.onnx.ml",
        n_targets=targets,
        aggregate_function=_SUM,
        post_transform=0,
        tree_roots=forest.roots,
        nodes_featureids=forest.features,
        nodes_modes=numpy_helper.from_array(np.full(len(forest.features), _LESS_OR_EQUAL, dtype=np.uint8)),
        nodes_splits=numpy_helper.from_array(np.array(forest.splits, dtype=np.float64)),
        nodes_truenodeids=forest.children[0],
        nodes_falsenodeids=forest.children[1],
        nodes_trueleafs=forest.leaves[0],
        nodes_falseleafs=forest.leaves[1],
        nodes_missing_value_tracks_true=forest.missing_left,
        leaf_targetids=forest.targets,
        leaf_weights=numpy_helper.from_array(np.array(forest.weights, dtype=np.float64)),
    )


def averaged(graph: Graph, estimators: Sequence[Any], matrix: str) -> str:
    """Return doubles (n, values): the sum over the trees' leaf values, divided by their number as a forest does."""
    forest = Forest()
    width = int(np.prod(estimators[0].tree_.value.shape[1:]))
    for estimator in estimators:
        tree = Tree.of(estimator.tree_)
        for column in range(width):
            forest.add(tree, column, column)
    whole = total(graph, graph.through_single(matrix), forest, width)
    return whole if len(estimators) == 1 else graph.add("Div", whole, graph.constant(float(len(estimators))))
