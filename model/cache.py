"""The versions in memory, within a bound: the least recently used leaves; what a label points at stays. Pure.

A scorer is counted by the bytes of the files that it was made of, times what its engine makes of them. To load one
takes more than it keeps, and that is asked of the bound first: Lambda kills whoever goes beyond its memory.
"""

import re
from collections.abc import Callable, Set
from dataclasses import dataclass

from model.errors import ArtifactIncompatible
from model.manifest import EngineName, Manifest
from model.scorer import Scorer

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes in memory a byte of file: what stays, and what it takes at the most while it is loaded."""

    stays: float
    loading: float


# Measured by bench.memory, beyond the imports (×, from 4 MB to 109 MB of files; below, a few MB more or less):
#                                     stays   loading
#   onnx, forests and boosting        5–6     21–22     TreeEnsemble's attributes are copied and mapped node by node
#   onnx, network, neighbours         2–3     4–6
#   joblib, forests and boosting      1–2     3–4       the file, its copy, and what they become
#   joblib, network                   1       2
GROWTH: dict[EngineName, Growth] = {"onnx": Growth(3.0, 6.0), "joblib": Growth(2.0, 4.0)}
COMPILED_TREES = Growth(6.5, 22.0)
# Of the classes in a manifest's words for its estimator, those that are made of trees, or may hold what is.
_TREES = re.compile(
    "Tree|Forest|Boost|XGB|LGBM|Bagging|Voting|Stacking|SearchCV|Calibrated|MultiOutput|OneVs|OutputCode|Chain"
    "|SelfTraining|TransformedTarget|Threshold|RFE|RANSAC"
)


def growth(manifest: Manifest, engine: EngineName) -> Growth:
    """Return what an engine makes of the files of a version."""
    if engine == "onnx" and _TREES.search(manifest.estimator):
        return COMPILED_TREES
    return GROWTH[engine]


@dataclass(frozen=True, slots=True)
class Kept:
    """A scorer, the digest that a label gave for its manifest when it was loaded (None without one), and its bytes."""

    scorer: Scorer
    labelled: str | None
    size: int


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
                f"{'/'.join(key)} needs about {megabytes[0]} MB of memory to be loaded, {megabytes[1]} are left: "
                "give the function more, or set MODEL_MEMORY_MB"
            )

    def put(self, key: Key, kept: Kept) -> None:
        self._kept.pop(key, None)
        self._kept[key] = kept
