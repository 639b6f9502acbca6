"""What a body may hold, looked at before anything is built of it. Pure.

A body that is shorter than every limit holds nothing longer, so most are not looked at. A longer one is sampled, which
is certain to hit what is too long; only where a sample hits is it read character by character.
"""

import json
import re
from dataclasses import dataclass

from model.errors import TooLarge

# Possessive, and the end of the body closes a string: nothing here can backtrack.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_DIGITS = re.compile(rb"[0-9]+")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NOT_COMMAS = bytes(set(range(256)) - set(b"[]{},"))


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many: rows and columns of a request, bytes of a string, levels of nesting, digits in a row."""

    rows: int = 10_000
    columns: int = 1_000
    string: int = 65_536
    depth: int = 32
    digits: int = 1_000


DEFAULT = Limits()


def check_json(body: bytes, limits: Limits, width: int = 1) -> None:
    """Refuse containers, strings and numbers beyond the limits, `width` containers a row; raises TooLarge."""
    longest = limits.rows * width + limits.depth
    size = len(body)
    if size > longest and body.count(b"[") + body.count(b"{") > longest:
        bare = _STRING.sub(b"", body)
        if bare.count(b"[") + bare.count(b"{") > longest:
            raise TooLarge(f"more than {limits.rows} rows in one request")
    if size > limits.digits and _has_long_run(body, limits.digits):
        bare = _STRING.sub(b" ", body)
        if _has_long_run(bare, limits.digits):
            raise TooLarge(f"a number of more than {limits.digits} digits")
    if size > limits.string and _may_have_long_string(body, limits.string):
        _check_strings(body, limits.string)


def check_shape(body: bytes, limits: Limits) -> None:
    """Refuse nesting and rows beyond the limits, for who builds what no type bounds; raises TooLarge."""
    if body.count(b"[") + body.count(b"{") > limits.depth and _is_deep(body, limits.depth):
        raise TooLarge(f"nested more than {limits.depth} levels deep")
    if body.count(b",") >= limits.columns:
        commas = _STRING.sub(b"", body).translate(None, _NOT_COMMAS)
        if b"," * limits.columns in commas:
            raise TooLarge(f"more than {limits.columns} values in one row")


def check_csv(body: bytes, limits: Limits) -> None:
    """Refuse lines, cells of the first line, long cells and long numbers beyond the limits; raises TooLarge."""
    # The header, and the end of the last line.
    if max(body.count(b"\n"), body.count(b"\r")) > limits.rows + 1:
        raise TooLarge(f"more than {limits.rows} rows in one request")
    end = body.find(b"\n")
    if body.count(b",", 0, end if end >= 0 else len(body)) >= limits.columns:
        raise TooLarge(f"more than {limits.columns} columns in one request")
    if len(body) > limits.digits and _has_long_run(body, limits.digits):
        raise TooLarge(f"a number of more than {limits.digits} digits")
    if len(body) > limits.string:
        longest = max(map(len, re.split(rb"[,\r\n]", body)))
        if longest > limits.string:
            raise TooLarge(f"a cell of more than {limits.string} bytes")


def _has_long_run(body: bytes, limit: int) -> bool:
    """Tell whether a run of digits is too long: one in `limit` + 1 bytes meets every run that is."""
    step = limit + 1
    sample = body[limit::step]
    for i, byte in enumerate(sample):
        if 48 <= byte <= 57:
            at = limit + i * step
            start = at
            while start > 0 and at - start <= limit and 48 <= body[start - 1] <= 57:
                start -= 1
            run = _DIGITS.match(body, start, start + step)
            if run is not None and run.end() - start > limit:
                return True
    return False


def _may_have_long_string(body: bytes, limit: int) -> bool:
    """Half a limit without a quote lies within every string that is too long, unless quotes are escaped in it."""
    half = max(limit // 2, 1)
    return b"\\" in body or any(body.find(b'"', at, at + half) < 0 for at in range(0, len(body), half))


def _check_strings(body: bytes, limit: int) -> None:
    for match in _STRING.finditer(body):
        if match.end() - match.start() - 2 > limit and _length(match.group()) > limit:
            raise TooLarge(f"a string of more than {limit} bytes")


def _length(string: bytes) -> int:
    """Return how many bytes of UTF-8 a JSON string means; one that is no JSON is as long as it is."""
    try:
        return len(json.loads(string).encode("utf-8", "surrogatepass"))
    except ValueError:
        return len(string)


def _is_deep(body: bytes, limit: int) -> bool:
    """Count the levels; their number is bounded by `check_json`, and what closes more than it opened is no JSON."""
    level = 0
    for byte in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        level += 1 if byte in b"[{" else -1
        if not 0 <= level <= limit:
            return level > 0
    return False
