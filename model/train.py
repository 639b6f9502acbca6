"""Train an example and pack it; with `force` as the next patch version, which then answers, with `data` as a candidate.

Build time only.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib

from model import label_file, moves
from model.errors import ArtifactMissing, PackingRefused
from model.label_file import Mover
from model.labels import Target
from model.manifest import FILE, Manifest, digest
from model.pack import Card, pack
from model.publish import keep_live
from model.shelf import Shelf
from model.source import Source
from model.store import Store

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = ("babies", "iris")
FIRST = "1.0.0"


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted estimator, the rows it was fitted on (features only), and its card."""

    estimator: Any
    sample: "pd.DataFrame"
    card: Card


def train(example: str, store: Store, *, force: bool = False, data: Path | None = None) -> Manifest | None:
    """Pack the example unless it is packed already; return the new manifest, or None when there was nothing to do.

    With `data`, rows of the same columns, the next patch version is a candidate: the live label stays where it is.
    Raises PackingRefused.
    """
    if example not in EXAMPLES:
        raise PackingRefused(f"there is no example {example!r}, only {', '.join(EXAMPLES)}")
    existing = versions(store, example)
    if existing and not force and data is None:
        return None
    trainer: Callable[..., Trained] = import_module(f"model.examples.{example}").train
    if data is not None and "file" not in signature(trainer).parameters:
        raise PackingRefused(f"{example} is trained on data that comes with scikit-learn: --data is for babies")
    trained = trainer() if data is None else trainer(data)
    buffer = io.BytesIO()
    joblib.dump(trained.estimator, buffer, compress=3)
    version = next_patch(existing) if existing else FIRST
    if data is not None and existing:
        keep_live(Shelf.of(store), example, version, Mover.now())
    manifest = pack(Source(buffer.getvalue()), store, example, version, sample=trained.sample, card=trained.card)
    if existing and (force or data is None):
        make_live(store, example, version)
    return manifest


def versions(store: Store, name: str) -> tuple[str, ...]:
    """Return the packed versions of a model; none where the store itself does not exist yet."""
    try:
        return store.versions(name)
    except ArtifactMissing:
        return ()


def next_patch(existing: tuple[str, ...]) -> str:
    """Return the highest x.y.z with its last number raised by one; other versions are left out of account."""
    numbers = [tuple(map(int, v.split("."))) for v in existing if re.fullmatch(r"\d+\.\d+\.\d+", v)]
    if not numbers:
        return FIRST
    major, minor, patch = max(numbers)
    return f"{major}.{minor}.{patch + 1}"


def make_live(store: Store, name: str, version: str) -> None:
    """Move the live label of a model to `version`, which was packed here a moment ago; raises LabelsMoved."""
    mover, shelf = Mover.now(), Shelf.of(store)
    reading = label_file.read(shelf, name)
    target = Target(version, digest(shelf.read(f"{name}/{version}/{FILE}")))
    label_file.write(shelf, reading, moves.move(reading.labels, "live", target, at=mover.at, by=mover.by))
