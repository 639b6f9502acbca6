"""The versions in memory, within a bound: the least recently used leaves; what a label points at stays. Pure.

A scorer is counted by the bytes of the files that it was made of, times what its engine makes of them.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass

from model.engine import LIBRARIES
from model.errors import ArtifactIncompatible
from model.manifest import EngineName
from model.scorer import Scorer

Key = tuple[str, str]
# Bytes in memory a byte of file while it is loaded: the file, and what the engine makes of it twice over.
GROWTH: dict[EngineName, float] = dict.fromkeys(LIBRARIES, 3.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """A scorer, the digest that a label gave for its manifest when it was loaded (None without one), and its bytes."""

    scorer: Scorer
    labelled: str | None
    size: int


def size_of(engine: EngineName, file_bytes: int) -> int:
    """Return about what a version takes in memory, bytes."""
    return int(file_bytes * GROWTH[engine])


class Cache:
    """Scorers by name and version; `bound` in bytes, None for as many as come."""

    def __init__(self, bound: int | None = None, labelled: Callable[[], Set[Key]] = frozenset) -> None:
        self._bound = bound
        self._labelled = labelled
        self._kept: dict[Key, Kept] = {}

    def get(self, key: Key) -> Kept | None:
        """Return what is kept, which becomes the most recently used."""
        found = self._kept.pop(key, None)
        if found is not None:
            self._kept[key] = found
        return found

    def peek(self, key: Key) -> Kept | None:
        return self._kept.get(key)

    def make_room(self, key: Key, size: int) -> None:
        """Let others go until `size` more bytes fit; raises ArtifactIncompatible when only labelled ones are left."""
        if self._bound is None:
            return
        stay = self._labelled()
        total = sum(kept.size for other, kept in self._kept.items() if other != key)
        for other in [other for other in self._kept if other not in stay and other != key]:
            if total + size <= self._bound:
                return
            total -= self._kept.pop(other).size
        if total + size > self._bound:
            megabytes = [round(number / 1e6) for number in (size, self._bound - total)]
            raise ArtifactIncompatible(
                f"{'/'.join(key)} needs about {megabytes[0]} MB of memory, {megabytes[1]} are left for it: "
                "give the function more, or set MODEL_MEMORY_MB"
            )

    def put(self, key: Key, kept: Kept) -> None:
        self._kept.pop(key, None)
        self._kept[key] = kept
