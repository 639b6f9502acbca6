"""Parquet's footer: where the row groups are, and the same file with only some of them. Pure.

arro3 reads a file from its first row group to its last. A footer that lists fewer makes it read only these, so a range
of row groups is the file with another footer. The footer is a Thrift structure in the compact protocol, whose parts
are copied as they are (apache/parquet-format, `parquet.thrift`; apache/thrift, `doc/specs/thrift-compact-protocol.md`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.errors import InputMalformed

MAGIC = b"PAR1"
TAIL = 8
_STRUCT, _LIST, _SET, _MAP, _BINARY, _DOUBLE, _BYTE = 12, 9, 10, 11, 8, 7, 3
_NUM_ROWS, _ROW_GROUPS = 3, 4


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group: its rows, its bytes before compression, and its own entry in the footer."""

    rows: int
    size: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class Footer:
    """A file's footer; `start` is where it begins in the file."""

    start: int
    content: bytes
    groups: tuple[RowGroup, ...]

    def only(self, first: int, end: int) -> bytes:
        """Return the end of the file (footer, length, magic) as it would be with the row groups [first, end) alone."""
        groups = self.groups[first:end]
        out, after = b"", 0
        for number, kind, start, end_ in _fields(self.content, 0):
            header, value = self.content[after:start], self.content[start:end_]
            if number == _NUM_ROWS:
                value = _zigzag(sum(group.rows for group in groups))
            elif number == _ROW_GROUPS:
                value = _list_header(len(groups), kind=_STRUCT) + b"".join(group.entry for group in groups)
            out += header + value
            after = end_
            del kind
        out += b"\0"
        return out + len(out).to_bytes(4, "little") + MAGIC


def footer_length(tail: bytes) -> int:
    """Return the footer's length by the file's last TAIL bytes; raises InputMalformed."""
    if len(tail) != TAIL or tail[4:] != MAGIC:
        raise InputMalformed("not a Parquet file, or not all of one: its end is missing")
    return int.from_bytes(tail[:4], "little")


def parse(content: bytes, start: int) -> Footer:
    """Read a footer's bytes, which begin at `start` in the file; raises InputMalformed."""
    groups: list[RowGroup] = []
    try:
        for number, kind, at, _ in _fields(content, 0):
            if number == _ROW_GROUPS and kind == _LIST:
                count, _, at = _list_size(content, at)  # noqa: PLW2901
                for _ in range(count):
                    end = _skip(content, at, _STRUCT)
                    groups.append(_group(content[at:end]))
                    at = end  # noqa: PLW2901
    except (IndexError, KeyError):
        raise InputMalformed("the Parquet footer is damaged") from None
    return Footer(start, content, tuple(groups))


def _group(entry: bytes) -> RowGroup:
    numbers = {number: _unzigzag(_varint(entry, at)[0]) for number, kind, at, _ in _fields(entry, 0) if kind == 6}
    return RowGroup(numbers[3], numbers[2], entry)


def _fields(data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (number, type, start, end) of each field of the structure at `at`."""
    number = 0
    while data[at]:
        delta, kind = data[at] >> 4, data[at] & 15
        at += 1
        if delta:
            number += delta
        else:
            value, at = _varint(data, at)
            number = _unzigzag(value)
        end = _skip(data, at, kind)
        yield number, kind, at, end
        at = end


def _skip(data: bytes, at: int, kind: int) -> int:  # noqa: PLR0911  -- one return a type of the protocol
    if kind in (1, 2):  # a boolean field's value is its type
        return at
    if kind == _BYTE:
        return at + 1
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        length, at = _varint(data, at)
        return at + length
    if kind in (_LIST, _SET):
        count, inner, at = _list_size(data, at)
        for _ in range(count):
            at = at + 1 if inner in (1, 2) else _skip(data, at, inner)
        return at
    if kind == _STRUCT:
        for _, _, _, end in _fields(data, at):
            at = end
        return at + 1
    if kind in (4, 5, 6):
        return _varint(data, at)[1]
    raise KeyError(kind)  # a map: the format has none


def _list_size(data: bytes, at: int) -> tuple[int, int, int]:
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _varint(data, at)
    return count, kind, at


def _list_header(count: int, kind: int) -> bytes:
    return bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + _unsigned(count)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return _unsigned(value << 1 if value >= 0 else (-value << 1) - 1)


def _unzigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def cut(groups: Sequence[RowGroup], size: int) -> list[tuple[int, int]]:
    """Return ranges [first, end) of row groups of about `size` bytes each, at least one group in each."""
    ranges, first, held = [], 0, 0
    for i, group in enumerate(groups):
        held += group.size
        if held >= size:
            ranges.append((first, i + 1))
            first, held = i + 1, 0
    return [*ranges, (first, len(groups))] if first < len(groups) or not ranges else ranges
