"""An artifact's files from a store, verified: large ones in parts at the same time, and never the same part twice.

What has arrived when the time is up is kept in /tmp under the digest of its file, and the next attempt goes on from
there. Kept parts are only a saving: the sha256 of the whole decides, and parts that do not give it are thrown away.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.errors import ArtifactCorrupt, ArtifactUnavailable
from model.manifest import digest
from model.serving_store import ServingStore
from model.store import Store, translated

# What S3's own guide advises for ranged reads is 8 to 16 MB, several at once: a connection is slower than the function.
PART = 8 * 1024 * 1024
AT_ONCE = 6
# Parts that nobody came back for: their version is no longer wanted, or its model no longer asked for.
STALE_SECONDS = 3600.0
_EMPTY = digest(b"")
Admit = Callable[[int], None]


def scratch() -> Path:
    """Where parts are kept: /tmp/model-parts on Lambda."""
    return Path(tempfile.gettempdir()) / "model-parts"


def files(store: Store, artifact: str, digests: Mapping[str, str], admit: Admit, folder: Path) -> dict[str, bytes]:
    """Return the named files of `artifact` ("name/version"), each with the digest that is expected of it.

    `admit` is told of their bytes before the large ones are read, and may raise. Raises ArtifactMissing,
    ArtifactCorrupt and ArtifactUnavailable, the latter with `progress` when the next attempt has less to read.
    """
    if not (store.remote and isinstance(store, ServingStore)):
        found = {file: store.read(f"{artifact}/{file}") for file in digests}
        admit(sum(map(len, found.values())))
        return {file: _checked(content, digests[file], f"{artifact}/{file}") for file, content in found.items()}
    kept = Kept(folder)
    wanted = {file: Parts(f"{artifact}/{file}", expected) for file, expected in digests.items()}
    for each in wanted.values():
        kept.read(each)
    before = _arrived(wanted)
    try:
        with translated(artifact):
            store.wait(lambda: _fetch(store, wanted, admit))
    except ArtifactUnavailable as error:
        if _arrived(wanted) > before:
            kept.write(wanted.values())
            error.progress = True
        raise
    kept.clear(wanted.values())
    return {file: each.whole() for file, each in wanted.items()}


@dataclass(slots=True)
class Parts:
    """A file on its way: what has arrived of it, by the number of the part; `size` is known from the first one on."""

    key: str
    digest: str
    size: int | None = None
    arrived: dict[int, Any] = field(default_factory=dict)

    def missing(self) -> list[int]:
        count = -(-(self.size or 0) // PART)
        return [number for number in range(count) if number not in self.arrived]

    def length(self, number: int) -> int:
        return min(PART, (self.size or 0) - number * PART)

    def whole(self) -> bytes:
        """Return the verified bytes; raises ArtifactCorrupt."""
        parts = [self.arrived.pop(number) for number in sorted(self.arrived)]
        return _checked(bytes(parts[0]) if len(parts) == 1 else b"".join(parts), self.digest, self.key)


class Kept:
    """Parts on disk: one file each, <hash>.<size of all>.<number>.

    Several artifacts may be on their way at the same time, so each leaves the parts of the others alone until they are
    stale, or there is no room. Another process may share the folder: what it takes away was only a saving.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, parts: Parts) -> None:
        """Give back what was kept of a file."""
        for path in self._paths(f"{_stem(parts)}.*.*"):
            size, number = map(int, path.name.split(".")[1:])
            with suppress(OSError):
                content = path.read_bytes()
                parts.size = size
                if len(content) == parts.length(number):
                    parts.arrived[number] = content

    def write(self, files: Iterable[Parts]) -> None:
        """Keep what has arrived; raises ArtifactUnavailable when the disk is full even without the parts of others."""
        mine = {
            f"{_stem(parts)}.{parts.size}.{number}": content
            for parts in files
            for number, content in parts.arrived.items()
        }
        try:
            self._put(mine)
        except OSError:
            self._remove(path for path in self._paths() if path.name not in mine)
            try:
                self._put(mine)
            except OSError as error:
                self._remove(self._paths())
                raise ArtifactUnavailable(f"what has arrived cannot be kept: {error.strerror}") from error
        self._remove(self._stale())

    def clear(self, files: Iterable[Parts]) -> None:
        """Keep nothing of these files."""
        for parts in files:
            self._remove(self._paths(f"{_stem(parts)}.*.*"))
        self._remove(self._stale())

    def _put(self, contents: Mapping[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if not (self._folder / name).exists():
                scratch = self._folder / f".{name}.{os.getpid()}"  # whoever is killed here leaves no half part
                scratch.write_bytes(content)
                scratch.replace(self._folder / name)

    def _paths(self, pattern: str = "*") -> list[Path]:
        return list(self._folder.glob(pattern)) if self._folder.is_dir() else []

    def _stale(self) -> Iterator[Path]:
        oldest = time.time() - STALE_SECONDS
        for path in self._paths():
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    yield path

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)


async def _fetch(store: ServingStore, wanted: Mapping[str, Parts], admit: Admit) -> None:
    """Read the first part of every file, which tells its size, then all that is missing."""
    import asyncio  # noqa: PLC0415  -- see model.bounded

    gate = asyncio.Semaphore(AT_ONCE)

    async def read(parts: Parts, number: int) -> None:
        async with gate:
            content, parts.size = await store.part(parts.key, number * PART, PART)
        if len(content) == parts.length(number):
            parts.arrived[number] = content

    heads = [parts for parts in wanted.values() if parts.size is None and parts.digest != _EMPTY]
    await asyncio.gather(*(read(parts, 0) for parts in heads))
    admit(sum(parts.size or 0 for parts in wanted.values()))
    await asyncio.gather(*(read(parts, number) for parts in wanted.values() for number in parts.missing()))


def _arrived(wanted: Mapping[str, Parts]) -> int:
    return sum(len(parts.arrived) for parts in wanted.values())


def _stem(parts: Parts) -> str:
    """Return what the names of a file's parts begin with: a hash, for key and digest are what a manifest says."""
    return digest(f"{parts.key} {parts.digest}".encode()).removeprefix("sha256:")


def _checked(content: bytes, expected: str, key: str) -> bytes:
    if digest(content) != expected:
        raise ArtifactCorrupt(f"{key} is not the file that was packed: its sha256 differs")
    return content
