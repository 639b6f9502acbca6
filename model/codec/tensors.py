"""Tensors of the Open Inference Protocol in JSON ↔ rows and predictions.

Two layouts of n rows: one tensor of shape [n, features] under any name, or a tensor a column, of shape [n] or [n, 1],
by the column's name. Data may be flat (row by row) or nested. A null is a missing value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import prod
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from model.codec import caps, json_rows
from model.errors import Fault, InvalidRows, TooLarge
from model.faults import BOUND, located
from model.manifest import Feature, Manifest, Output, OutputName, Scalar
from model.rows import Request, RowSchema, is_text
from model.scorer import Prediction

FLOATS = ("FP16", "FP32", "FP64")
INTEGERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64")
DATATYPES = ("BOOL", *INTEGERS, *FLOATS, "BYTES")
# As MLServer calls what scikit-learn answers.
NAMES: dict[str, OutputName] = {
    "predict": "prediction",
    "predict_proba": "probabilities",
    "decision_function": "decision",
}
_OF = {output: name for name, output in NAMES.items()}
_PYTHON: dict[str, frozenset[type]] = {
    "BOOL": frozenset((bool, type(None))),
    "BYTES": frozenset((str, type(None))),
    **dict.fromkeys(INTEGERS, frozenset((int, type(None)))),
    **dict.fromkeys(FLOATS, frozenset((int, float, type(None)))),
}
BINARY = "the binary tensor extension is not supported: send and ask for JSON (binary_data=False)"
_Parameters = dict[str, Any]
_Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Tensor(msgspec.Struct):
    """One input; `data` is missing where it follows the JSON in binary."""

    name: str
    shape: Annotated[list[_Count], Meta(min_length=1, max_length=8)]
    datatype: str
    data: list[Any] | UnsetType = UNSET
    parameters: _Parameters | None = None


class Wanted(msgspec.Struct):
    """One output that is asked for."""

    name: str
    parameters: _Parameters | None = None


class _Body(msgspec.Struct):
    inputs: Annotated[list[Tensor], Meta(min_length=1)]
    id: str | None = None
    parameters: _Parameters | None = None
    outputs: list[Wanted] | None = None


@dataclass(frozen=True, slots=True)
class Inference:
    """A request's rows, the caller's id, and the outputs in the order they were asked for."""

    request: Request
    identifier: str | None


_decode = msgspec.json.Decoder(_Body).decode


def decode(body: bytes, schema: RowSchema, limits: caps.Limits = caps.DEFAULT) -> Inference:
    """Read an inference request; raises InvalidRows, whose pointers lead into `inputs`, or TooLarge."""
    caps.check_json(body, limits, max(len(schema.names), 1))
    caps.check_shape(body, _flat_limits(limits, max(len(schema.names), 1)))
    try:
        found = _decode(body.removeprefix(json_rows.BOM))
    except msgspec.ValidationError as error:
        raise InvalidRows((located(error),)) from None
    except json_rows.UNREADABLE as error:
        raise json_rows.unreadable(error) from None
    faults = list(_binary(found))
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    outputs = _outputs(found.outputs, schema)
    rows = _rows(found.inputs, schema, limits)
    threshold = (found.parameters or {}).get("threshold")
    if threshold is not None and not _is_share(threshold):
        raise InvalidRows((Fault("/parameters/threshold", "expected a number from 0 to 1"),))
    return Inference(Request(rows.rows, rows.single, outputs, None, threshold), found.id)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@lru_cache
def _flat_limits(limits: caps.Limits, width: int) -> caps.Limits:
    """A tensor may be flat: as many values in one list as all rows have."""
    return replace(limits, columns=limits.rows * width)


def _binary(body: _Body) -> Iterator[Fault]:
    if (body.parameters or {}).get("binary_data_output"):
        yield Fault("/parameters/binary_data_output", BINARY)
    for i, tensor in enumerate(body.inputs):
        if tensor.data is UNSET:
            binary = "binary_data_size" in (tensor.parameters or {})
            yield Fault(f"/inputs/{i}/data", BINARY if binary else "missing, expected an array")
    for i, wanted in enumerate(body.outputs or ()):
        if (wanted.parameters or {}).get("binary_data"):
            yield Fault(f"/outputs/{i}/parameters/binary_data", BINARY)
        if (wanted.parameters or {}).get("classification"):
            yield Fault(f"/outputs/{i}/parameters/classification", "not supported: ask for predict_proba")


def _outputs(wanted: list[Wanted] | None, schema: RowSchema) -> tuple[OutputName, ...]:
    """Return what is asked for; nothing named means the prediction alone, as MLServer does."""
    if not wanted:
        return ("prediction",)
    offered = [_OF[name] for name in schema.offered]
    if len(wanted) > BOUND:
        raise InvalidRows((Fault("/outputs", f"expected some of {', '.join(offered)}"),))
    faults = [
        Fault(f"/outputs/{i}/name", f"expected one of {', '.join(offered)}")
        for i, output in enumerate(wanted)
        if output.name not in offered
    ]
    names = [output.name for output in wanted]
    faults += [Fault(f"/outputs/{i}/name", "asked for twice") for i, name in enumerate(names) if name in names[:i]]
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    return tuple(NAMES[name] for name in names)


def _rows(tensors: list[Tensor], schema: RowSchema, limits: caps.Limits) -> Request:
    """Return the checked rows of either layout."""
    rows_at_most = max(tensor.shape[0] for tensor in tensors)
    if rows_at_most > limits.rows:
        raise TooLarge(f"{rows_at_most} rows in one request, at most {limits.rows} are taken")
    width = len(schema.names)
    one = tensors[0]
    if len(tensors) == 1 and one.shape[1:] == [width] and (width > 1 or one.name not in schema.names):
        faults = [*_datatype_faults(0, one, schema.features), *_data_faults(0, one)]
        if faults:
            raise InvalidRows(tuple(faults[:BOUND]))
        flat = _flat(one)
        rows: list[Any] = [flat[i : i + width] for i in range(0, len(flat), width)]
        return _convert(rows, schema, [0] * width, [one] * width)
    columns = _columns(tensors, schema)
    chosen = [tensors[i] for i in columns]
    return _convert(list(zip(*map(_flat, chosen), strict=True)), schema, columns, chosen)


def _columns(tensors: list[Tensor], schema: RowSchema) -> list[int]:
    """Return which tensor is which column; raises InvalidRows for all that does not fit."""
    names = [tensor.name for tensor in tensors]
    width = len(schema.names)
    if len(tensors) > width + BOUND:
        raise InvalidRows((Fault("/inputs", f"expected {width} tensors, got {len(tensors)}"),))
    if len(tensors) == 1 and width > 1:
        shape = Fault("/inputs/0/shape", f"expected [n, {width}] for one tensor, or one tensor a column")
        raise InvalidRows((shape,))
    faults = [
        Fault(f"/inputs/{i}/name", "not a feature of this model" if name not in schema.names else "given twice")
        for i, name in enumerate(names)
        if name not in schema.names or name in names[:i]
    ]
    faults += [Fault("/inputs", f"missing a tensor called {name}") for name in schema.names if name not in names]
    counts = {tensor.shape[0] for tensor in tensors}
    if len(counts) > 1:
        faults.append(Fault("/inputs", f"tensors of {min(counts)} to {max(counts)} rows, expected as many in each"))
    for i, tensor in enumerate(tensors):
        if tensor.shape[1:] not in ([], [1]):
            faults.append(Fault(f"/inputs/{i}/shape", "expected [n] or [n, 1] for a column"))
        elif tensor.name in schema.names:
            faults += _datatype_faults(i, tensor, [schema.features[schema.names.index(tensor.name)]])
            faults += _data_faults(i, tensor)
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    return [names.index(name) for name in schema.names]


def datatype(feature: Feature) -> str:
    """Return the datatype that a column is described by."""
    if is_text(feature):
        return "BYTES"
    if feature.kind == "category":
        return _scalars(feature.categories or ())
    return {"integer": "INT64", "boolean": "BOOL"}.get(feature.kind, "FP64")


def _datatype_faults(i: int, tensor: Tensor, features: Sequence[Feature]) -> list[Fault]:
    """Numbers go into any column of numbers; booleans and strings only into their own kind."""
    pointer = f"/inputs/{i}/datatype"
    if tensor.datatype not in DATATYPES:
        return [Fault(pointer, f"expected one of {', '.join(DATATYPES)}")]
    needed = {datatype(feature) for feature in features}
    families = {name if name in {"BOOL", "BYTES"} else "numeric" for name in needed}
    if len(families) > 1:
        return [Fault(pointer, "the columns differ in type: expected one tensor a column")]
    given = tensor.datatype if tensor.datatype in {"BOOL", "BYTES"} else "numeric"
    if given in families:
        return []
    return [Fault(pointer, f"expected {' or '.join(sorted(needed))}, got {tensor.datatype}")]


def _data_faults(i: int, tensor: Tensor) -> list[Fault]:
    """Say what of the data does not fit its own shape and datatype."""
    if tensor.datatype not in DATATYPES or tensor.data is UNSET:
        return []
    pointer = f"/inputs/{i}/data"
    flat = _flatten(tensor.data, tensor.shape)
    if flat is None:
        return [Fault(pointer, f"expected {prod(tensor.shape)} values, flat or nested as {tensor.shape}")]
    allowed = _PYTHON[tensor.datatype]
    if not set(map(type, flat)) <= allowed:
        bad = [k for k, value in enumerate(flat) if type(value) not in allowed]
        return [Fault(_place(tensor, pointer, k), f"expected {tensor.datatype}") for k in bad[:BOUND]]
    if tensor.datatype in INTEGERS:
        bits, signed = int(tensor.datatype.strip("UINT")), tensor.datatype[0] == "I"
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        outside = [k for k, value in enumerate(flat) if value is not None and not low <= value <= high]
        return [Fault(_place(tensor, pointer, k), f"out of the range of {tensor.datatype}") for k in outside[:BOUND]]
    return []


def _flat(tensor: Tensor) -> list[Any]:
    flat = _flatten(tensor.data or [], tensor.shape)
    return [] if flat is None else flat


def _flatten(data: list[Any], shape: Sequence[int]) -> list[Any] | None:
    """Return data row by row; None when it is neither flat nor nested as `shape` says."""
    nested = any(type(value) is list for value in data)
    if not nested:
        # The outermost dimension of nested data without rows, or all of it.
        return data if len(data) == prod(shape) else None
    if len(data) != shape[0]:
        return None
    for size in shape[1:]:
        if any(type(part) is not list or len(part) != size for part in data):
            return None
        data = list(chain.from_iterable(data))
    return None if any(type(value) is list for value in data) else data


def _place(tensor: Tensor, pointer: str, k: int) -> str:
    """Return where the k-th value stands, in the form in which the data were sent."""
    if not tensor.data or type(tensor.data[0]) is not list:
        return f"{pointer}/{k}"
    indexes: list[int] = []
    for size in reversed(tensor.shape[1:]):
        k, rest = divmod(k, size)
        indexes.insert(0, rest)
    return "/".join([pointer, str(k), *map(str, indexes)])


def _convert(rows: list[Any], schema: RowSchema, columns: Sequence[int], tensors: Sequence[Tensor]) -> Request:
    """Check rows as every other request's; what is wrong is told by its place in the tensors."""
    try:
        return json_rows.convert({"instances": rows}, schema)
    except InvalidRows as error:
        raise InvalidRows(tuple(_moved(fault, columns, tensors) for fault in error.faults)) from None


