"""JSON ↔ rows: every native request form in, the native answer out."""

import json
from typing import Any

import msgspec

from model.codec import caps
from model.errors import Fault, InvalidRows
from model.faults import explain, explain_json
from model.rows import Request, RowSchema
from model.scorer import Prediction

BOM = b"\xef\xbb\xbf"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON of the type: for a string that is no UTF-8, Python's own error."""


def decode(body: bytes, schema: RowSchema, limits: caps.Limits = caps.DEFAULT) -> Request:
    """Read one request from UTF-8 JSON, in one pass when it is good; raises InvalidRows with every fault, or TooLarge.

    Of a key that appears twice the last counts, as for most parsers.
    """
    body = body.removeprefix(BOM)
    caps.check_json(body, limits)
    try:
        request = schema.request(schema.decode_json(body))
    except UNREADABLE:
        request = None
    if request is None:
        caps.check_shape(body, limits)
        faults = explain_json(body, schema)
        if faults:
            raise InvalidRows(faults)
        # The fast decoder looks at each of two equal keys, the document means the last one.
        return convert(json.loads(body), schema)
    return request


def unreadable(error: Exception) -> InvalidRows:
    """Return the refusal of bytes that are no JSON at all."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidRows((Fault("", "expected UTF-8"),))
    return InvalidRows((Fault("", "not valid JSON (a missing value is null, not NaN)"),))


def convert(value: Any, schema: RowSchema) -> Request:
    """Read one request from an already parsed document (a direct invoke); raises InvalidRows with every fault."""
    try:
        request = schema.request(schema.convert(value))
    except (msgspec.ValidationError, RecursionError):
        request = None
    if request is None:
        raise InvalidRows(explain(value, schema))
    return request


def render(prediction: Prediction, *, single: bool, identifier: str) -> dict[str, Any]:
    """Return the answer as a document: singular names and values for one row, plural names and lists for many."""
    answer: dict[str, Any] = {}
    for one, many, values in (
        ("prediction", "predictions", prediction.values),
        ("label", "labels", prediction.labels),
        ("probabilities", "probabilities", prediction.probabilities),
        ("decision", "decisions", prediction.decisions),
        ("conversions", "conversions", prediction.conversions),
    ):
        if values is not None:
            answer[one if single else many] = values[0] if single else values
    if prediction.unit is not None:
        answer["unit"] = prediction.unit
    answer["model"] = {"name": prediction.name, "version": prediction.version}
    answer["id"] = identifier
    return answer


encode = msgspec.json.Encoder().encode
