"""Open Inference Protocol v2 over HTTP and JSON, as KServe, MLServer and Triton speak it.

Specification: kserve/open-inference-protocol, `specification/protocol/inference_rest.md`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from handler.dialects.wire import Answer, Asked, Dialect, operation, said
from handler.observe import Observer
from handler.settings import Settings
from model.codec import json_rows, tensors
from model.errors import ArtifactError, Fault, InvalidRows, ModelError
from model.manifest import Manifest
from model.registry import Registry

if TYPE_CHECKING:
    from handler.records import Recorder

_MODEL = r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_STATES = {"ready": "READY", "unavailable": "UNAVAILABLE"}


class _Index(msgspec.Struct):
    ready: bool = False


def create(registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None) -> Dialect:
    """Return the dialect; `{"error": "…"}` is how it says what went wrong."""
    operations = (
        operation("POST", f"{_MODEL}/infer", infer),
        operation("GET", r"/v2/?", server),
        operation("GET", r"/v2/health/live", live),
        operation("GET", r"/v2/health/ready", ready),
        operation("GET", f"{_MODEL}/?", metadata),
        operation("GET", f"{_MODEL}/ready", model_ready),
        operation("POST", r"/v2/repository/index", index),
    )
    return Dialect(registry, settings, observer, operations, error, recorder)


def error(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"error": said(problem)}


async def infer(asked: Asked) -> Answer:
    asked.accepts("application/json")
    scorer = asked.scorer()
    if b"inference-header-content-length" in asked.head:
        raise InvalidRows((Fault("", tensors.BINARY),))
    inference = tensors.decode(await asked.json(), scorer.schema, asked.limits)
    prediction = asked.score(scorer, inference.request)
    identifier = asked.call.identifier if inference.identifier is None else inference.identifier
    return Answer(tensors.render(prediction, scorer.manifest, inference.request.outputs or (), identifier))


async def server(asked: Asked) -> Answer:
    return Answer({"name": asked.settings.service, "version": "2", "extensions": []})


async def live(_: Asked) -> Answer:
    return Answer({"live": True})


async def ready(asked: Asked) -> Answer:
    """Answer 200 only if the live version of every model can answer; loads those that nobody has asked for yet."""
    try:
        names = asked.registry.names()
    except ArtifactError:
        return Answer({"ready": False}, 503)
    every = bool(names) and all(_is_ready(asked.registry, name, None) for name in names)
    return Answer({"ready": every}, 200 if every else 503)


async def model_ready(asked: Asked) -> Answer:
    name, version = str(asked.path["name"]), asked.version()
    asked.registry.manifest(name, version)
    found = _is_ready(asked.registry, name, version)
    return Answer({"name": name, "ready": found}, 200 if found else 503)


def _is_ready(registry: Registry, name: str, version: str | None) -> bool:
    try:
        registry.scorer(name, version)
    except ModelError:
        return False
    return True


async def metadata(asked: Asked) -> Answer:
    name = str(asked.path["name"])
    manifest = asked.registry.manifest(name, asked.version())
    return Answer(
        {
            "name": name,
            "versions": list(asked.registry.versions(name)),
            "platform": "scikit-learn",
            "inputs": inputs(manifest),
            "outputs": outputs(manifest),
        }
    )


def inputs(manifest: Manifest) -> list[dict[str, Any]]:
    """Describe a tensor a column; one tensor of [-1, features] is taken as well."""
    return [
        {"name": feature.name, "datatype": tensors.datatype(feature), "shape": [-1, 1]} for feature in manifest.features
    ]


def outputs(manifest: Manifest) -> list[dict[str, Any]]:
    found = [tensors.output_tensor(output) for output in manifest.outputs]
    return [{"name": name, "datatype": datatype, "shape": [-1, width]} for name, datatype, width in found]


async def index(asked: Asked) -> Answer:
    body = await asked.json()
    try:
        wanted = msgspec.json.decode(body.removeprefix(json_rows.BOM) or b"{}", type=_Index)
    except json_rows.UNREADABLE:
        raise InvalidRows((Fault("", 'expected {} or {"ready": true}'),)) from None
    found = [
        {"name": name, "version": version, "state": _STATES.get(state, "UNKNOWN"), "reason": _reason(state)}
        for name in asked.registry.names()
        for version in asked.registry.versions(name)
        for state in [asked.registry.state(name, version)]
        if state == "ready" or not wanted.ready
    ]
    return Answer(found)


def _reason(state: str) -> str:
    return {"idle": "loaded when it is first asked", "unavailable": "it could not be loaded"}.get(state, "")
