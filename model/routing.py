"""Which version answers a call: a stable share by hash. Pure.

A caller with the same key stays with the same version for as long as the labels stay, and whoever sees a canary with
a weight of 0.1 sees it with 0.2 too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from model.errors import ArtifactError
from model.labels import Label

if TYPE_CHECKING:
    from model.scorer import Scorer
    from model.shadow import Shadow

_SPAN = 1 << 64
NO_FAULTS: Mapping[Label, ArtifactError] = {}


def point(version: str, key: str) -> int:
    """Return where a key lies for a version: 64 bits, evenly spread, and unrelated from version to version.

    Not crc32: of two versions its points differ by one constant, so that the second canary would meet either the very
    callers of the first or none of them. This takes 1 µs.
    """
    return int.from_bytes(blake2b(f"{version}\n{key}".encode(), digest_size=8).digest())


def bound(weight: float) -> int:
    """Return the point below which a share of `weight` (0 to 1) lies."""
    return round(weight * _SPAN)


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers for one model; replaced as a whole, so that no call sees half of a change.

    `faults` says of each label why the version that it names does not answer.
    """

    live: "Scorer"
    canary: "Scorer | None" = None
    share: int = 0
    shadow: "Shadow | None" = None
    faults: Mapping[Label, ArtifactError] = field(default_factory=lambda: NO_FAULTS)

    def pick(self, key: str | None) -> "Scorer":
        """Return who answers a call with this key; without a key it is the live version."""
        if self.canary is None or key is None or point(self.canary.manifest.version, key) >= self.share:
            return self.live
        return self.canary
