"""What training looked like, as histograms: reference.json, and the bin of a value in it. Pure.

Bins are quantiles for numbers, one a value where there are few; the categories themselves; lengths for text. A record
of a prediction holds bins, so that no feature's value need leave the function to be compared with training.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from model.errors import ArtifactCorrupt, ArtifactIncompatible
from model.manifest import Scalar

FILE = "reference.json"
FORMAT = 1
# Bins of what no histogram has a place for.
NULL, UNSEEN = -1, -2

Binner = Callable[[Any], int]


@dataclass(frozen=True, slots=True)
class Histogram:
    """One column of the training rows: `counts` has an entry a bin, `nulls` and `unseen` what is in none.

    number, length   bin i holds what is above edges[i - 1] and up to edges[i]; the first and the last are open
    category         bin i holds categories[i]
    """

    name: str
    kind: Literal["number", "category", "length"]
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[Scalar, ...] = ()
    nulls: int = 0
    unseen: int = 0

    @property
    def total(self) -> int:
        return sum(self.counts) + self.nulls + self.unseen


@dataclass(frozen=True, slots=True)
class Reference:
    """The histograms of `rows` training rows, features in the manifest's order; `prediction` of the answers to them."""

    format: int
    rows: int
    features: tuple[Histogram, ...]
    prediction: Histogram | None = None

    @property
    def columns(self) -> tuple[Histogram, ...]:
        """The features, and then what was predicted."""
        return self.features if self.prediction is None else (*self.features, self.prediction)


def binner(histogram: Histogram) -> Binner:
    """Return what tells the bin of a value: 0, 1, …; NULL for None, UNSEEN for a category that training had not."""
    edges = histogram.edges
    if histogram.kind == "category":
        places = {category: i for i, category in enumerate(histogram.categories)}
        return lambda value: places.get(value, UNSEEN) if value is not None else NULL
    if histogram.kind == "length":
        return lambda value: bisect_left(edges, len(value)) if value is not None else NULL
    return lambda value: bisect_left(edges, value) if value is not None else NULL


def bins_of(binners: Sequence[Binner], row: Sequence[Any]) -> list[int]:
    """Return the bins of a row's values."""
    return [find(value) for find, value in zip(binners, row, strict=True)]


def words(histogram: Histogram) -> list[str]:
    """Return what to call each bin, for a reader."""
    if histogram.kind == "category":
        return [str(category) for category in histogram.categories]
    if not histogram.edges:
        return ["all"]
    inner = [f"{low:g}–{high:g}" for low, high in zip(histogram.edges, histogram.edges[1:], strict=False)]
    return [f"≤ {histogram.edges[0]:g}", *inner, f"> {histogram.edges[-1]:g}"]


def dump(reference: Reference) -> bytes:
    """Return reference.json."""
    return msgspec.json.encode(reference) + b"\n"


def parse(content: bytes) -> Reference:
    """Return the reference in `content`; raises ArtifactCorrupt, or ArtifactIncompatible for a newer FORMAT."""
    try:
        if msgspec.json.decode(content, type=_Head).format != FORMAT:
            raise ArtifactIncompatible(f"{FILE} has another format than {FORMAT}, which this code reads")
        found = msgspec.json.decode(content, type=Reference)
    except msgspec.MsgspecError as error:
        raise ArtifactCorrupt(f"{FILE} is not a reference: {error}") from None
    for column in found.columns:
        expected = len(column.categories) if column.kind == "category" else len(column.edges) + 1
        if len(column.counts) != expected or list(column.edges) != sorted(column.edges):
            raise ArtifactCorrupt(f"{FILE} is not a reference: the bins of {column.name} do not fit its counts")
    return found


class _Head(msgspec.Struct):
    format: int
