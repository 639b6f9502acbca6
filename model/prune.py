"""What may be deleted, and the deleting: the only thing that deletes from a store. Build time only.

Kept: what has a label, what a rollback would return to, the last N published, and whatever is younger than the grace
period. An upload that never ended is deleted when nothing of it is younger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import msgspec

from model import claim, label_file, moves
from model.claim import PRUNING, Claim
from model.label_file import Mover
from model.labels import Labels
from model.manifest import FILE, is_name
from model.shelf import Entry, Shelf
from model.shelf import Held as Kept

KEEP, GRACE = 3, timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Held:
    """A version's objects: `published` is when its manifest was put, None when it never was."""

    version: str
    published: datetime | None
    touched: datetime
    size: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doomed:
    """What would be deleted of a model, and the claims on its unfinished uploads, as they were planned with."""

    name: str
    versions: tuple[Held, ...]
    unfinished: tuple[Held, ...]
    claims: Mapping[str, Kept]

    @property
    def size(self) -> int:
        return sum(held.size for held in (*self.versions, *self.unfinished))


def plan(shelf: Shelf, name: str, now: datetime, keep: int = KEEP, grace: timedelta = GRACE) -> Doomed:
    """Return what of a model may be deleted now; deletes nothing."""
    found = versions(shelf.entries(f"{name}/"))
    labels = label_file.read(shelf, name).labels
    gone, unfinished = choose(found, labels, now, keep, grace)
    claims = {held.version: shelf.hold(f"{name}/{held.version}/{claim.FILE}") for held in unfinished}
    return Doomed(name, gone, unfinished, claims)


def choose(
    found: Sequence[Held], labels: Labels, now: datetime, keep: int, grace: timedelta
) -> tuple[tuple[Held, ...], tuple[Held, ...]]:
    """Return the versions and the unfinished uploads that may go. Pure."""
    old = [held for held in found if now - held.touched > grace]
    whole = sorted((held for held in found if held.published), key=lambda held: held.published or now, reverse=True)
    # S3 dates to the second: what is as young as the last of N stays, too.
    last = {held.version for held in whole if held.published in {kept.published for kept in whole[: max(keep, 1)]}}
    needed = last | {moves.previous_live(labels)}
    gone = tuple(h for h in old if h.published and h.version not in needed and not labels.of(h.version))
    return gone, tuple(held for held in old if held.published is None)


def versions(entries: Iterable[Entry]) -> list[Held]:
    """Return the versions among a model's objects, those that were never finished too."""
    below = sorted((e for e in entries if e.key.count("/") >= 2 and is_name(_version_of(e))), key=_version_of)
    found = []
    for version, group in groupby(below, _version_of):
        objects = list(group)
        manifest = next((e for e in objects if e.key.split("/")[2:] == [FILE]), None)
        found.append(
            Held(
                version,
                manifest.modified if manifest else None,
                max(e.modified for e in objects),
                sum(e.size for e in objects),
                tuple(e.key for e in objects),
            )
        )
    return found


def _version_of(entry: Entry) -> str:
    return entry.key.split("/")[1]


def prune(shelf: Shelf, doomed: Doomed, mover: Mover, grace: timedelta = GRACE) -> int:
    """Delete what was planned and return its bytes; raises LabelsMoved when a label has moved since.

    The label file is told first: a promotion at the same time loses its swap, and a later one is refused. The manifest
    goes before the rest, so no reader sees half a version.
    """
    name, freed = doomed.name, 0
    if doomed.versions:
        reading = label_file.read(shelf, name)
        needed = moves.previous_live(reading.labels)
        going = tuple(h for h in doomed.versions if not reading.labels.of(h.version) and h.version != needed)
        noted = tuple(held.version for held in going if moves.pruned(reading.labels, held.version) is None)
        if noted:
            label_file.write(shelf, reading, moves.note_pruned(reading.labels, noted, at=mover.at, by=mover.by))
        for held in going:
            first = f"{name}/{held.version}/{FILE}"
            shelf.delete([first, *(key for key in held.keys if key != first)])
            shelf.clear(f"{name}/{held.version}")
            freed += held.size
    for held in doomed.unfinished:
        freed += _clear(shelf, name, held, doomed.claims[held.version], mover)
    clear_scratch(shelf, name, grace)
    return freed


def _clear(shelf: Shelf, name: str, held: Held, then: Kept, mover: Mover) -> int:
    """Delete an unfinished upload, unless its publisher is back and has renewed the claim since the plan."""
    key = f"{name}/{held.version}/{claim.FILE}"
    tomb = msgspec.json.encode(Claim(PRUNING, mover.by, mover.at)) + b"\n"
    ended = shelf.hold(f"{name}/{held.version}/{FILE}").content is not None
    if ended or not shelf.swap(key, then, tomb):
        return 0
    shelf.delete([*(other for other in held.keys if other != key), key])
    shelf.clear(f"{name}/{held.version}")
    return held.size


def clear_scratch(shelf: Shelf, name: str, grace: timedelta = GRACE) -> None:
    """Delete what killed writers left in a folder: files on their way to their name. On S3 no such thing is visible."""
    if shelf.remote:
        return
    limit = datetime.now().timestamp() - grace.total_seconds()
    for pattern in ("*#*", ".labels.json.????????"):
        for file in (shelf.folder / name).rglob(pattern):
            if file.is_file() and file.stat().st_mtime < limit:
                file.unlink(missing_ok=True)
