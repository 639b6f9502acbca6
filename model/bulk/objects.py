"""Objects of rows through obstore: a bucket or the file system, read in ranges of one version, written as a stream.

Everything is read by ranges with `If-Match`: a stream of one long request would be cut by any timeout, and could not
tell that the object was overwritten in the middle.
"""

import hashlib
import shutil
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, from_url

from model.bulk.job import Place, place
from model.errors import AccessDenied, InputChanged, InputMissing, StoreUnavailable

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore

BLOCK = 8 * 1024 * 1024
# Retries cover throttling (503 Slow Down); a call that is out of them is answered by the event's own retry.
_TIMEOUT, _CONNECT, _RETRIES, _BUDGET = timedelta(seconds=60), timedelta(seconds=3), 6, timedelta(seconds=60)
_AHEAD = 2
# How obstore words a denial that it gives no class of its own: by its files for everything, by S3 for a listing.
_DENIALS = ("necessary privileges", "status code: 401", "status code: 403")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object: what it is read by, and how many bytes it has."""

    url: str
    etag: str
    size: int
    id: str | None = None


class Objects:
    """The objects of whatever buckets a job names; `endpoint` is another address of S3, as in `model.store`."""

    def __init__(self, endpoint: str | None = None) -> None:
        self._endpoint = endpoint
        self._stores: dict[str, ObjectStore] = {}

    def head(self, url: str, version: str | None = None) -> Version:
        """Return what is there now, or the version named; raises InputMissing, AccessDenied or StoreUnavailable."""
        where = place(url)
        options: GetOptions = {"head": True, "version": version} if version else {"head": True}
        with translated(url):
            meta = obstore.get(self._store(where), where.key, options=options).meta
        return Version(url, (meta["e_tag"] or "").strip('"'), meta["size"], version)

    def read(self, version: Version, start: int, end: int) -> bytes:
        """Return bytes [start, end) of one version; raises InputChanged when another has taken its place."""
        if end <= start:
            return b""
        where = place(version.url)
        # A version id never changes its bytes; the etag is what holds where there is none.
        options: GetOptions = {"version": version.id} if version.id else {"if_match": f'"{version.etag}"'}
        options["range"] = (start, end)
        with translated(version.url):
            return bytes(obstore.get(self._store(where), where.key, options=options).bytes())

    def blocks(self, version: Version, start: int, end: int) -> Iterator[bytes]:
        """Return the bytes in blocks of BLOCK, the next ones on their way while one is worked on."""
        starts = iter(range(start, end, BLOCK))
        with ThreadPoolExecutor(_AHEAD) as pool:
            coming: deque[Future[bytes]] = deque()
            for at in starts:
                coming.append(pool.submit(self.read, version, at, min(at + BLOCK, end)))
                if len(coming) >= _AHEAD:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def get(self, url: str) -> bytes:
        """Return a small object whole; raises InputMissing when it is not there."""
        where = place(url)
        with translated(url):
            return bytes(obstore.get(self._store(where), where.key).bytes())

    def find(self, url: str) -> bytes | None:
        """Return a small object whole, or None when it is not there."""
        try:
            return self.get(url)
        except InputMissing:
            return None

    def create(self, url: str, content: bytes) -> bool:
        """Put a small object if none is there: exactly one of many writers gets True."""
        where = place(url)
        with translated(url):
            try:
                obstore.put(self._store(where), where.key, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def writer(self, url: str, *, gzip: bool = False) -> "Writer":
        """Return a file that becomes visible when it is closed, and only then."""
        where = place(url)
        with translated(url):
            # Four parts of 8 MB on their way at most; S3 takes 10,000 parts, so 80 GB.
            file = obstore.open_writer(self._store(where), where.key, buffer_size=BLOCK, max_concurrency=4)
        return Writer(file, url, gzip=gzip)

    def list(self, url: str) -> list[str]:
        """Return the URLs of all objects below a prefix."""
        where = place(url.rstrip("/") + "/x")
        with translated(url):
            pages = obstore.list(self._store(where), where.key.rpartition("/")[0])
            return [f"{where.root}/{entry['path']}" for page in pages for entry in page]

    def delete(self, url: str) -> None:
        """Remove an object; one that is gone already is no error."""
        where = place(url)
        with translated(url):
            try:
                obstore.delete(self._store(where), where.key)
            except FileNotFoundError:
                return

    def delete_all(self, urls: Sequence[str]) -> None:
        """Remove objects, in S3 a thousand a request; those that are gone already are no error."""
        for url in urls:
            if place(url).root == "file://":
                self.delete(url)
        keys: dict[str, list[str]] = {}
        for where in map(place, urls):
            if where.root != "file://":
                keys.setdefault(where.root, []).append(where.key)
        for root, found in keys.items():
            with translated(root):
                obstore.delete(self._store(Place(root, found[0])), found)

    def drop_folder(self, url: str) -> None:
        """Remove all below a prefix; of a local one also what a killed writer left unfinished, which no listing shows.

        In S3 that is an incomplete multipart upload, and the bucket's lifecycle rule removes it.
        """
        if url.startswith("file:///"):
            shutil.rmtree(Path(unquote(url.removeprefix("file://"))), ignore_errors=True)
            return
        self.delete_all(self.list(url))

    def sweep_unfinished(self, url: str, kept: str) -> None:
        """Of a local prefix, remove the folders but one: killed writers leave files in them that no listing shows."""
        if url.startswith("file:///"):
            root, winner = (Path(unquote(u.removeprefix("file://"))) for u in (url, kept))
            for folder in root.iterdir():
                if folder.is_dir() and folder != winner:
                    shutil.rmtree(folder, ignore_errors=True)

    def _store(self, where: Place) -> "ObjectStore":
        if where.root not in self._stores:
            if where.root == "file://":
                self._stores[where.root] = LocalStore("/")
            else:
                self._stores[where.root] = from_url(
                    where.root,
                    config={"endpoint": self._endpoint} if self._endpoint else None,
                    client_options={
                        "timeout": _TIMEOUT,
                        "connect_timeout": _CONNECT,
                        "allow_http": (self._endpoint or "").startswith("http://"),
                    },
                    retry_config={"max_retries": _RETRIES, "retry_timeout": _BUDGET},
                )
        return self._stores[where.root]


class Writer:
    """A binary file in a store that digests what it writes; abandoned without `close` it never becomes visible."""

    def __init__(self, file: Any, url: str, *, gzip: bool = False) -> None:
        self._file, self._url = file, url
        self._digest = hashlib.sha256()
        # Level 1: at 6 the compressor alone takes longer than parsing, predicting and writing. No time in the header.
        self._packer = zlib.compressobj(1, wbits=31) if gzip else None
        self.bytes = 0
        self.error: Exception | None = None

    def write(self, content: Any) -> int:
        """Write all of `content`; raises AccessDenied or StoreUnavailable."""
        data = self._packer.compress(content) if self._packer else bytes(content)
        self._write(data)
        return len(content)

    def _write(self, data: bytes) -> None:
        if data:
            self._digest.update(data)
            self.bytes += len(data)
            try:
                with translated(self._url):
                    self._file.write(data)
            except Exception as error:
                self.error = error  # the Parquet writer in between would give it another class
                raise

    def flush(self) -> None:
        """Do nothing: what is written leaves in blocks of its own size."""

    def writable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Refuse: the Parquet writer asks whether there is such a method, and never calls it."""
        raise UnsupportedOperation(f"seek({offset}, {whence})")

    def close(self) -> None:
        """Complete the object: from now on it is there."""
        if self._packer:
            self._write(self._packer.flush())
            self._packer = None
        with translated(self._url):
            self._file.close()

    @property
    def digest(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"


class BlockFile:
    """A seekable file over one version, for readers that jump: blocks are fetched once and the latest are kept.

    A Parquet reader takes a page of each column in turn, so there must be room for a block a column: 80 of 1 MB.
    `tail` replaces the bytes from `cut` on (see `model.codec.parquet_footer`).
    """

    SIZE, KEPT = 1024 * 1024, 80

    def __init__(self, objects: Objects, version: Version, cut: int, tail: bytes) -> None:
        self._objects, self._version, self._cut, self._tail = objects, version, cut, tail
        self._size, self._at = cut + len(tail), 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.error: Exception | None = None

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes from here on, fewer at the end."""
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        found = []
        try:
            while self._at < end:
                found.append(self._piece(end))
                self._at += len(found[-1])
        except Exception as error:
            self.error = error  # the reader in between would give it another class
            raise
        return found[0] if len(found) == 1 else b"".join(found)

    def _piece(self, end: int) -> bytes:
        if self._at >= self._cut:
            return self._tail[self._at - self._cut : end - self._cut]
        number, offset = divmod(self._at, self.SIZE)
        block = self._block(number)
        return block[offset : offset + min(end, self._cut) - self._at]

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            start = number * self.SIZE
            block = self._objects.read(self._version, start, min(start + self.SIZE, self._cut))
            self._blocks[number] = block
            if len(self._blocks) > self.KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(number)
        return block


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the store's errors into the model's, with the URL: a bulk job's keys are its caller's own."""
    try:
        yield
    except FileNotFoundError:
        raise InputMissing(f"{url} is not there") from None
    except (PermissionDeniedError, UnauthenticatedError, PermissionError):
        raise AccessDenied(f"{url}: the store denies access; grant the role this prefix") from None
    except PreconditionError:
        raise InputChanged(f"{url} was overwritten while it was read") from None
    except (BaseError, OSError) as error:
        if any(words in str(error) for words in _DENIALS):
            raise AccessDenied(f"{url}: the store denies access; grant the role this prefix") from None
        raise StoreUnavailable(f"{url}: {type(error).__name__}") from error
