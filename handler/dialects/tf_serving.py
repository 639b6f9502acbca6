"""TensorFlow Serving's REST API v1 (and so KServe's v1): predict, model status and metadata.

Specification: tensorflow/serving, `tensorflow_serving/g3doc/api_rest.md`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handler.dialects.wire import Answer, Asked, Dialect, operation, said
from handler.observe import Observer
from handler.settings import Settings
from model.codec import frames, tensors
from model.errors import ModelError
from model.registry import Registry

if TYPE_CHECKING:
    from handler.records import Recorder

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
_DTYPES = {"FP64": "DT_DOUBLE", "INT64": "DT_INT64", "BOOL": "DT_BOOL", "BYTES": "DT_STRING"}


def create(registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None) -> Dialect:
    """Return the dialect; `{"error": "…"}` is how it says what went wrong."""
    operations = (
        operation("POST", f"{_MODEL}:predict", predict),
        operation("GET", f"{_MODEL}/metadata", metadata),
        operation("GET", _MODEL, status),
        operation("GET", r"/v1/models", models),
    )
    return Dialect(registry, settings, observer, operations, error, recorder)


def error(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"error": said(problem)}


async def predict(asked: Asked) -> Answer:
    """Answer rows ("instances") by "predictions", columns ("inputs") by "outputs"."""
    asked.accepts("application/json")
    scorer = asked.scorer()
    body = await asked.json()
    frame = frames.decode(body, scorer.schema, ("instances", "inputs"), ("signature_name",), limits=asked.limits)
    values = asked.score(scorer, frame.request).values
    return Answer({"outputs" if frame.form == "inputs" else "predictions": values})


async def models(asked: Asked) -> Answer:
    """Answer KServe's list, for TensorFlow Serving has none."""
    return Answer({"models": list(asked.registry.names())})


async def status(asked: Asked) -> Answer:
    name = str(asked.path["name"])
    one = asked.path.get("version") or asked.path.get("label")
    versions = [asked.version()] if one else list(asked.registry.versions(name))
    for version in versions:
        asked.registry.manifest(name, version)
    return Answer({"model_version_status": [_state(asked.registry, name, version) for version in versions]})


def _state(registry: Registry, name: str, version: str) -> dict[str, Any]:
    """Say whether a version can answer; one that nobody has asked for yet is loaded to find out."""
    try:
        registry.scorer(name, version)
    except ModelError:
        failed = {"error_code": "UNAVAILABLE", "error_message": "the model cannot be served now"}
        return {"version": version, "state": "END", "status": failed}
    return {"version": version, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


async def metadata(asked: Asked) -> Answer:
    name, version = str(asked.path["name"]), asked.version()
    manifest = asked.registry.manifest(name, version)
    output = next(tensors.output_tensor(output) for output in manifest.outputs if output.name == "prediction")
    signature = {
        "inputs": {feature.name: _tensor(feature.name, tensors.datatype(feature), 1) for feature in manifest.features},
        "outputs": {"outputs": _tensor("outputs", output[1], output[2])},
        "method_name": "tensorflow/serving/predict",
    }
    return Answer(
        {
            "model_spec": {"name": name, "signature_name": "", "version": version},
            "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
        }
    )


def _tensor(name: str, datatype: str, width: int) -> dict[str, Any]:
    sizes = ["-1", *([str(width)] if width > 1 else [])]
    shape = {"dim": [{"size": size, "name": ""} for size in sizes], "unknown_rank": False}
    return {"dtype": _DTYPES[datatype], "tensor_shape": shape, "name": name}
