"""Where artifacts live: a folder or an S3 prefix through one interface (obstore), `<name>/<version>/<file>` in both.

obstore imports in 21 ms where an S3 client of boto3 takes 220 to 270; it reads the usual AWS_* variables.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from model.errors import ArtifactMissing, ArtifactUnavailable
from model.manifest import FILE, is_name

if TYPE_CHECKING:
    from obstore import GetOptions, ReadableFile
    from obstore.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an S3 is waited for: a request, its connection, and all attempts of it together.

    Lambda gives initialisation 10 s in all; obstore's own default would retry 10 times in 180 s.
    """

    timeout: timedelta = timedelta(seconds=4)
    connect: timedelta = timedelta(seconds=1)
    retries: int = 2
    budget: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies below a model: the folders that are versions, and the files beside them."""

    folders: tuple[str, ...]
    files: frozenset[str]


def is_place(url: str) -> bool:
    """Tell whether a store can be at a URL: file:///folder, or s3:// with a bucket's name and perhaps a prefix."""
    return url.startswith("file:///") or (url.startswith("s3://") and url[5:6] not in ("", "/"))


class Store:
    """Artifacts under one URL: file:///folder or s3://bucket/prefix. Opened at the first use, not when it is made.

    `endpoint` is another address of S3 (AWS_ENDPOINT_URL); one that starts with http:// is spoken to without TLS.
    """

    def __init__(self, url: str, endpoint: str | None = None, patience: Patience | None = None) -> None:
        self.url = url.rstrip("/")
        self.endpoint = endpoint
        self._patience = patience or Patience()
        self.remote = urlsplit(url).scheme != "file"
        self._opened: ObjectStore | None = None

    def read(self, key: str) -> bytes:
        """Return the bytes of one object; raises ArtifactMissing or ArtifactUnavailable."""
        with translated(key):
            return self._get(key, None)[0]

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give all reads in the block so many seconds, where somebody waits for them: see `ServingStore`."""
        del seconds
        yield

    def read_if_changed(self, key: str, mark: str | None) -> tuple[bytes, str | None] | None:
        """Return the bytes of an object and the store's mark of that state; None when `mark` is still its mark."""
        from obstore.exceptions import NotModifiedError  # noqa: PLC0415

        with translated(key):
            try:
                return self._get(key, {"if_none_match": mark} if mark else None)
            except NotModifiedError:
                return None

    def write(self, key: str, content: bytes) -> None:
        """Put one object, whole or not at all (a local store renames it into place)."""
        import obstore  # noqa: PLC0415

        with translated(key):
            obstore.put(self._store(create=True), key, content)

    def names(self) -> tuple[str, ...]:
        """Return the models in the store, sorted; one whose first version has not arrived is among them."""
        with translated("/"):
            folders = (path.rsplit("/", 1)[-1] for path in self._folders())
        return tuple(sorted(filter(is_name, folders)))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of a model, in no meaningful order; empty when there is no such model."""
        return self.contents(name).folders

    def contents(self, name: str) -> "Contents":
        """Return the versions of a model and the files beside them.

        One listing tells both, a page for each 1,000 files below the model. The manifest comes last, so a folder
        without one is an upload that has not ended, and no version. To ask S3 for a file that may not be there is no
        way to find out: where listing is allowed below a prefix only, a missing object answers 403, like a forbidden
        one.
        """
        with translated(f"{name}/"):
            below = [path.removeprefix(f"{name}/").split("/") for path in self._paths(f"{name}/")]
        folders = (path[0] for path in below if len(path) == 2 and path[1] == FILE)
        files = frozenset(path[0] for path in below if len(path) == 1)
        return Contents(tuple(sorted(filter(is_name, folders))), files)

    def keys(self, after: str = "") -> Iterator[str]:
        """Yield the keys of all objects that come after a key, in the order of the store; pages are asked for late."""
        import obstore  # noqa: PLC0415

        with translated("/", "listed"):
            for batch in obstore.list(self._store(), offset=after or None):
                yield from (entry["path"] for entry in batch)

    def reader(self, key: str) -> "ReadableFile":
        """Open an object to be read piece by piece; raises ArtifactMissing or ArtifactUnavailable."""
        import obstore  # noqa: PLC0415

        with translated(key):
            return obstore.open_reader(self._store(), key)

    def _get(self, key: str, options: "GetOptions | None") -> tuple[bytes, str | None]:
        import obstore  # noqa: PLC0415  -- 15 MB of native code, read when the first artifact is

        found = obstore.get(self._store(), key, options=options)
        return bytes(found.bytes()), found.meta["e_tag"]

    def _folders(self) -> Sequence[str]:
        import obstore  # noqa: PLC0415

        # On S3 no prefix lists below the URL's own, which is all that the function's role may list.
        return obstore.list_with_delimiter(self._store())["common_prefixes"]

    def _paths(self, prefix: str) -> list[str]:
        import obstore  # noqa: PLC0415

        return [entry["path"] for batch in obstore.list(self._store(), prefix) for entry in batch]

    def _store(self, *, create: bool = False) -> "ObjectStore":
        if self._opened is None:
            from obstore.store import LocalStore, from_url  # noqa: PLC0415

            if not self.remote:
                folder = Path(unquote(urlsplit(self.url).path))
                if not create and not folder.is_dir():
                    raise ArtifactMissing("the store's folder does not exist")
                self._opened = LocalStore(folder, mkdir=create)
            else:
                plain = (self.endpoint or "").startswith("http://")
                self._opened = from_url(
                    self.url,
                    config={"endpoint": self.endpoint} if self.endpoint else None,
                    # Any client option discards AWS_ALLOW_HTTP, so it is said here.
                    client_options={
                        "timeout": self._patience.timeout,
                        "connect_timeout": self._patience.connect,
                        "allow_http": plain,
                    },
                    retry_config={"max_retries": self._patience.retries, "retry_timeout": self._patience.budget},
                    **self._credentials(),
                )
        return self._opened

    def _credentials(self) -> dict[str, Any]:
        """Return where credentials come from, as an argument; by itself obstore reads the AWS_* variables."""
        return {}


@contextmanager
def translated(key: str, verb: str = "read") -> Iterator[None]:
    """Turn the store's errors into the model's; the text of a store's error may hold paths and addresses."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError  # noqa: PLC0415

    try:
        yield
    except FileNotFoundError:
        raise ArtifactMissing(f"{key} is not in the store") from None
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise ArtifactUnavailable(f"{key} cannot be {verb}: access denied") from error
    except (BaseError, OSError) as error:
        if "<Code>NoSuchBucket</Code>" in str(error):  # in a listing; of a single object it is not found, as any other
            raise ArtifactUnavailable(f"{key} cannot be {verb}: there is no such bucket") from error
        raise ArtifactUnavailable(f"{key} cannot be {verb}: {type(error).__name__}") from error
