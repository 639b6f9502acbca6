"""What the service says of itself and its models: status, health, cards. Reads manifests, loads no estimator."""

from collections.abc import Callable
from typing import Any

import msgspec

from handler.settings import Settings
from model.errors import ArtifactError, ModelError, UnknownModel
from model.registry import Registry

Answer = tuple[int, dict[str, Any]]
Describe = Callable[..., Answer]


def status(registry: Registry, settings: Settings) -> Answer:
    """Answer `GET /`: that it runs, what it serves, what it takes, where to go next."""
    ready, reason = _ready(registry)
    try:
        names = list(registry.names())
    except ArtifactError:
        names = []
    found: dict[str, Any] = {"status": "ok" if ready else "unavailable", "models": names}
    if reason:
        found["reason"] = reason
    found |= {"docs": "/docs", "openapi": "/openapi.json", "health": "/health", "predict": "/predict"}
    limits = {"rows": settings.max_rows, "body_bytes": settings.max_body_bytes}
    return 200, found | {"default": _default(registry), "limits": limits, "feedback": settings.feedback}


def health(registry: Registry) -> Answer:
    """Answer `GET /health`: 200 as long as the process answers; the body tells whether it can predict."""
    ready, reason = _ready(registry)
    found: dict[str, Any] = {"status": "ready" if ready else "unavailable", "live": True, "ready": ready}
    if reason:
        found["reason"] = reason
    if degraded := _degraded(registry):
        found |= {"status": "degraded" if ready else "unavailable", "degraded": degraded}
    try:
        found["models"] = [_summary(registry, name) for name in registry.names()]
    except ArtifactError as error:
        found |= {"models": [], "reason": type(error).__name__}
    return 200, found


def live(_: Registry) -> Answer:
    return 200, {"live": True}


def ready(registry: Registry) -> Answer:
    """Answer `GET /health/ready`: 200 when the default model answers (any is there, without a default), else 503."""
    is_ready, reason = _ready(registry)
    return (200, {"ready": True}) if is_ready else (503, {"ready": False, "reason": reason})


def models(registry: Registry) -> Answer:
    return 200, {"models": [_summary(registry, name) for name in registry.names()]}


def model(registry: Registry, name: str) -> Answer:
    """Answer `GET /models/{name}`: its versions, and the card of the live one."""
    live_version = registry.live(name)
    return 200, _summary(registry, name) | {"card": card(registry, name, live_version)}


def version(registry: Registry, name: str, version: str) -> Answer:
    return 200, card(registry, name, version) | {"state": registry.state(name, version)}


def card(registry: Registry, name: str, version: str) -> dict[str, Any]:
    """Return what the public may know of a version: all of its manifest but the packer's environment."""
    document: dict[str, Any] = msgspec.to_builtins(registry.manifest(name, version))
    return {key: value for key, value in document.items() if key not in {"environment", "format", "input"}}


def _summary(registry: Registry, name: str) -> dict[str, Any]:
    try:
        live_version = registry.live(name)
    except ModelError:
        live_version = None
    versions: list[dict[str, Any]] = [{"version": v, "state": registry.state(name, v)} for v in registry.versions(name)]
    return {"name": name, "live": live_version, "labels": _labels(registry, name, live_version), "versions": versions}


def _labels(registry: Registry, name: str, live: str | None) -> dict[str, Any]:
    """Return where the label file points, which is not yet where the answers come from while a model is degraded."""
    try:
        found = registry.labels(name)
    except ArtifactError:
        return {}
    named = found.live.version if found and found.live else live
    labels: dict[str, Any] = {"live": {"version": named}} if named else {}
    for label, share in (("canary", found.canary), ("shadow", found.shadow)) if found else ():
        if share is not None:
            labels[label] = {"version": share.version, "weight": share.weight}
    return labels


def _degraded(registry: Registry) -> list[dict[str, str]]:
    """Return each label whose version does not answer as it should, and the class of the reason."""
    return [
        {"model": name, "label": label, "error": type(error).__name__}
        for name, faults in registry.faults().items()
        for label, error in faults.items()
    ]


def _default(registry: Registry) -> str | None:
    try:
        return registry.default()
    except ModelError:
        return None


def _ready(registry: Registry) -> tuple[bool, str | None]:
    """Tell whether the default model answers; without a default a service is ready when it has any model."""
    try:
        registry.scorer()
    except UnknownModel:
        return bool(registry.names()), None
    except ArtifactError as error:
        return False, type(error).__name__
    return True, None


# `GET /` is not among them: what it answers depends on who asks.
ROUTES: dict[str, Describe] = {
    "/health": health,
    "/health/live": live,
    "/health/ready": ready,
    "/models": models,
    "/models/{name}": model,
    "/models/{name}/versions/{version}": version,
}
