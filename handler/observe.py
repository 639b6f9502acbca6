"""Logger and metrics: one structured line a call, with its metrics inside as EMF. No feature value is ever logged.

Powertools' Logger has the level, the stream and all that is rare. What every call writes is ours: through Powertools'
formatter, decorator and Metrics the line costs a call 170 µs and a cold start 17 ms more, so 20 µs and none.
"""

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from handler.price import MicroUsd
from handler.settings import Settings
from model.registry import Compared, Loaded, Refreshed

_COUNTS = [{"Name": name, "Unit": "Count"} for name in ("Requests", "Errors", "Faults", "ColdStart", "Predictions")]
METRICS = [*_COUNTS, {"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "PriceMicroUSD", "Unit": "None"}]
# By function for alarms, which take no search; by model and version to look closer. Each more costs for every metric.
DIMENSIONS = [["function_name"], ["function_name", "model", "version"]]
# Of errors those that the caller is to blame for; every other is a fault of ours, one of an HTTP status by the status.
REFUSALS = frozenset({"InvalidRows", "TooLarge", "UnknownModel", "JobRefused", "InputMalformed", "InputMissing"})
# What only some calls have, by name. A rollout's; see docs/registry-serving.md.
_MILLISECONDS = {"RefreshTime", "ShadowTime", "ColdStartTime"}
# The id of the golden rows that a deployment asks: nobody's question, so never recorded (`handler/records.py`).
DEPLOY_CHECK = "deploy-check"
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call:
    """What is known of one call while it is answered: filled in by the entry point, written once at its end.

    `identifier` is the caller's correlation id, `request` Lambda's own of the invocation; `left` tells the milliseconds
    left of it. `metrics` are those that only some calls have.
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
    left: Callable[[], int] | None = None
    metrics: dict[str, float] | None = None

    @property
    def seconds(self) -> float:
        """Since it started."""
        return time.perf_counter() - self.started


def direct_call(context: Any) -> Call:
    """Return the call of a direct invoke: its id is Lambda's, or DEPLOY_CHECK where the client context says so."""
    left = getattr(context, "get_remaining_time_in_millis", None)
    custom = getattr(getattr(context, "client_context", None), "custom", None)
    checks = isinstance(custom, dict) and custom.get("id") == DEPLOY_CHECK
    return Call("invoke", DEPLOY_CHECK if checks else context.aws_request_id, context.aws_request_id, left=left)


def timestamp(seconds: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _defined(metrics: Mapping[str, float]) -> list[dict[str, str]]:
    return [{"Name": name, "Unit": "Milliseconds" if name in _MILLISECONDS else "Count"} for name in metrics]


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
        self._emf = [{"Namespace": settings.namespace, "Dimensions": DIMENSIONS, "Metrics": METRICS}]
        self._function = {"function_name": settings.function or "local"}
        self._price = MicroUsd(settings.function_mb)
        self._cold = True
        self._ready: float | None = None
        self._refreshed: float | None = None
        self._degraded: dict[str, str] = {}

    def ready(self) -> None:
        """Note for the first line how old this process is: what a cold start takes until the model is loaded."""
        self._ready = process_age()

    def loaded(self, loaded: Loaded) -> None:
        """Say that a version was loaded, or why it could not be."""
        milliseconds = round(loaded.seconds * 1000, 1)
        known = {"model": loaded.name, "version": loaded.version, "load_ms": milliseconds, **self._function}
        if loaded.error is None:
            self.logger.info("model loaded", extra={"fields": known | {"engine": loaded.engine}})
        else:
            why = {"error": type(loaded.error).__name__, "reason": str(loaded.error)}
            self.logger.error("model unavailable", extra={"fields": known | why})

    def refreshed(self, refreshed: Refreshed) -> None:
        """Note what a look at a label file took, for the line of the call that paid; say what moved or is wrong."""
        self._refreshed = round(refreshed.seconds * 1000, 3)
        name = refreshed.name
        degraded = {label: type(error).__name__ for label, error in refreshed.faults.items()}
        recovered = self._degraded.pop(name, None) is not None and not degraded
        if degraded:
            self._degraded[name] = ", ".join(degraded.values())
        if not (degraded or refreshed.moved or recovered):
            return
        fields: dict[str, Any] = {
            "model": name,
            "version": refreshed.version,
            "moved": refreshed.moved,
            "refresh_ms": self._refreshed,
        }
        if degraded:
            fields |= {"degraded": degraded, "reasons": {label: str(e) for label, e in refreshed.faults.items()}}
        metrics: dict[str, float] = {"Swaps": int("live" in refreshed.moved), "Degraded": int(bool(degraded))}
        level, message = ("WARNING", "model degraded") if degraded else ("INFO", "model refreshed")
        self._write_line(level, message, fields, metrics)

    def scoring(self, call: Call, fields: dict[str, Any], metrics: dict[str, float]) -> None:
        """Say how far a call's object is, with what was done since the last such line as metrics."""
        known = {"id": call.identifier, "model": call.model or "none", "version": call.version or "none"}
        self._write_line("INFO", "scoring", known | fields, metrics)

    def _write_line(self, level: str, message: str, fields: dict[str, Any], metrics: dict[str, float]) -> None:
        now = time.time()
        head = {"level": level, "message": message, "timestamp": timestamp(now), "service": self.logger.name}
        emf = {"Timestamp": int(now * 1000), "CloudWatchMetrics": self._emf_of(_defined(metrics))}
        self.write(head | {"_aws": emf} | self._function | fields | metrics)

    def compared(self, call: Call, compared: Compared | None) -> None:
        """Put what a shadow answered beside into the call's line: figures, no value."""
        if compared is None:
            return
        wrong, error = compared.disagreements, compared.error
        call.metrics = (call.metrics or {}) | {
            "ShadowTime": round(compared.seconds * 1000, 3),
            "ShadowRows": compared.rows,
            "ShadowDisagreements": wrong,
            "ShadowErrors": int(error is not None),
        }
        call.fields["shadow"] = {"version": compared.version} | ({"error": error} if error else {})

    def unexpected(self, error: Exception) -> None:
        """Say where an error came from that nobody foresaw: class and frames, not its text, which may hold values."""
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-5:]]
        self.logger.error("unexpected error", extra={"fields": {"error": type(error).__name__, "frames": frames}})

    def finish(self, call: Call) -> None:
        """Write the call's line: METRICS by function, model and version; ColdStartTime in the first."""
        now = time.time()
        milliseconds = round(call.seconds * 1000, 3)
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
            "version": call.version or "none",
            "status": call.status,
            "error": call.error,
            "Requests": 1,
            "Errors": int(call.error is not None),
            "Faults": int(call.error is not None and is_fault(call)),
            "ColdStart": int(self._cold),
            "Predictions": call.rows,
            "Latency": milliseconds,
            "PriceMicroUSD": self._price.of(milliseconds),
            **call.fields,
        }
        if self._cold:
            self._cold = False
            self._add_start(document, call)
        if call.metrics or self._refreshed is not None or self._degraded:
            self._add_rollout(document, call)
        self.write(document)

    def _add_start(self, document: dict[str, Any], call: Call) -> None:
        """Add what the cold start took, and its price, which Lambda bills since August 2025."""
        if self._ready is None:
            return
        call.metrics = (call.metrics or {}) | {"ColdStartTime": round(self._ready, 1)}
        document["PriceMicroUSD"] = round(document["PriceMicroUSD"] + self._price.of_start(self._ready), 4)

    def _add_rollout(self, document: dict[str, Any], call: Call) -> None:
        """Add what few calls have: of a cold start, a look at a label file, a shadow, and that a model is degraded."""
        metrics = dict(call.metrics or {})
        if self._refreshed is not None:
            metrics["RefreshTime"], self._refreshed = self._refreshed, None
        if call.model in self._degraded:
            document["degraded"] = self._degraded[call.model]
        document["_aws"]["CloudWatchMetrics"] = self._emf_of([*METRICS, *_defined(metrics)])
        document |= metrics

    def _emf_of(self, metrics: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [self._emf[0] | {"Metrics": metrics}]

    def write(self, document: Any) -> None:
        """Write one line, past the logger to its stream: through it one costs 60 µs, and no level may silence it."""
        self._handler.stream.write(_encode(document).decode() + "\n")
        self._handler.stream.flush()


def is_fault(call: Call) -> bool:
    """Tell an error of ours from one of the caller's: by its class, and by the status where it is an HTTP error's."""
    if call.error in REFUSALS:
        return False
    return not (call.error or "").startswith("Http") or (call.status or 500) >= 500


def process_age() -> float | None:
    """Return for how many milliseconds this process has been there, None where /proc does not tell."""
    try:
        with open("/proc/self/stat") as stat:  # noqa: PTH123  -- pathlib would be imported for it
            ticks = int(stat.read().rpartition(")")[2].split()[19])  # proc_pid_stat(5): starttime, the 22nd
        return (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")) * 1000
    except (OSError, ValueError, AttributeError):
        return None
