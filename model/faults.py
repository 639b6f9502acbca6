"""The slow explainer: reads a refused request again and lists every fault, by JSON pointer, without repeating a value.

Runs only after the compiled decoder of `model.rows` has refused, so it may be slow and thorough.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from model.errors import Fault
from model.manifest import Feature
from model.rows import LARGEST, LIMIT, RESERVED, RowSchema

# Enough to mend a form or a column; more would make a small bad request a large answer.
BOUND = 100
_LISTED = 20
_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array", dict: "an object"}


def explain_json(body: bytes, schema: RowSchema) -> tuple[Fault, ...]:
    """Return the faults of a JSON body; none when it is good but for a key that appears twice.

    The standard parser reads what the fast one refuses whole (NaN, 1e999), so that these get a pointer as well.
    """
    try:
        value = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        return (Fault("", "expected UTF-8"),)
    except RecursionError:
        return (Fault("", "nested too deeply"),)
    except json.JSONDecodeError as error:
        return (Fault("", f"not valid JSON: {error.msg} at character {error.pos}"),)
    except ValueError:  # Python refuses integers of more than 4,300 digits
        return (Fault("", "a number has too many digits"),)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return (Fault("", "not valid JSON: half a surrogate pair in a string"),)
    return explain(value, schema)


def explain(request: Any, schema: RowSchema) -> tuple[Fault, ...]:
    """Return up to BOUND faults of a parsed request, in the order of the document."""
    faults = []
    for fault in _request(request, schema):
        faults.append(fault)
        if len(faults) == BOUND:
            faults.append(Fault("", f"only the first {BOUND} faults are listed"))
            break
    return tuple(faults)


def _request(request: Any, schema: RowSchema) -> Iterator[Fault]:
    if not isinstance(request, dict):
        yield Fault("", f"expected an object, got {_kind(request)}")
        return
    forms = [form for form in ("features", "instances") if form in request]
    if len(forms) == 2:
        yield Fault("/instances", 'expected either "features" (one row) or "instances" (many), not both')
    rest = {key: value for key, value in request.items() if key not in {*RESERVED, *schema.options}}
    if forms:
        yield from (Fault(join("", key), f'not expected beside "{forms[0]}"') for key in rest)
    if "features" in request:
        yield from _row("/features", request["features"], schema)
    if "instances" in request:
        yield from _rows(request["instances"], schema)
    if not forms:
        yield from _bare(rest, schema)
    if "outputs" in request:
        yield from _outputs(request["outputs"], schema)
    if "top_k" in schema.options and not _is_count(request.get("top_k", 1)):
        yield Fault("/top_k", "expected a whole number above 0")
    if "threshold" in schema.options and not _is_share(request.get("threshold", 0)):
        yield Fault("/threshold", "expected a number from 0 to 1")


def _bare(row: dict[str, Any], schema: RowSchema) -> Iterator[Fault]:
    if not schema.bare or not (set(row) & set(schema.names)):
        yield Fault("", 'expected "features" (one row), "instances" (many rows), or one key a feature')
    else:
        yield from _row("", row, schema)


def _rows(rows: Any, schema: RowSchema) -> Iterator[Fault]:
    if not isinstance(rows, list):
        yield Fault("/instances", f"expected an array of rows, got {_kind(rows)}")
        return
    for i, row in enumerate(rows):
        yield from _row(f"/instances/{i}", row, schema)


def _row(pointer: str, row: Any, schema: RowSchema) -> Iterator[Fault]:
    if isinstance(row, dict):
        yield from (
            Fault(join(pointer, feature.name), f"missing, expected {expected(feature)}")
            for feature in schema.features
            if feature.name not in row
        )
        for key, value in row.items():
            if key in schema.names:
                yield from _value(join(pointer, key), value, schema.features[schema.names.index(key)])
            else:
                yield Fault(join(pointer, key), "not a feature of this model")
    elif isinstance(row, list | tuple):
        if len(row) != len(schema.features):
            yield Fault(pointer, f"expected {len(schema.features)} values ({_listed(schema.names)}), got {len(row)}")
        else:
            for i, (feature, value) in enumerate(zip(schema.features, row, strict=True)):
                yield from _value(f"{pointer}/{i}", value, feature)
    else:
        yield Fault(pointer, f"expected an array or an object, got {_kind(row)}")


def _value(pointer: str, value: Any, feature: Feature) -> Iterator[Fault]:
    if value is None:
        if not feature.nullable:
            yield Fault(pointer, f"expected {expected(feature)}, got null")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(pointer, "expected a finite number")
    elif _is_number(value) and abs(value) > LIMIT:
        yield Fault(pointer, f"expected a number within ±{LIMIT:g}")
    elif not _TESTS[feature.kind](value, feature):
        got = "another value" if feature.kind in {"category", "integer"} else _kind(value)
        yield Fault(pointer, f"expected {expected(feature)}, got {got}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and 0 < value <= LARGEST and value == int(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_category(value: Any, feature: Feature) -> bool:
    known = feature.categories or ("",)
    same_kind = (
        isinstance(value, str)
        if any(isinstance(category, str) for category in known)
        else isinstance(value, bool)
        if all(isinstance(category, bool) for category in known)
        else _is_number(value)
    )
    return same_kind and (feature.open or feature.categories is None or value in known)


_TESTS: dict[str, Callable[[Any, Feature], bool]] = {
    "number": lambda value, _: _is_number(value),
    "integer": lambda value, _: _is_number(value) and value == int(value),
    "boolean": lambda value, _: isinstance(value, bool),
    "text": lambda value, _: isinstance(value, str),
    "category": _is_category,
}


def _outputs(outputs: Any, schema: RowSchema) -> Iterator[Fault]:
    wanted = f"an array of {_listed(schema.offered)}"
    if not isinstance(outputs, list) or not outputs:
        yield Fault("/outputs", f"expected {wanted}")
        return
    for i, output in enumerate(outputs):
        if output not in schema.offered:
            yield Fault(f"/outputs/{i}", f"expected one of {_listed(schema.offered)}")


def located(error: msgspec.ValidationError) -> Fault:
    """Turn a decoder's refusal ("Expected `int`, got `str` - at `$.inputs[0].shape[1]`") into a fault."""
    words, _, path = str(error).partition(" - at `$")
    pointer = re.sub(r"[.\[]", "/", path.rstrip("`").replace("]", ""))
    return Fault(pointer.replace("/...", ""), words.replace("`", "")[:200])


def expected(feature: Feature) -> str:
    """Say in words what the column takes: "a number or null", "one of "a", "b""."""
    if feature.kind == "category" and feature.categories and not feature.open:
        words = f"one of {_listed(tuple(json.dumps(category) for category in feature.categories))}"
    else:
        words = {"integer": "an integer", "boolean": "true or false", "text": "a string"}.get(feature.kind, "a number")
        if feature.kind == "category" and _is_category("", feature):
            words = "a string"
    return f"{words} or null" if feature.nullable else words


def _listed(words: tuple[str, ...]) -> str:
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "another type")


def join(pointer: str, key: str) -> str:
    """Append one reference token, escaped as RFC 6901 section 3 says; a hostile key is cut."""
    return f"{pointer}/{key[:64].replace('~', '~0').replace('/', '~1')}"
