"""Where artifacts live: a folder or an S3 prefix through one interface (obstore), `<name>/<version>/<file>` in both.

obstore imports in 21 ms where an S3 client of boto3 takes 220 to 270; it reads the usual AWS_* variables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from model.errors import ArtifactMissing, ArtifactUnavailable
from model.manifest import is_name

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# Lambda gives initialisation 10 s in all; obstore's own default would retry 10 times in 180 s.
_TIMEOUT, _CONNECT_TIMEOUT, _RETRIES, _BUDGET = timedelta(seconds=4), timedelta(seconds=1), 2, timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies directly in one place of a store: folders whose names may name a model or a version, and files."""

    folders: tuple[str, ...]
    files: frozenset[str]


class Store:
    """Artifacts under one URL: file:///folder or s3://bucket/prefix. Opened at the first use, not when it is made.

    `endpoint` is another address of S3 (AWS_ENDPOINT_URL); one that starts with http:// is spoken to without TLS.
    """

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._endpoint = endpoint
        self.remote = urlsplit(url).scheme != "file"
        self._opened: ObjectStore | None = None

    def read(self, key: str) -> bytes:
        """Return the bytes of one object; raises ArtifactMissing or ArtifactUnavailable."""
        import obstore  # noqa: PLC0415  -- 15 MB of native code, read when the first artifact is

        with _translated(key):
            return bytes(obstore.get(self._store(), key).bytes())

    def write(self, key: str, content: bytes) -> None:
        """Put one object, whole or not at all (a local store renames it into place)."""
        import obstore  # noqa: PLC0415

        with _translated(key):
            obstore.put(self._store(create=True), key, content)

    def names(self) -> tuple[str, ...]:
        """Return the models in the store, sorted."""
        return self._listed("").folders

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of a model, in no meaningful order; empty when there is no such model."""
        return self.contents(name).folders

    def contents(self, name: str) -> "Contents":
        """Return the versions of a model and the files beside them.

        One listing tells both. To ask S3 for a file that may not be there is no way to find out: where listing is
        allowed below a prefix only, a missing object answers 403, like a forbidden one.
        """
        return self._listed(f"{name}/")

    def _listed(self, prefix: str) -> "Contents":
        import obstore  # noqa: PLC0415

        with _translated(prefix or "/"):
            # On S3 an empty prefix lists below the URL's own, which is all that the function's role may list.
            found = obstore.list_with_delimiter(self._store(), prefix or None)
        folders = (path.rsplit("/", 1)[-1] for path in found["common_prefixes"])
        files = frozenset(entry["path"].rsplit("/", 1)[-1] for entry in found["objects"])
        return Contents(tuple(sorted(name for name in folders if is_name(name))), files)

    def _store(self, *, create: bool = False) -> "ObjectStore":
        if self._opened is None:
            from obstore.store import LocalStore, from_url  # noqa: PLC0415

            if not self.remote:
                folder = Path(unquote(urlsplit(self.url).path))
                if not create and not folder.is_dir():
                    raise ArtifactMissing("the store's folder does not exist")
                self._opened = LocalStore(folder, mkdir=create)
            else:
                plain = (self._endpoint or "").startswith("http://")
                self._opened = from_url(
                    self.url,
                    config={"endpoint": self._endpoint} if self._endpoint else None,
                    # Any client option discards AWS_ALLOW_HTTP, so it is said here.
                    client_options={"timeout": _TIMEOUT, "connect_timeout": _CONNECT_TIMEOUT, "allow_http": plain},
                    retry_config={"max_retries": _RETRIES, "retry_timeout": _BUDGET},
                )
        return self._opened


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Turn the store's errors into the model's; the text of a store's error may hold paths and addresses."""
    from obstore.exceptions import BaseError  # noqa: PLC0415

    try:
        yield
    except FileNotFoundError:
        raise ArtifactMissing(f"{key} is not in the store") from None
    except (BaseError, OSError) as error:
        raise ArtifactUnavailable(f"{key} cannot be read: {type(error).__name__}") from error
