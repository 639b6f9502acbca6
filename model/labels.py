"""Which version answers: the label file of a model. Pure; the store reads the bytes, `label_file` moves the labels.

Without a label file the only version is live; with several versions and no label somebody must say which.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import msgspec

from model.errors import ArtifactCorrupt, ArtifactIncompatible, ArtifactMissing

FORMAT = 1
FILE = "labels.json"

Label = Literal["live", "canary", "shadow"]
Weight = Annotated[float, msgspec.Meta(gt=0, le=1)]


@dataclass(frozen=True, slots=True)
class Target:
    """What a label points at: a version, and the digest of its manifest."""

    version: str
    manifest: str


@dataclass(frozen=True, slots=True)
class Share(Target):
    """A target that sees a part of the calls: of the answers (canary), or beside them (shadow). 0 < weight ≤ 1."""

    weight: Weight


class Move(msgspec.Struct, frozen=True, rename={"origin": "from"}):
    """One line of the history: `at` in RFC 3339 UTC, `by` whoever moved it, `origin` ("from") the version before.

    `to` is None where a label was taken away. `rollback` is there only on the way back. The label "prune" says that the
    version in `origin` was deleted.
    """

    at: str
    by: str
    label: str
    to: str | None
    origin: str | None = None
    rollback: bool | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Labels:
    """All of labels.json."""

    live: Target | None = None
    history: tuple[Move, ...] = ()
    format: int = FORMAT
    canary: Share | None = None
    shadow: Share | None = None

    def of(self, version: str) -> tuple[Label, ...]:
        """Return the labels on a version."""
        targets: tuple[tuple[Label, Target | None], ...] = (
            ("live", self.live),
            ("canary", self.canary),
            ("shadow", self.shadow),
        )
        return tuple(label for label, target in targets if target is not None and target.version == version)

    def manifest(self, version: str) -> str | None:
        """Return the manifest digest that a label gives for a version, None when no label points at it."""
        targets = (self.live, self.canary, self.shadow)
        return next((found.manifest for found in targets if found is not None and found.version == version), None)


def parse(content: bytes) -> Labels:
    """Return the labels in `content`; raises ArtifactCorrupt or ArtifactIncompatible."""
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format != FORMAT:
            raise ArtifactIncompatible(f"label file has format {head.format}, this code reads {FORMAT}")
        return msgspec.json.decode(content, type=Labels)
    except msgspec.MsgspecError as error:
        raise ArtifactCorrupt(f"not a label file: {error}") from None


def dump(labels: Labels) -> bytes:
    return msgspec.json.format(msgspec.json.encode(labels), indent=2) + b"\n"


def live_version(name: str, labels: Labels | None, versions: tuple[str, ...]) -> str:
    """Return the version of `name` that answers when the caller names none; raises ArtifactMissing."""
    if labels is not None and labels.live is not None:
        return labels.live.version
    if len(versions) == 1:
        return versions[0]
    if not versions:
        raise ArtifactMissing(f"{name} has no version in the store")
    raise ArtifactMissing(f"{name} has versions {', '.join(versions)} and no live label: say which one is live")


def target(labels: Labels | None, label: str) -> Target | None:
    """Return what a label points at; None when nobody set it, or nobody knows it."""
    if labels is None or label not in get_args(Label):
        return None
    found: Target | None = getattr(labels, label)
    return found


class _Head(msgspec.Struct):
    """Read alone first: the rest of a newer format may have other shapes."""

    format: int = FORMAT
