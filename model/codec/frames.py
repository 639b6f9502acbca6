"""Data frames and lists in JSON, as SageMaker, MLflow and TF Serving clients send them, → rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from model.codec import caps, json_rows
from model.errors import Fault, InvalidRows
from model.faults import BOUND, join
from model.rows import LARGEST, OUTPUTS, Request, RowSchema

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@dataclass(frozen=True, slots=True)
class Frame:
    """A request, and by which of the forms it came ("" for a bare array of rows)."""

    request: Request
    form: str


def decode(
    body: bytes,
    schema: RowSchema,
    forms: Sequence[str] = FORMS,
    beside: Sequence[str] = (),
    *,
    bare: bool = False,
    limits: caps.Limits = caps.DEFAULT,
) -> Frame:
    """Read one of `forms`, with the keys `beside` it, or a bare array of rows; raises InvalidRows or TooLarge."""
    document = parse(body, limits, max(len(schema.names), 1))
    if bare and isinstance(document, list):
        return Frame(_listed("", document, schema), "")
    if not isinstance(document, dict):
        raise InvalidRows((Fault("", f"expected an object with one of {', '.join(forms)}"),))
    given = [form for form in forms if form in document]
    unknown = [key for key in document if key not in forms and key not in beside]
    faults = [Fault(join("", key), "not expected here") for key in unknown[:BOUND]]
    if len(given) != 1:
        faults.append(Fault("", f"expected exactly one of {', '.join(forms)}"))
    if faults:
        raise InvalidRows(tuple(faults))
    request = _READERS[given[0]](f"/{given[0]}", document[given[0]], schema)
    if "params" in beside and "params" in document:
        request = _with_params(request, document["params"], schema)
    if "signature_name" in document and document["signature_name"] not in {"serving_default", "", None}:
        raise InvalidRows((Fault("/signature_name", "expected serving_default"),))
    return Frame(request, given[0])


def parse(body: bytes, limits: caps.Limits, width: int) -> Any:
    """Return the document in a body within the limits; raises InvalidRows or TooLarge."""
    caps.check_json(body, limits, width)
    caps.check_shape(body, replace(limits, columns=limits.rows * width))
    try:
        return msgspec.json.decode(body.removeprefix(json_rows.BOM))
    except json_rows.UNREADABLE as error:
        raise json_rows.unreadable(error) from None


def _split(pointer: str, value: Any, schema: RowSchema) -> Request:
    """Read {"columns": […], "data": [[…]], "index"?: […]}, the columns in any order."""
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        raise InvalidRows((Fault(pointer, 'expected an object with "columns" and "data"'),))
    columns, rows = value.get("columns", list(schema.names)), value["data"]
    if not isinstance(columns, list):
        raise InvalidRows((Fault(f"{pointer}/columns", "expected an array of names"),))
    faults = _column_faults(f"{pointer}/columns", columns, schema)
    faults += [
        Fault(f"{pointer}/data/{i}", f"expected an array of {len(columns)} values")
        for i, row in enumerate(rows)
        if not isinstance(row, list) or len(row) != len(columns)
    ]
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    order = [columns.index(name) for name in schema.names]
    if order != list(range(len(order))):
        rows = [[row[i] for i in order] for row in rows]
    return _convert(rows, schema, lambda row, column: f"{pointer}/data/{row}/{order[column]}")


def _column_faults(pointer: str, columns: list[Any], schema: RowSchema) -> list[Fault]:
    known = set(schema.names)
    if len(columns) > len(known) + BOUND:
        return [Fault(pointer, f"expected {len(known)} columns, got {len(columns)}")]
    faults = [
        Fault(
            f"{pointer}/{i}", "given twice" if isinstance(name, str) and name in known else "no feature of this model"
        )
        for i, name in enumerate(columns)
        if not isinstance(name, str) or name not in known or name in columns[:i]
    ]
    return faults + [Fault(pointer, f"missing {name}") for name in schema.names if name not in columns]


def _listed(pointer: str, value: Any, schema: RowSchema) -> Request:
    """Read rows as lists or objects; of a model with one feature as bare values, too."""
    if not isinstance(value, list):
        raise InvalidRows((Fault(pointer, "expected an array of rows"),))
    scalars = len(schema.names) == 1 and not any(isinstance(row, list | dict) for row in value)
    rows = [[row] for row in value] if scalars else value
    try:
        return json_rows.convert({"instances": rows}, schema)
    except InvalidRows as error:
        faults = [Fault(pointer + fault.pointer.removeprefix("/instances"), fault.detail) for fault in error.faults]
        raise InvalidRows(tuple(faults)) from None


def _inputs(pointer: str, value: Any, schema: RowSchema) -> Request:
    """Read rows, or an object of columns whose values are [n] or [n, 1]."""
    if not isinstance(value, dict):
        return _listed(pointer, value, schema)
    keys = list(value)
    faults = [Fault(join(pointer, key), "not a feature of this model") for key in keys if key not in schema.names]
    faults += [Fault(join(pointer, name), "missing") for name in schema.names if name not in value]
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    columns = [_column(join(pointer, name), value[name]) for name in schema.names]
    if len({len(column) for column in columns}) > 1:
        raise InvalidRows((Fault(pointer, "expected columns of one length"),))
    names = schema.names
    rows = list(zip(*columns, strict=True))
    return _convert(rows, schema, lambda row, column: f"{join(pointer, names[column])}/{row}")


def _column(pointer: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRows((Fault(pointer, "expected an array of values"),))
    if value and all(isinstance(cell, list) and len(cell) == 1 for cell in value):
        return [cell[0] for cell in value]
    return value


def _convert(rows: Sequence[Any], schema: RowSchema, place: Callable[[int, int], str]) -> Request:
    try:
        return json_rows.convert({"instances": rows}, schema)
    except InvalidRows as error:
        raise InvalidRows(tuple(_moved(fault, place) for fault in error.faults)) from None


def _moved(fault: Fault, place: Callable[[int, int], str]) -> Fault:
    parts = fault.pointer.split("/")
    return Fault(place(int(parts[2]), int(parts[3])), fault.detail) if len(parts) == 4 else fault


def _with_params(request: Request, params: Any, schema: RowSchema) -> Request:
    """Read {"output": …, "threshold": …, "top_k": …}."""
    if params is None:
        return request
    if not isinstance(params, dict):
        raise InvalidRows((Fault("/params", "expected an object"),))
    known = ("output", "threshold", "top_k")
    faults = [Fault(join("/params", key), f"expected {', '.join(known)}") for key in params if key not in known]
    output, threshold, top_k = (params.get(name) for name in known)
    if output is not None and output not in schema.offered:
        faults.append(Fault("/params/output", f"expected one of {', '.join(schema.offered)}"))
    if threshold is not None and (not _is_number(threshold) or not 0 <= threshold <= 1):
        faults.append(Fault("/params/threshold", "expected a number from 0 to 1"))
    if top_k is not None and not (_is_number(top_k) and 1 <= top_k <= LARGEST and top_k == int(top_k)):
        faults.append(Fault("/params/top_k", "expected a whole number above 0"))
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    outputs = next(((name,) for name in OUTPUTS if name == output), None)
    return replace(request, outputs=outputs, threshold=threshold, top_k=None if top_k is None else int(top_k))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_READERS: dict[str, Callable[[str, Any, RowSchema], Request]] = {
    "dataframe_split": _split,
    "dataframe_records": _listed,
    "instances": _listed,
    "inputs": _inputs,
}
