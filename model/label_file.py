"""The label file, changed by compare-and-swap: of two who move at the same time one wins, the other is told.

Build time only. On S3 the swap is a put on the condition of the entity tag, in a folder a lock file and a rename.
"""

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime

from model import labels
from model.errors import LabelsMoved
from model.labels import Labels
from model.shelf import Held, Shelf


@dataclass(frozen=True, slots=True)
class Mover:
    """Who moves, and when: `at` in RFC 3339 UTC, to the microsecond, so that no two moves are the same."""

    by: str
    at: str

    @classmethod
    def now(cls, by: str | None = None) -> "Mover":
        return cls(by or getpass.getuser(), datetime.now(UTC).isoformat(timespec="microseconds"))


@dataclass(frozen=True, slots=True)
class Reading:
    """The labels of a model as they were read, and what the swap compares."""

    name: str
    labels: Labels
    held: Held


def read(shelf: Shelf, name: str) -> Reading:
    """Read the labels of a model, none where there is no file; raises ArtifactError."""
    held = shelf.hold(f"{name}/{labels.FILE}")
    return Reading(name, labels.parse(held.content) if held.content is not None else Labels(), held)


def write(shelf: Shelf, reading: Reading, moved: Labels) -> Labels:
    """Write labels where nobody has since they were read, and return them; raises LabelsMoved."""
    if not shelf.swap(f"{reading.name}/{labels.FILE}", reading.held, labels.dump(moved)):
        raise LabelsMoved(f"the labels of {reading.name} were changed meanwhile: {_last(shelf, reading.name)}")
    return moved


def _last(shelf: Shelf, name: str) -> str:
    history = read(shelf, name).labels.history
    if not history:
        return "look at them and decide again"
    line = history[-1]
    return f"{line.by} moved {line.label} from {line.origin} to {line.to} at {line.at}. Nothing was done"
