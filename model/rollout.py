"""Move a label to a version that has been verified, or back. Build time only.

The labels are read first and swapped last: whoever moves one in between makes this move fail, for what was verified
against is no longer live. Digests, golden rows and trust are never waived; a breaking change is, by force.
"""

from dataclasses import dataclass, replace
from importlib.util import find_spec

from model import label_file, moves
from model.artifact import Policy, open_artifact, read_manifest, verified
from model.compatible import breaks
from model.engine import LIBRARIES, available
from model.errors import ArtifactError, ArtifactUnavailable, ArtifactUntrusted, PublishingRefused
from model.label_file import Mover
from model.labels import Label, Labels, Share, Target
from model.manifest import FILE, EngineName, Manifest, digest
from model.shelf import Shelf
from model.store import Store

_UNREADABLE = "the live version cannot be read"


@dataclass(frozen=True, slots=True)
class Verified:
    """A version that holds what its manifest says: the digest of that, and the engines that gave the golden answers."""

    manifest: Manifest
    digest: str
    engines: tuple[EngineName, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did: where the label was and is (None: nowhere), and what it breaks, where that was forced."""

    name: str
    label: Label
    origin: str | None
    to: str | None
    labels: Labels
    engines: tuple[EngineName, ...] = ()
    forced: tuple[str, ...] = ()


def promote(
    shelf: Shelf,
    name: str,
    version: str,
    mover: Mover,
    label: Label = "live",
    *,
    weight: float | None = None,
    policy: Policy | None = None,
    force: bool = False,
) -> Moved:
    """Put `label` on a version; `weight` is the share of calls that canary (must) and shadow (all by default) see.

    Raises PublishingRefused with what would break, LabelsMoved, or the ArtifactError that verifying it met.
    """
    share = _share(label, weight)
    reading = label_file.read(shelf, name)
    _not_pruned(reading.labels, name, version)
    found = verify(shelf, name, version, policy or Policy())
    breaking = _breaking(shelf, reading.labels, found.manifest)
    if breaking and not force:
        what = "cannot be compared with" if breaking[0].startswith(_UNREADABLE) else "would break"
        raise PublishingRefused(
            f"{name}/{version} {what} what is live: {'; '.join(breaking)}. --force moves the label all the same"
        )
    target = Target(version, found.digest) if share is None else Share(version, found.digest, share)
    before: Target | None = getattr(reading.labels, label)
    origin = before.version if before else None
    if before == target:
        return Moved(name, label, origin, version, reading.labels, found.engines)
    moved = moves.move(reading.labels, label, target, at=mover.at, by=mover.by)
    return Moved(name, label, origin, version, label_file.write(shelf, reading, moved), found.engines, breaking)


def rollback(
    shelf: Shelf,
    name: str,
    mover: Mover,
    label: Label = "live",
    *,
    policy: Policy | None = None,
    force: bool = False,
) -> Moved:
    """Return live to the version before; take canary or shadow away.

    The version is verified like any other, but for compatibility: callers knew it. `force` leaves the golden rows out,
    for a machine that has not its engine. Raises PublishingRefused, LabelsMoved or ArtifactError.
    """
    reading = label_file.read(shelf, name)
    before: Target | None = getattr(reading.labels, label)
    origin = before.version if before else None
    if label != "live":
        if before is None:
            raise PublishingRefused(f"{name} has no {label}")
        moved = moves.take_away(reading.labels, label, at=mover.at, by=mover.by)
        return Moved(name, label, origin, None, label_file.write(shelf, reading, moved))
    version = moves.previous_live(reading.labels)
    if version is None:
        raise PublishingRefused(f"{name} has no previous version: its history has nothing to go back to")
    _not_pruned(reading.labels, name, version)
    found = verify(shelf, name, version, policy or Policy(), replay=not force)
    moved = moves.move(reading.labels, "live", Target(version, found.digest), at=mover.at, by=mover.by, rollback=True)
    return Moved(name, label, origin, version, label_file.write(shelf, reading, moved), found.engines)


def verify(store: Store, name: str, version: str, policy: Policy, *, replay: bool = True) -> Verified:
    """Check every digest, and ask the golden rows of each engine that is installed here and trusted.

    Raises ArtifactError; ArtifactUntrusted when only a pickle could be asked, and nobody vouches for it.
    """
    content = store.read(f"{name}/{version}/{FILE}")
    manifest = read_manifest(store, name, version, policy)
    for file in manifest.digests:
        verified(store, manifest, file)
    engines: tuple[EngineName, ...] = ()
    if replay:
        engines = _askable(manifest, policy, remote=store.remote)
        for engine in engines:
            open_artifact(store, name, version, replace(policy, engines=(engine,)))
    if digest(store.read(f"{name}/{version}/{FILE}")) != digest(content):
        raise ArtifactUntrusted(f"the manifest of {name}/{version} changed while it was being verified")
    return Verified(manifest, digest(content), engines)


def _askable(manifest: Manifest, policy: Policy, *, remote: bool) -> tuple[EngineName, ...]:
    """Return the engines whose answers can be asked for here; raises the reason when there is none."""
    best = available(manifest, policy.engines)
    found: list[EngineName] = []
    for engine in manifest.engines:
        allowed = policy.engines is None or engine in policy.engines
        if allowed and find_spec(LIBRARIES[engine]) is not None:
            try:
                policy.trust.check_engine(f"{manifest.name}/{manifest.version}", engine, remote=remote)
            except ArtifactUntrusted:
                if engine == best:
                    raise
                continue
            found.append(engine)
    return tuple(found)


def _breaking(shelf: Shelf, labels: Labels, new: Manifest) -> tuple[str, ...]:
    live = _live(shelf, labels, new.name)
    if live is None or live == new.version:
        return ()
    try:
        before = read_manifest(shelf, new.name, live, Policy(), labels.manifest(live))
    except ArtifactUnavailable:
        raise
    except ArtifactError as error:  # whoever repairs a damaged live version by promoting another must not be held up
        return (f"{_UNREADABLE}: {error}",)
    return breaks(before, new)


def _live(shelf: Shelf, labels: Labels, name: str) -> str | None:
    """Return what is live now, by label or as the only version."""
    if labels.live is not None:
        return labels.live.version
    versions = shelf.versions(name)
    return versions[0] if len(versions) == 1 else None


def _not_pruned(labels: Labels, name: str, version: str) -> None:
    line = moves.pruned(labels, version)
    if line is not None:
        raise PublishingRefused(f"{name}/{version} was pruned by {line.by} on {line.at}")


def _share(label: Label, weight: float | None) -> float | None:
    """Return the weight that the label's target has, None for live; raises PublishingRefused."""
    if label == "live":
        if weight is not None:
            raise PublishingRefused("a weight is for canary and shadow: live answers all the rest")
        return None
    if weight is None:
        if label == "canary":
            raise PublishingRefused("a canary needs --weight, its share of the calls: 0.1 is a tenth")
        return 1.0
    if not 0 < weight <= 1:
        raise PublishingRefused("--weight is a share above 0 and up to 1: 0.1 is a tenth")
    return weight
