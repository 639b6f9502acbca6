"""Lines of text as a stream: blocks of bytes → chunks of whole records, and answers appended to each line. Pure.

A chunk holds whole records and is cut by the bytes alone, never by how they arrived, so that the same input gives the
same chunks, and so the same bytes of output, in every attempt.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from model.errors import Fault, InputMalformed
from model.rows import Row

CHUNK = 2 * 1024 * 1024
LONGEST = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the slow path reads it: its line, its bytes (in Parquet its position), its row or its faults."""

    line: int
    raw: Any
    row: Row | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Cutter:
    """Cuts a stream into chunks of whole records; in CSV a line break between quotes ends none.

    `quotes` counts all quotation marks seen: when it is even at the end, a cut after the last line break was one
    between records too, which is how byte ranges prove that they fit together.
    """

    quoted: bool
    line: int = 1
    size: int = CHUNK
    quotes: int = 0
    _rest: bytes = b""
    _lines: int = field(default=0, init=False)

    def chunks(self, blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield (number of the first line, chunk); the last chunk gets the line break that it may lack."""
        for block in _resized(blocks, self.size):
            data = self._rest + block
            end = self._end(data)
            if not end and len(data) > LONGEST:
                raise InputMalformed(f"line {self.line}: a record of more than {LONGEST} bytes")
            self._rest = data[end:]
            if end:
                yield self._counted(data[:end])
        if self._rest.strip(b"\r\n \t"):
            if self.quoted and (self.quotes + self._rest.count(b'"')) % 2:
                raise InputMalformed(
                    f"line {self.line}: a cell between quotes does not end; in ranges, score it in one range"
                )
            rest, self._rest = self._rest, b""
            yield self._counted(rest if rest.endswith(b"\n") else rest + b"\n")

    def _counted(self, chunk: bytes) -> tuple[int, bytes]:
        line = self.line
        self.line += chunk.count(b"\n")
        if self.quoted:
            self.quotes += chunk.count(b'"')
        return line, chunk

    def _end(self, data: bytes) -> int:
        """Return where the last whole record ends."""
        end = data.rfind(b"\n") + 1
        if not self.quoted or b'"' not in data:
            return end
        odd = data.count(b'"', 0, end) % 2
        while end and odd:
            before = data.rfind(b"\n", 0, end - 1) + 1
            odd = (odd + data.count(b'"', before, end)) % 2
            end = before
        return end


def _resized(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]


def unzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what gzip members hold, CHUNK bytes at a time; raises InputMalformed where one is damaged or cut off."""
    unpacker = zlib.decompressobj(31)
    started = False
    try:
        for block in blocks:
            data = block
            while data:
                if unpacker.eof:
                    if not data.strip(b"\0"):
                        break
                    unpacker, started = zlib.decompressobj(31), False
                out = unpacker.decompress(data, CHUNK)
                started = True
                data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                if out:
                    yield out
        while not unpacker.eof and (out := unpacker.decompress(b"", CHUNK)):
            yield out
    except zlib.error:
        raise InputMalformed("the gzip stream is damaged") from None
    if started and not unpacker.eof:
        raise InputMalformed("the gzip stream ends before its end: was the object uploaded whole?")


def lines(chunk: bytes) -> list[bytes]:
    """Return the lines of a chunk that ends with a line break, without breaks and without empty ones."""
    found = chunk.split(b"\n")
    found.pop()
    if b"\r" in chunk:
        found = [line.removesuffix(b"\r") for line in found]
    return (
        found if b"\n\n" not in chunk and found[:1] != [b""] and b"\r\n\r\n" not in chunk else [x for x in found if x]
    )
