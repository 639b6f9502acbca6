"""Logger and metrics: one structured line a call, with its metrics inside as EMF. No feature value is ever logged."""

import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from handler.settings import Settings
from model.registry import Loaded


@dataclass(slots=True)
class Call:
    """What is known of one call while it is answered: filled in by the entry point, written once at its end."""

    entry: str
    identifier: str
    started: float = field(default_factory=time.perf_counter)
    model: str | None = None
    version: str | None = None
    rows: int = 0
    status: int | None = None
    error: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


class Observer:
    """Writes the log lines of one execution environment."""

    def __init__(self, settings: Settings) -> None:
        self.logger = Logger(service=settings.service, utc=True, use_rfc3339=True)
        self._metrics = Metrics(service=settings.service, namespace=settings.namespace)
        self._cold = True

    def loaded(self, loaded: Loaded) -> None:
        """Say that a version was loaded, or why it could not be."""
        milliseconds = round(loaded.seconds * 1000, 1)
        known = {"model": loaded.name, "version": loaded.version, "load_ms": milliseconds}
        if loaded.error is None:
            self.logger.info("model loaded", extra=known)
        else:
            why = {"error": type(loaded.error).__name__, "reason": str(loaded.error)}
            self.logger.error("model unavailable", extra=known | why)

    def unexpected(self, error: Exception) -> None:
        """Say where an error came from that nobody foresaw: class and frames, not its text, which may hold values."""
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
        self.logger.error("unexpected error", extra={"error": type(error).__name__, "frames": frames})

    def finish(self, call: Call) -> None:
        """Write the call's line: Requests, Errors, Predictions and Latency by model, and ColdStart for the first."""
        latency = round((time.perf_counter() - call.started) * 1000, 3)
        add = self._metrics.add_metric
        add("Requests", MetricUnit.Count, 1)
        add("Errors", MetricUnit.Count, int(call.error is not None))
        add("Latency", MetricUnit.Milliseconds, latency)
        add("ColdStart", MetricUnit.Count, int(self._cold))
        if call.rows:
            add("Predictions", MetricUnit.Count, call.rows)
        self._cold = False
        self._metrics.add_dimension("model", call.model or "none")
        emf = self._metrics.serialize_metric_set()
        self._metrics.clear_metrics()
        known = {"entry": call.entry, "id": call.identifier, "version": call.version, "status": call.status}
        self.logger.info("request", extra={**emf, **known, "error": call.error, **call.fields})
