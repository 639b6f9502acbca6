"""A version's scorer: from memory, else from the store. What went wrong is remembered for as long as it is worth."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.artifact import Policy, open_artifact
from model.cache import Cache, Kept, Key, growth
from model.errors import ArtifactCorrupt, ArtifactError, ArtifactIncompatible
from model.manifest import EngineName, Manifest
from model.scorer import Scorer
from model.store import Store

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """Told to whoever listens when a version has been loaded, or could not be; `seconds` is what it took."""

    name: str
    version: str
    seconds: float
    error: ArtifactError | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ArtifactError
    at: float

    def holds(self, now: float, again: float) -> bool:
        return 0 <= now - self.at < wait(self.error, again)


def wait(error: ArtifactError, again: float) -> float:
    """Return after how many seconds an error is worth another attempt; one that time alone cannot mend after `again`.

    What made progress goes on with the next request.
    """
    if getattr(error, "progress", False):
        return 0.0
    return RETRY_SECONDS if error.retryable else again


def bare(error: ArtifactError) -> ArtifactError:
    """Return an error fit to be kept: its frames would hold the bytes of the file that it is about."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


class Loader:
    """Opens versions and keeps them in `cache`."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        cache: Cache,
        on_load: Callable[[Loaded], None],
        clock: Callable[[], float] = time.monotonic,
        scratch: Path | None = None,
    ) -> None:
        self.cache = cache
        self._store = store
        self._policy = policy
        self._on_load = on_load
        self._clock = clock
        self._scratch = scratch
        self._failures: dict[tuple[Key, str | None], _Failure] = {}

    def load(self, name: str, version: str, labelled: str | None = None, again: float = math.inf) -> Scorer:
        """Return the scorer of a version whose manifest has the digest `labelled`, where that is given.

        Raises ArtifactError: for a failure that nothing but a change can mend, the same one for `again` seconds.
        """
        key = (name, version)
        kept = self.cache.get(key)
        if kept is not None and labelled in {None, kept.labelled}:
            return kept.scorer
        failure = self._failures.get((key, labelled))
        if failure is not None and failure.holds(self._clock(), again):
            raise failure.error.with_traceback(None)
        started = time.perf_counter()
        try:
            found = self._open(key, labelled)
        except ArtifactError as error:
            self._failures[key, labelled] = _Failure(bare(error), self._clock())
            self._on_load(Loaded(name, version, time.perf_counter() - started, error))
            raise
        self._failures = {failed: what for failed, what in self._failures.items() if failed[0] != key}
        self.cache.put(key, found)
        self._on_load(Loaded(name, version, time.perf_counter() - started, engine=found.scorer.engine_name))
        return found.scorer

    def failed(self, name: str, version: str) -> bool:
        """Tell whether the last attempt at a version failed."""
        return any(key == (name, version) for key, _ in self._failures)

    def _open(self, key: Key, labelled: str | None) -> Kept:
        size = 0

        def admit(manifest: Manifest, engine: EngineName, file_bytes: int) -> None:
            nonlocal size
            grows = growth(manifest, engine)
            size = int(file_bytes * grows.stays)
            self.cache.make_room(key, int(file_bytes * grows.loading))

        try:
            scorer = open_artifact(self._store, *key, self._policy, labelled, admit=admit, scratch=self._scratch)
        except ArtifactError:
            raise
        except MemoryError as error:
            raise ArtifactIncompatible(f"{'/'.join(key)} needs more memory than this function has") from error
        except Exception as error:  # whatever a strange artifact makes a library raise, it is the artifact's fault
            raise ArtifactCorrupt(f"{'/'.join(key)} cannot be opened: {type(error).__name__}") from error
        return Kept(scorer, labelled, size)
