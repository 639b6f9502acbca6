"""Golden rows asked again through the real entry points of versions that have no traffic yet.

The answers must be those recorded when the model was packed, for every model that the store has a live version of.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from handler.observe import DEPLOY_CHECK
from model import golden
from model.errors import UnknownModel
from model.golden import Golden
from model.manifest import Manifest
from model.registry import Registry
from model.store import Store

Invoke = Callable[[Any], Any]
"""A payload → what the function returned; raises what it raised."""
LATE_SECONDS = 40
"""One call may take as long as the API lets it; the rest is for the report."""


class CheckFailed(Exception):
    """The new version does not answer as it must; the message says which model, by which way, and what it did."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one live version must answer."""

    manifest: Manifest
    golden: Golden


def recorded(registry: Registry, store: Store) -> Iterator[Recorded]:
    """Return the live version of each model in the store; raises ArtifactError, or CheckFailed if there is none."""
    names = registry.names()
    if not names:
        raise CheckFailed("no model is served")
    for name in names:
        try:
            version = registry.live(name)
        except UnknownModel as error:
            raise CheckFailed(f"{name}: {error}") from error
        manifest = registry.manifest(name, version)
        yield Recorded(manifest, golden.parse(store.read(f"{name}/{version}/{golden.FILE}")))


def by_http(asked: Recorded, invoke: Invoke) -> Any:
    """Ask through an event of API Gateway, as a caller of the API would; returns the body. Raises CheckFailed."""
    manifest = asked.manifest
    path = f"/models/{manifest.name}/versions/{manifest.version}/predict"
    answer = invoke(http_event("POST", path, json.dumps(asked.golden.request)))
    if answer.get("statusCode") != 200:
        raise CheckFailed(f"status {answer.get('statusCode')}")
    return json.loads(answer["body"])


def by_invoke(asked: Recorded, invoke: Invoke) -> Any:
    """Ask directly; returns the answer."""
    manifest = asked.manifest
    return invoke({"model": manifest.name, "version": manifest.version, **asked.golden.request})


def check(found: Iterator[Recorded], http: Invoke, direct: Invoke, end: float) -> list[str]:
    """Ask every model both ways until `end` (of time.monotonic); returns what was asked. Raises CheckFailed."""
    asked: list[str] = []
    for one in found:
        label = f"{one.manifest.name}/{one.manifest.version}"
        for way, ask, invoke in (("http", by_http, http), ("invoke", by_invoke, direct)):
            if time.monotonic() > end - LATE_SECONDS:
                raise CheckFailed(f"{label}: no time is left, {len(asked)} checks were good")
            try:
                answer = ask(one, invoke)
                given = (answer.get("predictions"), answer.get("probabilities"), answer.get("decisions"))
                golden.check(one.golden, given, one.manifest)
            except Exception as error:
                raise CheckFailed(f"{label} by {way}: {type(error).__name__}: {error}") from error
            asked.append(f"{label} by {way}")
    return asked


def http_event(method: str, path: str, body: str) -> dict[str, Any]:
    """Return a proxy event of a REST API, with what an adapter reads of it."""
    headers = {"content-type": "application/json", "host": DEPLOY_CHECK}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": method,
            "path": path,
            "stage": DEPLOY_CHECK,
            "requestId": DEPLOY_CHECK,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": DEPLOY_CHECK},
        },
        "body": body,
        "isBase64Encoded": False,
    }
