"""Which version answers: the label file of a model. Pure; the store reads and writes the bytes.

Without a label file the only version is live; with several versions and no label somebody must say which.
"""

from dataclasses import dataclass, replace

import msgspec

from model.errors import ArtifactCorrupt, ArtifactIncompatible, ArtifactMissing

FORMAT = 1
FILE = "labels.json"


@dataclass(frozen=True, slots=True)
class Target:
    """What a label points at: a version, and the digest of its manifest."""

    version: str
    manifest: str


class Move(msgspec.Struct, frozen=True, rename={"origin": "from"}):
    """One line of the history: `at` in RFC 3339 UTC, `by` whoever moved it, `origin` ("from") the version before."""

    at: str
    by: str
    label: str
    to: str
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """All of labels.json."""

    live: Target | None = None
    history: tuple[Move, ...] = ()
    format: int = FORMAT


def parse(content: bytes) -> Labels:
    """Return the labels in `content`; raises ArtifactCorrupt or ArtifactIncompatible."""
    try:
        labels = msgspec.json.decode(content, type=Labels)
    except msgspec.MsgspecError as error:
        raise ArtifactCorrupt(f"not a label file: {error}") from None
    if labels.format != FORMAT:
        raise ArtifactIncompatible(f"label file has format {labels.format}, this code reads {FORMAT}")
    return labels


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
    return {"live": labels.live}.get(label) if labels is not None else None


def move_live(labels: Labels | None, target: Target, *, at: str, by: str) -> Labels:
    """Return the labels with `live` on `target` and the move in the history."""
    before = labels or Labels()
    origin = before.live.version if before.live else None
    move = Move(at=at, by=by, label="live", to=target.version, origin=origin)
    return replace(before, live=target, history=(*before.history, move))
