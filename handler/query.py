"""The options in a query string: outputs, top_k, threshold, label, record; imported only when there is one."""

from dataclasses import replace
from typing import cast
from urllib.parse import parse_qsl

from model.errors import Fault, InvalidRows
from model.manifest import OutputName
from model.rows import LARGEST, Request

NAMES = ("outputs", "top_k", "threshold", "label", "record")
_SWITCH = ("true", "false")
_DIGITS = 10


def parse(query: bytes) -> dict[str, str]:
    """Return the options of a query string; raises InvalidRows for an unknown or repeated one."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise InvalidRows((Fault("", "not a valid query string"),)) from None
    names = [name for name, _ in pairs]
    faults = [_fault(name[:64], f"no such option; known are {', '.join(NAMES)}") for name in names if name not in NAMES]
    faults += [_fault(name, "given more than once") for name in NAMES if names.count(name) > 1]
    if faults:
        raise InvalidRows(tuple(faults))
    return dict(pairs)


def apply(request: Request, options: dict[str, str], offered: tuple[OutputName, ...]) -> Request:
    """Return the request with the options of its query; they come before those of its body. Raises InvalidRows."""
    faults = []
    if "outputs" in options:
        outputs = tuple(options["outputs"].split(","))
        if set(outputs) <= set(offered):
            request = replace(request, outputs=cast(tuple[OutputName, ...], outputs))
        else:
            faults.append(_fault("outputs", f"expected some of {', '.join(offered)}, separated by commas"))
    if "top_k" in options:
        count = options["top_k"]
        if count.isascii() and count.isdigit() and len(count) <= _DIGITS and 0 < int(count) <= LARGEST:
            request = replace(request, top_k=int(count))
        else:
            faults.append(_fault("top_k", "expected a whole number above 0"))
    if "threshold" in options:
        share = _number(options["threshold"])
        if share is not None and 0 <= share <= 1:
            request = replace(request, threshold=share)
        else:
            faults.append(_fault("threshold", "expected a number from 0 to 1"))
    if options.get("record", "true") not in _SWITCH:
        faults.append(_fault("record", "expected true or false"))
    if faults:
        raise InvalidRows(tuple(faults))
    return request


def _number(text: str) -> float | None:
    try:
        return float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None


def _fault(name: str, detail: str) -> Fault:
    return Fault("", f"query parameter {name}: {detail}")
