"""A store as those see it who change it: conditional puts, sizes and dates, deletions. Build time only.

Patient, for a person waits and uploads are slow; credentials also from where an AWS command line has them.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError

from model import local_swap
from model.errors import ArtifactMissing
from model.store import Patience, Store, translated

PATIENCE = Patience(timedelta(seconds=60), timedelta(seconds=5), 6, timedelta(seconds=90))
PART = 8 * 1024 * 1024
PARTS_AT_ONCE = 4
Sent = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its key, its size in bytes, when it was last written."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """What an object held when it was read, None for nothing; `mark` is the store's own name for that state."""

    content: bytes | None
    mark: str | None = None


class Shelf(Store):
    """A store that can be written to."""

    def __init__(self, url: str, endpoint: str | None = None, patience: Patience = PATIENCE) -> None:
        super().__init__(url, endpoint, patience)

    @classmethod
    def of(cls, store: Store) -> "Shelf":
        """Return the same store, to write to."""
        return store if isinstance(store, cls) else cls(store.url, store.endpoint)

    def prepare(self) -> None:
        """Make the folder of a file:// store."""
        if not self.remote:
            self.folder.mkdir(parents=True, exist_ok=True)

    def entries(self, prefix: str) -> list[Entry]:
        """Return all objects below a folder, none where there is none."""
        if not self.remote and not self.folder.is_dir():
            return []
        with translated(prefix, "listed"):
            batches = list(obstore.list(self._store(), prefix))
        return [Entry(e["path"], e["size"], e["last_modified"]) for batch in batches for e in batch]

    def hold(self, key: str) -> Held:
        """Read what an object holds, to be swapped for something else."""
        if not self.remote and not self.folder.is_dir():
            return Held(None)
        with translated(key):
            try:
                found = obstore.get(self._store(), key)
                return Held(bytes(found.bytes()), found.meta["e_tag"])
            except FileNotFoundError:
                return Held(None)

    def create(self, key: str, content: bytes) -> bool:
        """Put an object unless there is one; tell whether it now holds `content`.

        A put that was retried may find its own first attempt, so what is there is compared.
        """
        with translated(key, "written"):
            try:
                obstore.put(self._store(create=True), key, content, mode="create")
            except AlreadyExistsError:
                return self.hold(key).content == content
        return True

    def swap(self, key: str, held: Held, content: bytes) -> bool:
        """Put `content` where the object is still what was held; tell whether it now holds `content`."""
        if not self.remote:
            with translated(key, "written"):
                return local_swap.swap(self.folder / key, held.content, content)
        if held.content is None:
            return self.create(key, content)
        with translated(key, "written"):
            try:
                obstore.put(self._store(), key, content, mode={"e_tag": held.mark})
            except PreconditionError:
                return self.hold(key).content == content
        return True

    def upload(self, key: str, content: bytes, sent: Sent) -> None:
        """Put a file, a large one in parts sent at the same time; `sent` is told of the bytes as they are taken."""
        with translated(key, "written"):
            if self.remote and len(content) > 2 * PART:
                parts = _parts(content, sent)
                obstore.put(self._store(), key, parts, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
            else:
                obstore.put(self._store(create=True), key, content)
                sent(len(content))

    def delete(self, keys: list[str]) -> None:
        """Delete objects in this order, one after the other; one that is gone is no error."""
        for key in keys:
            with translated(key, "deleted"):
                try:
                    obstore.delete(self._store(), key)
                except FileNotFoundError:
                    continue

    def clear(self, prefix: str) -> None:
        """Remove what a folder leaves when its objects are deleted: itself, and lock files. S3 has no folders."""
        if not self.remote:
            shutil.rmtree(self.folder / prefix, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Where a file:// store is."""
        return Path(unquote(urlsplit(self.url).path))

    def _credentials(self) -> dict[str, Any]:
        """Profiles and single sign-on are botocore's business; obstore itself reads the AWS_* variables only."""
        if "AWS_ACCESS_KEY_ID" in os.environ or find_spec("boto3") is None:
            return {}
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

        try:
            return {"credential_provider": Boto3CredentialProvider()}
        except ValueError:  # it knows no credentials either: a container's or an instance's role
            return {}


def read_if_there(store: Store, key: str) -> bytes | None:
    """Return an object's bytes, None where there is no object."""
    try:
        return store.read(key)
    except ArtifactMissing:
        return None


def _parts(content: bytes, sent: Sent) -> Iterator[bytes]:
    for start in range(0, len(content), PART):
        part = content[start : start + PART]
        yield part
        sent(len(part))
