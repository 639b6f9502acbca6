"""The dialects' part of the OpenAPI document: concrete paths of each model, with a request that works."""

from collections.abc import Callable, Sequence
from typing import Any

from handler.settings import Dialect, Settings
from model.codec import tensors
from model.manifest import Feature, Manifest

Schema = dict[str, Any]
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_CODED: Schema = {
    "type": "object",
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error_code", "message"],
}
_OBJECT = {"type": "object"}
_REFUSED = {
    "400": "the request does not fit, or the estimator cannot answer it",
    "404": "no such model, version or label",
    "406": "JSON is not accepted",
    "413": "more bytes, rows, digits or levels than are taken",
    "415": "not JSON in UTF-8, or another coding than gzip",
    "503": "the model cannot be served now",
}
_GATEWAY = {
    "401": "the gateway asks for a token (AuthMode=Jwt)",
    "403": "the gateway asks for a key or a signature (locally: MODEL_API_KEY)",
    "429": "more requests than the gateway lets through",
    "504": "the gateway waited for 29 seconds",
}
_LATE = "the body did not come within 30 seconds (at the server; a gateway sends bodies whole)"
_SERVER: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "extensions": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "version", "extensions"],
}
_ID = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}


def paths(manifests: Sequence[Manifest], default: Manifest | None, settings: Settings) -> Schema:
    """Return the paths of the dialects that are switched on."""
    found: Schema = {}
    for dialect in settings.dialects:
        found |= _PATHS[dialect](manifests, default, settings)
    return found


def schemas(settings: Settings) -> Schema:
    """Return what the paths refer to."""
    return {"Server": _SERVER} if "open-inference" in settings.dialects else {}


def complete(responses: Schema) -> Schema:
    """Return responses with the gateway's refusals, the unexpected, and the request's id in each."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    own = next((answer["content"] for status, answer in responses.items() if status in {"400", "404"}), problem)
    gateway = {status: {"description": words, "content": problem} for status, words in _GATEWAY.items()}
    every = responses | gateway
    every["500"] = {"description": "an unexpected error, logged under the request's id", "content": own}
    if "413" in responses:
        every["408"] = {"description": _LATE, "content": own}
    return {status: answer | {"headers": _ID} for status, answer in sorted(every.items())}


def _open_inference(manifests: Sequence[Manifest], _: Manifest | None, __: Settings) -> Schema:
    found: Schema = {}
    for path in ("/v2", "/v2/"):
        server = {"$ref": "#/components/schemas/Server"}
        found[path] = _get("v2", "The server's name, version and extensions", server)
    for state in ("live", "ready"):
        down = {"503": "not every model can answer"} if state == "ready" else {}
        answer = {"type": "object", "properties": {state: {"type": "boolean"}}, "required": [state]}
        found[f"/v2/health/{state}"] = _get("v2", f"Whether the server is {state}", answer, None, down, answer)
    index = {"type": "array", "items": {"type": "object", "required": ["name", "version", "state", "reason"]}}
    asked = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    listed = _post("v2", "The models of the repository", asked, {"only ready ones": {"ready": True}}, index, _ERROR)
    found["/v2/repository/index"] = listed
    for manifest in manifests:
        for below in _below("/v2/models", manifest):
            described = {"type": "object", "required": ["name", "versions", "platform", "inputs", "outputs"]}
            down = {"503": _REFUSED["503"]}
            found[below] = _get("v2", f"Metadata of {manifest.name}", described, _ERROR, down)
            readiness: Schema = {"type": "object", "required": ["name", "ready"]}
            found[f"{below}/ready"] = _get(
                "v2", f"Whether {manifest.name} can answer", readiness, _ERROR, down, _OBJECT
            )
            found[f"{below}/infer"] = _infer(manifest)
    return found


def _infer(manifest: Manifest) -> Schema:
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
            "datatype": {"enum": list(tensors.DATATYPES)},
            "parameters": _OBJECT,
            "data": {
                "type": "array",
                "items": {},
                "description": "flat, row by row, or nested; null is a missing value",
            },
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    offered = [tensors.output_tensor(output)[0] for output in manifest.outputs]
    wanted = {"type": "object", "properties": {"name": {"enum": offered}, "parameters": _OBJECT}, "required": ["name"]}
    asked = {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": _OBJECT,
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": "array", "items": wanted},
        },
        "required": ["inputs"],
    }
    answer = {"type": "object", "required": ["model_name", "model_version", "id", "outputs"]}
    summary = f"Infer with {manifest.name}: one tensor of [n, {len(manifest.features)}], or a tensor a column"
    return _post("v2", summary, asked, _tensors(manifest), answer, _ERROR)


def _tensors(manifest: Manifest) -> Schema:
    columns = [
        {"name": f.name, "shape": [1, 1], "datatype": tensors.datatype(f), "data": [_whole(f)]}
        for f in manifest.features
    ]
    found: Schema = {"a tensor a column": {"inputs": columns}}
    if {tensors.datatype(feature) for feature in manifest.features} <= {"FP64", "INT64"}:
        data = [feature.example for feature in manifest.features]
        one = {"name": "input", "shape": [1, len(data)], "datatype": "FP64", "data": data}
        found["one tensor"] = {"inputs": [one], "outputs": [{"name": "predict"}]}
    return found


def _whole(feature: Feature) -> Any:
    """Return a column's example as its datatype writes it: a median is 0.0 where the column holds integers."""
    return int(feature.example or 0) if tensors.datatype(feature) == "INT64" else feature.example


