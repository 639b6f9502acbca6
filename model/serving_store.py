"""A store as a service reads it: within a budget of time, large objects in parts, over connections that can be dropped.

obstore tries again with jitter by itself; the budget is above that, for all reads of a cold start or of a refresh.
"""

import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from model import bounded
from model.store import Patience, Store

if TYPE_CHECKING:
    from obstore import Bytes, GetOptions

T = TypeVar("T")
Credentials = Callable[[], Any]


class ServingStore(Store):
    """A store that is only read. Outside `within` a read takes as long as `patience` allows.

    `credentials` is a provider as obstore takes it; None lets obstore read the AWS_* variables.
    """

    def __init__(
        self,
        url: str,
        endpoint: str | None = None,
        patience: Patience | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__(url, endpoint, patience)
        self._provider = credentials
        self._deadline: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give all reads in the block together so many seconds; later ones raise ArtifactUnavailable."""
        before = self._deadline
        ends = time.monotonic() + seconds
        self._deadline = ends if before is None else min(before, ends)
        try:
            yield
        finally:
            self._deadline = before

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine until it ends or the time is up (TimeoutError)."""
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        return bounded.run(work, left)

    async def part(self, key: str, start: int, length: int) -> "tuple[Bytes, int]":
        """Return bytes of an object from `start` on, at most `length`, and the size of all of it."""
        import obstore  # noqa: PLC0415

        found = await obstore.get_async(self._store(), key, options={"range": (start, start + length)})
        return await found.bytes_async(), found.meta["size"]

    def drop(self, credentials: Credentials | None = None) -> None:
        """Close every connection; the next read opens new ones, with these credentials where there are any."""
        self._opened = None
        self._provider = credentials or self._provider

    def _get(self, key: str, options: "GetOptions | None") -> tuple[bytes, str | None]:
        if not self._bounded:
            return super()._get(key, options)
        import obstore  # noqa: PLC0415

        async def get() -> tuple[bytes, str | None]:
            found = await obstore.get_async(self._store(), key, options=options)
            return bytes(await found.bytes_async()), found.meta["e_tag"]

        return self.wait(get)

    def _folders(self) -> Sequence[str]:
        if not self._bounded:
            return super()._folders()
        import obstore  # noqa: PLC0415

        async def folders() -> Sequence[str]:
            return (await obstore.list_with_delimiter_async(self._store()))["common_prefixes"]

        return self.wait(folders)

    def _paths(self, prefix: str) -> list[str]:
        if not self._bounded:
            return super()._paths(prefix)
        import obstore  # noqa: PLC0415

        async def paths() -> list[str]:
            return [entry["path"] async for batch in obstore.list(self._store(), prefix) for entry in batch]

        return self.wait(paths)

    @property
    def _bounded(self) -> bool:
        """A folder answers at once, or the machine is lost."""
        return self.remote and self._deadline is not None

    def _credentials(self) -> dict[str, Any]:
        return {} if self._provider is None else {"credential_provider": self._provider}
