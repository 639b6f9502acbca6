"""CSV → rows: a header that names the features in any order, then one line a row.

A cell that is empty is a missing value; so is NA in a numeric column, as R and the data sets of the field write it.
"""

import csv
import io
from collections.abc import Callable
from typing import Any

from model.codec.json_rows import convert
from model.errors import Fault, InvalidRows
from model.faults import BOUND
from model.manifest import Feature
from model.rows import Request, RowSchema


def decode(body: bytes, schema: RowSchema, *, header: bool | None = True) -> Request:
    """Read rows from UTF-8 CSV (RFC 4180); raises InvalidRows, whose pointers are /column or /instances/row/column.

    Without a header the cells are in the order of the features; None looks whether the first line names any.
    """
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError:
        raise InvalidRows((Fault("", "expected UTF-8"),)) from None
    except csv.Error as error:
        raise InvalidRows((Fault("", f"not valid CSV: {error}"),)) from None
    lines = [line for line in lines if line]
    if header is None:
        header = not lines or not set(lines[0]).isdisjoint(schema.names)
    if not header:
        lines.insert(0, list(schema.names))
    names = lines[0] if lines else []
    faults = _header_faults(names, schema) or _width_faults(lines, len(names))
    if faults:
        raise InvalidRows(tuple(faults[:BOUND]))
    order = [names.index(name) for name in schema.names]
    readers = [reader(feature) for feature in schema.features]
    rows = [[read(line[i]) for read, i in zip(readers, order, strict=True)] for line in lines[1:]]
    return convert({"instances": rows}, schema)


def _header_faults(header: list[str], schema: RowSchema) -> list[Fault]:
    missing = [Fault(f"/{name}", "missing column") for name in schema.names if name not in header]
    extra = [Fault(f"/{name[:64]}", "not a feature of this model") for name in header if name not in schema.names]
    twice = [Fault(f"/{name}", "column appears twice") for name in schema.names if header.count(name) > 1]
    return missing + extra + twice


def _width_faults(lines: list[list[str]], width: int) -> list[Fault]:
    return [
        Fault(f"/instances/{i}", f"expected {width} cells, got {len(line)}")
        for i, line in enumerate(lines[1:])
        if len(line) != width
    ]


def reader(feature: Feature) -> Callable[[str], Any]:
    """Return what turns a cell into a value; a cell it cannot read stays a string, which the row's types refuse."""
    if feature.kind == "text":
        return str
    if feature.kind == "boolean":
        return _boolean
    if feature.kind == "category" and any(isinstance(category, str) for category in feature.categories or ("",)):
        return lambda cell: cell or None
    if feature.kind == "category" and all(isinstance(category, bool) for category in feature.categories or ()):
        return _boolean
    return _number


def _number(cell: str) -> float | str | None:
    cell = cell.strip()
    if cell in {"", "NA"}:
        return None
    try:
        # Python alone reads 1_000 and the digits of every script as numbers.
        return float(cell) if cell.isascii() and "_" not in cell else cell
    except ValueError:
        return cell


def _boolean(cell: str) -> bool | str | None:
    return {"": None, "true": True, "false": False, "1": True, "0": False}.get(cell.strip().lower(), cell)
