"""A small ONNX graph under construction: nodes, constants, and the columns that flow between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Equal on strings came with 19, trees that add in double precision with ai.onnx.ml 5.
OPSETS = {"": 19, "ai.onnx.ml": 5}
IR_VERSION = 10
NUMBERS, STRINGS = "numbers", "strings"


class NotCompilable(Exception):
    """There is no exact graph for this estimator; the message says which part."""


class Graph:
    """Collects nodes; every method returns the name of a tensor."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[Any, ...], onnx.TensorProto] = {}
        self._count = 0

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append one node with one output."""
        return self.add_many(operator, *inputs, outputs=1, domain=domain, **attributes)[0]

    def add_many(self, operator: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:
        names = [self._name() for _ in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, domain=domain, **attributes))
        return names

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """Return a constant tensor; equal ones are stored once."""
        array = np.asarray(value, dtype=object if dtype is str else dtype)
        key = (str(array.dtype), array.shape, tuple(array.ravel().tolist()) if dtype is str else array.tobytes())
        if key not in self._constants:
            self._constants[key] = _tensor(array, self._name())
        return self._constants[key].name

    def doubles(self, name: str) -> str:
        return self.add("Cast", name, to=TensorProto.DOUBLE)

    def through_single(self, name: str) -> str:
        """Round to float32 and back, as scikit-learn's trees do to their input."""
        return self.doubles(self.add("Cast", name, to=TensorProto.FLOAT))

    def columns(self, name: str, positions: Sequence[int]) -> str:
        return self.add("Gather", name, self.constant(list(positions), np.int64), axis=1)

    def flat(self, name: str) -> str:
        return self.add("Reshape", name, self.constant([-1], np.int64))

    def model(self, inputs: Mapping[str, tuple[int, int]], outputs: dict[str, str]) -> onnx.ModelProto:
        """Return the finished model: inputs as name → (element type, width), outputs as public name → tensor."""
        for public, name in outputs.items():
            self._nodes.append(helper.make_node("Identity", [name], [public]))
        given = [helper.make_tensor_value_info(name, kind, [None, width]) for name, (kind, width) in inputs.items()]
        # The shape inference of the runtime fills in types; an output must only be named.
        answers = [onnx.ValueInfoProto(name=public) for public in outputs]
        graph = helper.make_graph(self._nodes, "twin", given, answers, list(self._constants.values()))
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sklearn-on-lambda")

    def _name(self) -> str:
        self._count += 1
        return f"t{self._count}"


def _tensor(array: Any, name: str) -> onnx.TensorProto:
    if array.dtype == object:
        return helper.make_tensor(name, TensorProto.STRING, array.shape, [s.encode() for s in array.ravel().tolist()])
    return numpy_helper.from_array(array, name)


@dataclass(frozen=True, slots=True)
class Data:
    """n rows of columns: a tensor of numbers (n, width), one of strings, and for each column which and where."""

    order: tuple[tuple[str, int], ...]
    numbers: str | None = None
    strings: str | None = None
    width: int = 0

    @classmethod
    def of_numbers(cls, name: str, width: int) -> "Data":
        return cls(tuple((NUMBERS, i) for i in range(width)), numbers=name, width=width)

    def __len__(self) -> int:
        return len(self.order)

    def select(self, positions: Sequence[int]) -> "Data":
        return Data(tuple(self.order[i] for i in positions), self.numbers, self.strings, self.width)

    def matrix(self, graph: Graph) -> str:
        """Return all columns as one tensor of doubles (n, columns); raises NotCompilable when one holds strings."""
        kinds = {kind for kind, _ in self.order}
        if kinds - {NUMBERS} or self.numbers is None:
            raise NotCompilable("numbers are expected where there are strings")
        wanted = [i for _, i in self.order]
        # A Gather takes 230 ns a row of 30 columns, more than the rest of a linear model together.
        return self.numbers if wanted == list(range(self.width)) else graph.columns(self.numbers, wanted)

    def column(self, graph: Graph, position: int) -> tuple[str, str]:
        """Return the kind and the tensor (n, 1) of one column."""
        kind, index = self.order[position]
        tensor = self.numbers if kind == NUMBERS else self.strings
        if tensor is None:
            raise NotCompilable("a column has no tensor")
        return kind, graph.columns(tensor, [index])


def joined(graph: Graph, parts: Sequence[Data]) -> Data:
    """Return columns side by side; all must be numbers."""
    matrices = [part.matrix(graph) for part in parts if len(part)]
    if not matrices:
        raise NotCompilable("no column is left")
    whole = matrices[0] if len(matrices) == 1 else graph.add("Concat", *matrices, axis=1)
    return Data.of_numbers(whole, sum(map(len, parts)))
