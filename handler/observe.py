"""Logger and metrics: one structured line a call, with its metrics inside as EMF. No feature value is ever logged.

Powertools' Logger has the level, the stream and all that is rare. What every call writes is ours: through Powertools'
formatter, decorator and Metrics the line costs a call 170 µs and a cold start 17 ms more, so 20 µs and none.
"""

import logging
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from handler.settings import Settings
from model.registry import Loaded

_COUNTS = [{"Name": name, "Unit": "Count"} for name in ("Requests", "Errors", "ColdStart", "Predictions")]
METRICS = [*_COUNTS, {"Name": "Latency", "Unit": "Milliseconds"}]
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call:
    """What is known of one call while it is answered: filled in by the entry point, written once at its end.

    `identifier` is the caller's correlation id, `request` Lambda's own of the invocation.
    """

    entry: str
    identifier: str
    request: str | None = None
    started: float = field(default_factory=time.perf_counter)
    model: str | None = None
    version: str | None = None
    rows: int = 0
    status: int | None = None
    error: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def timestamp(seconds: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class Line(LambdaPowertoolsFormatter):
    """One JSON object a line: level, message, time, service, and what the caller of the logger put into `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": timestamp(record.created),
            "service": record.name,
            **getattr(record, "fields", {}),
        }
        return _encode(document).decode()


class Observer:
    """Writes the log lines of one execution environment."""

    def __init__(self, settings: Settings) -> None:
        self.logger = Logger(service=settings.service, logger_formatter=Line())
        self._handler: Any = self.logger.registered_handler
        self._emf = [{"Namespace": settings.namespace, "Dimensions": [["service", "model"]], "Metrics": METRICS}]
        self._function = {"function_name": settings.function} if settings.function else {}
        self._cold = True

    def loaded(self, loaded: Loaded) -> None:
        """Say that a version was loaded, or why it could not be."""
        milliseconds = round(loaded.seconds * 1000, 1)
        known = {"model": loaded.name, "version": loaded.version, "load_ms": milliseconds, **self._function}
        if loaded.error is None:
            self.logger.info("model loaded", extra={"fields": known | {"engine": loaded.engine}})
        else:
            why = {"error": type(loaded.error).__name__, "reason": str(loaded.error)}
            self.logger.error("model unavailable", extra={"fields": known | why})

    def unexpected(self, error: Exception) -> None:
        """Say where an error came from that nobody foresaw: class and frames, not its text, which may hold values."""
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
        self.logger.error("unexpected error", extra={"fields": {"error": type(error).__name__, "frames": frames}})

    def finish(self, call: Call) -> None:
        """Write the call's line: Requests, Errors, Predictions and Latency by model, and ColdStart for the first."""
        now = time.time()
        document = {
            "level": "INFO",
            "message": "request",
            "timestamp": timestamp(now),
            "service": self.logger.name,
            "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": self._emf},
            "entry": call.entry,
            "id": call.identifier,
            "correlation_id": call.identifier,
            "function_request_id": call.request,
            **self._function,
            "model": call.model or "none",
            "version": call.version,
            "status": call.status,
            "error": call.error,
            "Requests": 1,
            "Errors": int(call.error is not None),
            "ColdStart": int(self._cold),
            "Predictions": call.rows,
            "Latency": round((time.perf_counter() - call.started) * 1000, 3),
            **call.fields,
        }
        self._cold = False
        self.write(document)

    def write(self, document: Any) -> None:
        """Write one line, past the logger to its stream: through it one costs 60 µs, and no level may silence it."""
        self._handler.stream.write(_encode(document).decode() + "\n")
        self._handler.stream.flush()
