"""The lines of whatever objects lie in a folder or an S3 prefix, plain or gzip, a piece at a time.

Firehose names its objects by the UTC hour in which the first record came, `2026/11/21/09/…`; other names are read, too.
"""

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from model.store import Store, translated

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import ReadableFile

_HOUR = re.compile(r"(\d{4})/(\d\d)/(\d\d)/(\d\d)/")
# A record may wait in a buffer, or come late: the hours before and after the window are looked into.
_SLACK = timedelta(hours=1)
# No log event is longer than 1 MiB.
_LONGEST = 1 << 20
_MAGIC = b"\x1f\x8b"


def keys(store: Store, start: datetime | None, end: datetime | None) -> Iterator[str]:
    """Yield the objects that may hold records from `start` to `end`; reports are none."""
    after = f"{start - _SLACK:%Y/%m/%d/%H}" if start else ""
    last = f"{end + _SLACK:%Y/%m/%d/%H}/" if end else None
    for key in store.keys(after):
        found = _HOUR.match(key)
        if not (key.endswith(".html") or (found and last and found[0] > last)):
            yield key


def lines(store: Store, key: str, spoiled: Callable[[str], None]) -> Iterator[bytes]:
    """Yield the lines of an object; one whose gzip is damaged ends there, and its key is told to `spoiled`."""
    with translated(key):
        raw = io.BufferedReader(_Raw(store.reader(key)), 1 << 18)
        file = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _MAGIC else raw
        try:
            while line := file.readline(_LONGEST):
                yield line
        except (gzip.BadGzipFile, EOFError, zlib.error):
            spoiled(key)


def instant(text: str) -> datetime:
    """Return the moment in an RFC 3339 text; without a zone it is UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


class OneFile(Store):
    """A store with a single object: a file of records, such as a log that was saved."""

    def __init__(self, file: Path) -> None:
        super().__init__(file.parent.as_uri())
        self._name = file.name

    def keys(self, after: str = "") -> Iterator[str]:
        """Yield the file's name, whatever it is."""
        del after
        yield self._name


class _Raw(io.RawIOBase):
    """An object of the store as Python reads files."""

    def __init__(self, reader: "ReadableFile") -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        content = bytes(self._reader.read(len(view)))
        view[: len(content)] = content
        return len(content)