def _moved(fault: Fault, columns: Sequence[int], tensors: Sequence[Tensor]) -> Fault:
    parts = fault.pointer.split("/")
    if len(parts) != 4:
        return fault
    row, column = int(parts[2]), int(parts[3])
    k = row * tensors[column].shape[1] + column if len(set(columns)) == 1 and len(columns) > 1 else row
    return Fault(_place(tensors[column], f"/inputs/{columns[column]}/data", k), fault.detail)


def _scalars(values: Sequence[Scalar]) -> str:
    """Return the datatype that holds all of `values`."""
    if all(isinstance(value, bool) for value in values):
        return "BOOL" if values else "FP64"
    if any(isinstance(value, str) for value in values):
        return "BYTES"
    return "INT64" if all(isinstance(value, int) for value in values) else "FP64"


def output_tensor(output: Output) -> tuple[str, str, int]:
    """Return name, datatype and width of an output."""
    if output.name == "probabilities":
        return _OF[output.name], "FP64", len(output.labels or ())
    if output.name == "decision":
        return _OF[output.name], "FP64", output.width
    kinds = {"number": "FP64", "cluster": "INT64"}
    # Of several targets the classes are not in the manifest: whole numbers, unless the values say something else.
    return _OF[output.name], kinds.get(output.kind) or _scalars(output.classes or (0,)), output.width


def render(prediction: Prediction, manifest: Manifest, wanted: Sequence[OutputName], identifier: str) -> dict[str, Any]:
    """Return the inference response: every output of shape [n, width], its data flat, in the order asked for."""
    outputs = []
    for name in wanted:
        output = manifest.output(name)
        if output is None:
            continue
        called, kind, width = output_tensor(output)
        values: list[Any] = _values(prediction, name)
        flat = list(chain.from_iterable(values)) if values and isinstance(values[0], list) else values
        if output.kind == "class" and output.classes is None and flat:
            kind = _scalars(flat)
        outputs.append({"name": called, "shape": [len(values), width], "datatype": kind, "data": flat})
    return {
        "model_name": prediction.name,
        "model_version": prediction.version,
        "id": identifier,
        "outputs": outputs,
    }


def _values(prediction: Prediction, name: OutputName) -> list[Any]:
    if name == "probabilities":
        return [list(row.values()) for row in prediction.probabilities or ()]
    return list((prediction.values if name == "prediction" else prediction.decisions) or ())