def _invocations(manifests: Sequence[Manifest], default: Manifest | None, _: Settings) -> Schema:
    ready = {"type": "object", "properties": {"ready": {"type": "boolean"}}, "required": ["ready"]}
    found: Schema = {
        "/ping": _get("invocations", "Whether the default model can answer", ready, None, {"503": "not now"}, ready),
        "/version": _get("invocations", "The service's version", {"type": "string"}, media="text/plain"),
        "/execution-parameters": _get("invocations", "What SageMaker's batch transform asks", _OBJECT),
    }
    named = [(f"/endpoints/{manifest.name}/invocations", manifest) for manifest in manifests]
    for path, manifest in [*([("/invocations", default)] if default else []), *named]:
        found[path] = _invoke(manifest)
    return found


def _invoke(manifest: Manifest) -> Schema:
    names = [feature.name for feature in manifest.features]
    row = [feature.example for feature in manifest.features]
    record = dict(zip(names, row, strict=True))
    examples: Schema = {
        "dataframe_split": {"dataframe_split": {"columns": names, "data": [row]}},
        "dataframe_records": {"dataframe_records": [record]},
        "instances": {"instances": [row]},
        "inputs": {"inputs": {name: [value] for name, value in record.items()}},
        "bare rows": [row],
    }
    predictions = {
        "type": "object",
        "properties": {"predictions": {"type": "array", "items": {}}},
        "required": ["predictions"],
    }
    found = _post("invocations", f"Score with {manifest.name}", _FRAMES, examples, predictions, _CODED)
    csv = ",".join(names) + "\n" + ",".join("" if value is None else str(value) for value in row) + "\n"
    found["post"]["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}, "example": csv}
    found["post"]["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return found


def _tf_serving(manifests: Sequence[Manifest], _: Manifest | None, __: Settings) -> Schema:
    listed = {"type": "object", "properties": {"models": {"type": "array", "items": {}}}, "required": ["models"]}
    found: Schema = {"/v1/models": _get("v1", "The models", listed, _ERROR, {"503": _REFUSED["503"]})}
    for manifest in manifests:
        row = [feature.example for feature in manifest.features]
        columns = {feature.name: [feature.example] for feature in manifest.features}
        for below in (*_below("/v1/models", manifest), f"/v1/models/{manifest.name}/labels/live"):
            down = {"503": _REFUSED["503"]}
            status = {"type": "object", "required": ["model_version_status"]}
            found[below] = _get("v1", f"Versions of {manifest.name} and their states", status, _ERROR, down)
            known = {"type": "object", "required": ["model_spec", "metadata"]}
            found[f"{below}/metadata"] = _get("v1", f"Signature of {manifest.name}", known, _ERROR, down)
            examples = {"rows": {"instances": [row]}, "columns": {"inputs": columns}}
            predict = _post("v1", f"Predict with {manifest.name}", _FRAMES_V1, examples, _PREDICTED, _ERROR)
            found[f"{below}:predict"] = predict
    return found


_PREDICTED: Schema = {
    "anyOf": [
        {"type": "object", "properties": {key: {"type": "array", "items": {}}}, "required": [key]}
        for key in ("predictions", "outputs")
    ]
}
_ROWS = {"type": "array", "items": {}, "description": "rows as arrays or objects"}
_COLUMNS = {"type": ["object", "array"], "items": {}, "description": "columns by name, or rows"}
_SPLIT = {
    "type": "object",
    "properties": {"columns": {"type": "array", "items": {}}, "data": {"type": "array", "items": {}}},
    "required": ["data"],
}
_PARAMS = {"type": ["object", "null"], "description": "output, threshold, top_k"}


def _forms(beside: Schema, **forms: Schema) -> list[Schema]:
    return [
        {"type": "object", "properties": {name: form} | beside, "required": [name], "additionalProperties": False}
        for name, form in forms.items()
    ]


_FRAMES: Schema = {
    "anyOf": [
        *_forms({"params": _PARAMS}, dataframe_split=_SPLIT, dataframe_records=_ROWS, instances=_ROWS, inputs=_COLUMNS),
        _ROWS,
    ]
}
_FRAMES_V1: Schema = {"anyOf": _forms({"signature_name": {"type": "string"}}, instances=_ROWS, inputs=_COLUMNS)}


def _below(root: str, manifest: Manifest) -> tuple[str, str]:
    return f"{root}/{manifest.name}", f"{root}/{manifest.name}/versions/{manifest.version}"


def _get(
    tag: str,
    summary: str,
    answer: Schema,
    error: Schema | None = None,
    others: dict[str, str] | None = None,
    other: Schema | None = None,
    media: str = "application/json",
) -> Schema:
    """Return a GET operation; `other` is what the statuses in `others` hold where that is no error."""
    responses: Schema = {"200": {"description": summary, "content": {media: {"schema": answer}}}}
    if error is not None:
        responses["404"] = {"description": _REFUSED["404"], "content": {"application/json": {"schema": error}}}
    for status, words in (others or {}).items():
        either = {"anyOf": [schema for schema in (other, error) if schema is not None]}
        responses[status] = {"description": words, "content": {"application/json": {"schema": either}}}
    return {"get": {"summary": summary, "tags": [tag], "responses": responses}}


def _post(tag: str, summary: str, asked: Schema, examples: Schema, answer: Schema, error: Schema) -> Schema:
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": asked, "examples": named}}
    refused = {
        status: {"description": words, "content": {"application/json": {"schema": error}}}
        for status, words in _REFUSED.items()
    }
    done = {"description": summary, "content": {"application/json": {"schema": answer}}}
    return {
        "post": {
            "summary": summary,
            "tags": [tag],
            "requestBody": {"required": True, "content": content},
            "responses": {"200": done} | refused,
        }
    }


_PATHS: dict[Dialect, Callable[[Sequence[Manifest], Manifest | None, Settings], Schema]] = {
    "open-inference": _open_inference,
    "invocations": _invocations,
    "tf-serving": _tf_serving,
}
