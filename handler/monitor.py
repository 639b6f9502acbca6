"""A window of records → its findings as log lines with metrics: drift by version, quality where truth is known.

Metrics have the dimensions service, model and version (a canary's accuracy is not the live one's), and Drifted also
service alone, which an alarm can name. What is known of single features is in the line, not a metric: a metric a
feature would be billed for each.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from handler.observe import timestamp
from handler.runtime import Runtime
from model.findings import Document, Finding
from model.manifest import Manifest
from model.reference import Reference
from model.store import Patience, Store
from model.window import look

# Objects are some megabytes each, and nobody waits for the answer.
PATIENCE = Patience(timedelta(seconds=30), timedelta(seconds=3), 4, timedelta(seconds=60))
_UNITS = {"Drifted": "Count", "RecordedRows": "Count", "JudgedRows": "Count", "SmallWindows": "Count"}


def watch(runtime: Runtime, event: Mapping[str, Any]) -> Document:
    """Look at the hours before the event's time, write a line a version and one about all, return the same.

    Raises ArtifactUnavailable when the records cannot be read: then Lambda tries again, and the error is counted.
    """
    settings = runtime.settings
    if settings.records is None:
        return {"models": [], "reason": "MODEL_RECORDS names no place to read records from"}
    end = _moment(event)
    start = end - timedelta(hours=settings.monitor_hours)

    def known(name: str, version: str) -> tuple[Manifest, Reference | None]:
        return runtime.registry.manifest(name, version), runtime.registry.reference(name, version)

    found = look(Store(settings.records, settings.endpoint, PATIENCE), known, start, end)
    for finding in found.findings:
        runtime.observer.write(_line(runtime, "window", finding.document(), _metrics(finding), ["model", "version"]))
    summary = found.document()
    metrics = {"Drifted": float(len(found.drifted)), "Unreadable": float(found.unreadable + len(found.spoiled))}
    runtime.observer.write(_line(runtime, "windows", summary, metrics, []))
    return {**summary, "models": [finding.document() for finding in found.findings]}


def _metrics(finding: Finding) -> dict[str, float]:
    found = {"RecordedRows": float(finding.rows), "JudgedRows": float(finding.judged), **finding.figures}
    drift = finding.drift
    if drift is None:
        return found
    found |= {"Drifted": float(bool(drift.drifted)), "SmallWindows": float(drift.small)}
    found["DriftOverLimit"] = drift.worst
    for column in drift.columns:
        if column.name == "prediction":
            found["PredictionIndex"] = column.psi
    found["NullShare"] = max((column.nulls for column in drift.columns), default=0.0)
    found["UnseenShare"] = max((column.unseen for column in drift.columns), default=0.0)
    return found


def _line(runtime: Runtime, message: str, document: Document, metrics: dict[str, float], by: list[str]) -> Document:
    """Return a log line with metrics (EMF) by service and what is named in `by`."""
    now = time.time()
    named = [{"Name": name, "Unit": _UNITS.get(name, "None")} for name in metrics]
    emf = {"Namespace": runtime.settings.namespace, "Dimensions": [["service", *by]], "Metrics": named}
    return {
        "level": "INFO",
        "message": message,
        "timestamp": timestamp(now),
        "service": runtime.settings.service,
        "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [emf]},
        **document,
        **metrics,
    }


def _moment(event: Mapping[str, Any]) -> datetime:
    """Return the event's own time, so that a repeat looks at the same window; now, where it has none."""
    try:
        found = datetime.fromisoformat(str(event.get("time")))
    except ValueError:
        found = datetime.now(UTC)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
