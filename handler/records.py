"""Prediction records: of a share of the requests one line in the log, as bins of the training histograms.

The way of a line is the log group's subscription, Firehose, S3 (docs/monitoring.md). Whether a request is recorded
follows from its id, so no generator has to be seeded anew after a restore, and a retry decides alike.
"""

import time
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from handler.observe import DEPLOY_CHECK, Observer, timestamp
from handler.settings import Settings
from model.errors import ModelError
from model.records import Feedback, FeedbackRecord, PredictionRecord
from model.reference import Binner, binner, bins_of
from model.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.rows import Request, Row
    from model.scorer import Prediction

# Of a request with more rows so many are recorded, at equal distances: a line stays short, and its cost is bounded.
ROWS = 10
_WHOLE = 2**32


@dataclass(frozen=True, slots=True)
class _Bins:
    """How the values of one version become bins; `answer` is None where its predictions have no histogram."""

    features: tuple[Binner, ...]
    answer: Binner | None


class Recorder:
    """Writes the records of one execution environment."""

    def __init__(self, registry: Registry, settings: Settings, observer: Observer) -> None:
        self._registry = registry
        self._observer = observer
        self._limit = settings.record_share * _WHOLE
        self._answers = settings.record_detail != "bins"
        self._values = settings.record_detail == "values"
        self._service = settings.service
        self._bins: dict[tuple[str, str], _Bins | None] = {}

    def prepare(self) -> None:
        """Read the default model's histograms, so that no request has to wait for them."""
        try:
            manifest = self._registry.scorer().manifest
        except ModelError:
            return
        self._known(manifest.name, manifest.version)

    def answered(self, identifier: str, request: "Request", prediction: "Prediction") -> None:
        """As `predicted`, of a request that may have options: its own threshold's decisions are not the model's, and
        probabilities of some classes only are in another order than the labels."""
        if request.threshold is None:
            whole = prediction if request.top_k is None else replace(prediction, probabilities=None)
            self.predicted(identifier, request.rows, whole)

    def predicted(self, identifier: str, rows: "Sequence[Row]", prediction: "Prediction") -> None:
        """Write what was asked and answered, if it is in the sample and no deployment's check; never raises."""
        draw = zlib.crc32(identifier.encode())
        # Golden rows are drawn evenly from what is possible: those of one deployment, at seven aliases, would be called
        # drift in every window of 200 rows of babies.
        if draw >= self._limit or not rows or identifier == DEPLOY_CHECK:
            return
        try:
            self._observer.write(self._record(identifier, draw, rows, prediction))
        except Exception as error:
            self._observer.unexpected(error)

    def feedback(self, given: Feedback) -> None:
        """Write what a caller says was true."""
        now = timestamp(time.time())
        self._observer.write(FeedbackRecord(now, self._service, given.id, given.actual, given.row))

    def _record(self, identifier: str, draw: int, rows: "Sequence[Row]", prediction: "Prediction") -> PredictionRecord:
        step = -(-len(rows) // ROWS)
        places = range(draw % step, len(rows), step)
        chosen = [rows[i] for i in places]
        record = PredictionRecord(
            timestamp(time.time()), self._service, identifier, prediction.name, prediction.version, list(places)
        )
        answers: list[Any] | None = [prediction.values[i] for i in places] if prediction.values is not None else None
        if answers and type(answers[0]) is list:  # several targets: no histogram, and nothing to compare one truth with
            answers = None
        bins = self._known(prediction.name, prediction.version)
        if bins is not None:
            record.bins = [bins_of(bins.features, row) for row in chosen]
            if bins.answer is not None and answers is not None:
                record.answer_bins = [bins.answer(answer) for answer in answers]
        if self._answers:
            record.answers = answers
            if prediction.probabilities is not None:
                record.probabilities = [
                    [round(share, 5) for share in prediction.probabilities[i].values()] for i in places
                ]
        if self._values:
            record.values = [list(row) for row in chosen]
        return record

    def _known(self, name: str, version: str) -> _Bins | None:
        """Return a version's bins; None, and one line about it, where it has no histograms or they cannot be read."""
        key = (name, version)
        if key not in self._bins:
            self._bins[key] = None
            told = {"model": name, "version": version}
            try:
                reference = self._registry.reference(name, version)
            except ModelError as error:
                why = {"error": type(error).__name__, "reason": str(error)}
                self._observer.logger.error("no histograms to record by", extra={"fields": told | why})
                return None
            if reference is None:
                why = {"reason": "packed without a sample of the training data"}
                self._observer.logger.warning("no histograms to record by", extra={"fields": told | why})
                return None
            answer = binner(reference.prediction) if reference.prediction is not None else None
            self._bins[key] = _Bins(tuple(map(binner, reference.features)), answer)
        return self._bins[key]
