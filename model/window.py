"""A window of records → what it says of each version that answered in it: drift, and quality where truth is known.

It is read twice, feedback first and predictions after it, so that memory holds counts and the feedback, never the
predictions: they are folded into the counts one by one.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from model import lines, records
from model.drift import measure
from model.errors import ModelError
from model.findings import Finding, Found
from model.manifest import Manifest, Scalar
from model.quality import Quality, quality
from model.records import FeedbackRecord, PredictionRecord
from model.reference import Reference
from model.store import Store

# Bounds of what is held: 100,000 answers are 30 MB. What is beyond is counted as left out.
FEEDBACK, VERSIONS = 100_000, 200

Known = Callable[[str, str], tuple[Manifest, Reference | None]]


def look(store: Store, known: Known, start: datetime | None = None, end: datetime | None = None) -> Found:
    """Read the records from `start` (included) to `end`, all without; raises ArtifactUnavailable or ArtifactMissing.

    `known` returns the manifest and the reference of a version, or raises a ModelError.
    """
    found = Found(start, end)
    truths = _truths(store, found)
    tallies: dict[tuple[str, str], _Tally | None] = {}
    for record in _records(store, found, feedback=False):
        if not isinstance(record, PredictionRecord) or not _within(record.timestamp, start, end):
            continue
        which = (record.model, record.version)
        if which not in tallies and len(tallies) < VERSIONS:
            tallies[which] = _Tally.of(known, *which)
        tally = tallies.get(which)
        if tally is None:
            found.unknown += 1
        else:
            tally.add(record, truths, found)
    found.unmatched = len(truths)
    found.findings = [tally.finding() for _, tally in sorted(tallies.items()) if tally is not None]
    return found


def _records(store: Store, found: Found, *, feedback: bool) -> "Iterator[records.Record]":
    for key in lines.keys(store, found.start, found.end):
        found.objects += not feedback
        spoiled = found.spoiled.append if not feedback else _nothing
        for record in records.read(lines.lines(store, key, spoiled), feedback=feedback):
            if record is not None:
                yield record
            elif not feedback:
                found.unreadable += 1


def _nothing(_: str) -> None:
    return None


def _truths(store: Store, found: Found) -> dict[tuple[str, int], Scalar]:
    """Return what is known to be true by id and row: of several answers to the same row the latest."""
    latest: dict[tuple[str, int], FeedbackRecord] = {}
    for record in _records(store, found, feedback=True):
        if isinstance(record, FeedbackRecord):
            place = (record.id, record.row)
            if place not in latest and len(latest) >= FEEDBACK:
                found.left_out += 1
            elif place not in latest or latest[place].timestamp <= record.timestamp:
                latest[place] = record
    return {place: record.actual for place, record in latest.items()}


def _within(timestamp: str, start: datetime | None, end: datetime | None) -> bool:
    try:
        moment = lines.instant(timestamp)
    except ValueError:
        return False
    return (start is None or start <= moment) and (end is None or moment < end)


@dataclass(slots=True)
class _Tally:
    """Everything of one version that is counted while the window is read."""

    manifest: Manifest
    reference: Reference | None
    quality: Quality | None
    counts: list[Counter[int]]
    requests: int = 0
    rows: int = 0

    @classmethod
    def of(cls, known: Known, name: str, version: str) -> "_Tally | None":
        try:
            manifest, reference = known(name, version)
        except ModelError:
            return None
        columns = reference.columns if reference else ()
        return cls(manifest, reference, quality(manifest), [Counter() for _ in columns])

    def add(self, record: PredictionRecord, truths: dict[tuple[str, int], Scalar], found: Found) -> None:
        self.requests += 1
        self.rows += len(record.rows)
        if self.reference is not None and record.bins is not None:
            features = len(self.reference.features)
            if any(len(bins) != features for bins in record.bins):
                found.unreadable += 1
                return
            for counts, column in zip(self.counts, zip(*record.bins, strict=True), strict=False):
                counts.update(column)
            if self.reference.prediction is not None and record.answer_bins is not None:
                self.counts[-1].update(record.answer_bins)
        if truths and record.answers is not None and self.quality is not None:
            self._judge(record, record.answers, self.quality, truths, found)

    def _judge(
        self,
        record: PredictionRecord,
        answers: list[Scalar],
        judge: Quality,
        truths: dict[tuple[str, int], Scalar],
        found: Found,
    ) -> None:
        for i, (row, answer) in enumerate(zip(record.rows, answers, strict=False)):
            actual = truths.pop((record.id, row), None)
            if actual is not None:
                probabilities = record.probabilities[i] if record.probabilities else None
                found.unusable += not judge.add(answer, actual, probabilities)

    def finding(self) -> Finding:
        return Finding(
            model=self.manifest.name,
            version=self.manifest.version,
            requests=self.requests,
            rows=self.rows,
            drift=measure(self.reference, self.counts) if self.reference else None,
            judged=self.quality.rows if self.quality else 0,
            figures=self.quality.figures() if self.quality else {},
            reference=self.reference,
            counts=tuple(self.counts),
        )
