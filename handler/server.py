"""The application as a server of its own: one process or several, Prometheus' text at /metrics. Never on Lambda.

`prometheus_client` adds up over the processes by files in PROMETHEUS_MULTIPROC_DIR, which must be set before it is
imported: `python -m handler` does.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, make_asgi_app
from prometheus_client.multiprocess import MultiProcessCollector

from handler import runtime
from handler.api import create_app
from handler.local import Guard, compressed
from handler.observe import Call, Observer, is_fault
from handler.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
METRICS_PATH = "/metrics"
_LABELS = ("operation", "model", "version")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class PrometheusObserver(Observer):
    """Writes the lines, and counts what is in them. Labels are few: a model that is not there is none."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        super().__init__(settings)
        self._requests = Counter("model_requests", "Calls answered", (*_LABELS, "status"), registry=registry)
        self._errors = Counter("model_errors", "Calls that failed", (*_LABELS, "fault"), registry=registry)
        self._rows = Counter("model_rows", "Rows asked for", _LABELS, registry=registry)
        self._seconds = Histogram("model_seconds", "What a call took", _LABELS, registry=registry, buckets=_BUCKETS)

    def finish(self, call: Call) -> None:
        """Write the call's line and count it."""
        super().finish(call)
        labels = (str(call.fields.get("operation", "none")), call.model or "none", call.version or "none")
        self._requests.labels(*labels, str(call.status)).inc()
        self._rows.labels(*labels).inc(call.rows)
        self._seconds.labels(*labels).observe(call.seconds)
        if call.error is not None:
            self._errors.labels(*labels, "ours" if is_fault(call) else "caller").inc()


class WithMetrics:
    """The application, and in front of it /metrics."""

    def __init__(self, app: "ASGIApp", metrics: "ASGIApp") -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        mine = scope["type"] == "http" and scope["path"] == METRICS_PATH
        await (self._metrics if mine else self._app)(scope, receive, send)


def create(env: Mapping[str, str] = os.environ) -> "ASGIApp":
    """Return what uvicorn serves, in each of its processes; raises SettingsError."""
    own = CollectorRegistry()
    observe: Callable[[Settings], Observer] = lambda settings: PrometheusObserver(settings, own)  # noqa: E731
    started = runtime.start(env, observe=observe)
    told = own
    if MULTIPROCESS in env:
        told = CollectorRegistry()
        MultiProcessCollector(told)  # type: ignore[no-untyped-call]
    key = started.settings.api_key
    app = create_app(
        started.registry, started.settings, started.observer, lambda routes: Guard(routes, key), started.recorder
    )
    return WithMetrics(compressed(app), make_asgi_app(told))
