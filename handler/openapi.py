"""Manifests → the typed OpenAPI 3.1 document: each model's own paths, features, ranges and an example that works."""

import itertools
from typing import Any

from handler.settings import Settings
from model.errors import ArtifactError, UnknownModel
from model.faults import expected
from model.manifest import Feature, Manifest, Output
from model.options import is_binary
from model.registry import Registry
from model.rows import LARGEST, LIMIT

Schema = dict[str, Any]

_DESCRIPTION = """Predictions of packed scikit-learn estimators.

One row: `{"features": [...]}`, `{"features": {...}}` or the features themselves as an object.
Many rows: `{"instances": [...]}` or `text/csv` with a header. `Accept: text/csv` gets CSV back.
Bodies may come with `Content-Encoding: gzip`. Of a key that appears twice the last counts.
"""


def document(registry: Registry, settings: Settings) -> Schema:
    """Return the document of what the registry can serve now; a model whose manifest cannot be read is left out."""
    from handler.dialects import contract  # noqa: PLC0415  -- nor does a cold start need the dialects

    manifests = _manifests(registry)
    paths: Schema = dict(_CATALOGUE)
    for manifest in manifests:
        paths |= _cards(manifest)
    try:
        default = next((m for m in manifests if m.name == registry.default()), None)
    except (UnknownModel, ArtifactError):
        default = None
    if default is not None:
        paths["/predict"] = {"post": _predict(default, "the default model")}
    for manifest in manifests:
        paths[f"/models/{manifest.name}/predict"] = {"post": _predict(manifest, manifest.name)}
        versioned = f"/models/{manifest.name}/versions/{manifest.version}/predict"
        paths[versioned] = {"post": _predict(manifest, f"{manifest.name} {manifest.version}")}
    if settings.feedback:
        paths["/feedback"] = {"post": _FEEDBACK}
    paths |= contract.paths(manifests, default, settings)
    _complete(paths)
    schemas = {"Problem": _PROBLEM} | contract.schemas(settings)
    for manifest in manifests:
        schemas |= _schemas(manifest, settings)
    return {
        "openapi": "3.1.0",
        "info": {"title": "scikit-learn on AWS Lambda", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": "."}],
        "paths": paths,
        "security": [{}, {"ApiKey": []}, {"Bearer": []}],
        "components": {
            "schemas": schemas,
            "headers": {"RequestId": {"description": "the request's id", "schema": {"type": "string"}}},
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "Bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _complete(paths: Schema) -> None:
    """Add what every operation has: the gateway's refusals, and an id of its own, whatever the models are called."""
    from handler.dialects import contract  # noqa: PLC0415  -- as above

    taken: set[str] = set()
    for operations in paths.values():
        for operation in operations.values():
            operation["responses"] = contract.complete(operation["responses"])
            given = operation.get("operationId")
            if given in taken:
                count = next(i for i in itertools.count(2) if f"{given}_{i}" not in taken)
                operation["operationId"] = f"{given}_{count}"
            taken.add(operation.get("operationId", ""))


def _manifests(registry: Registry) -> list[Manifest]:
    found = []
    for name in registry.names():
        try:
            found.append(registry.manifest(name, registry.live(name)))
        except (ArtifactError, UnknownModel):
            continue
    return found


def _schemas(manifest: Manifest, settings: Settings) -> Schema:
    """Return what a model takes and gives by names of its own, from which typed clients make their classes."""
    named: Schema = {
        "type": "object",
        "properties": {feature.name: value_schema(feature) for feature in manifest.features},
        "required": [feature.name for feature in manifest.features],
        "additionalProperties": False,
    }
    listed: Schema = {
        "type": "array",
        "prefixItems": [value_schema(feature) | {"title": feature.name} for feature in manifest.features],
        "minItems": len(manifest.features),
        "maxItems": len(manifest.features),
    }
    row = {"anyOf": [_ref(manifest, "Features"), listed]}
    outputs = {"type": "array", "items": {"enum": [output.name for output in manifest.outputs]}, "minItems": 1}
    chosen = {"outputs": outputs} | _options(manifest)
    one: Schema = {"type": "object", "properties": {"features": row} | chosen, "required": ["features"]}
    rows = {"type": "array", "items": row, "maxItems": settings.max_rows}
    many: Schema = {"type": "object", "properties": {"instances": rows} | chosen, "required": ["instances"]}
    bare = named | {"properties": chosen | named["properties"]}
    forms = {"Features": named, "OneRow": one, "ManyRows": many, "Row": bare} | _answers(manifest)
    return {f"{manifest.name}.{name}": form | {"additionalProperties": False} for name, form in forms.items()}


def _ref(manifest: Manifest, name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{manifest.name}.{name}"}


def _predict(manifest: Manifest, title: str) -> Schema:
    example = {feature.name: feature.example for feature in manifest.features}
    forms = [_ref(manifest, name) for name in ("OneRow", "ManyRows", "Row")]
    answers = [_ref(manifest, name) for name in _answers(manifest)]
    examples = {
        "one row": {"value": {"features": list(example.values())}},
        "one row by name": {"value": {"features": example}},
        "many rows": {"value": {"instances": [example, list(example.values())]}},
    }
    content = {
        "application/json": {"schema": {"anyOf": forms}, "examples": examples},
        "text/csv": {"schema": {"type": "string"}, "example": _csv(manifest)},
    }
    return {
        "summary": f"Predict with {title}",
        "operationId": "predict_" + "".join(c if c.isalnum() else "_" for c in title),
        "tags": [manifest.name],
        "parameters": _parameters(manifest),
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "the prediction",
                "content": {
                    "application/json": {"schema": {"anyOf": answers}},
                    "text/csv": {"schema": {"type": "string"}},
                },
            },
            "400": _problem("the input does not fit, or the estimator cannot answer it"),
            "404": _problem("no such model, version or label"),
            "406": _problem("neither JSON nor CSV is accepted"),
            "413": _problem("more bytes, rows, columns, digits or levels than are taken"),
            "415": _problem("neither JSON nor CSV, or not UTF-8, or another coding than gzip"),
            "503": _problem("the model cannot be served now"),
        },
    }


def _options(manifest: Manifest) -> Schema:
    """Return what a body may hold beside its rows: only what this model can do, unless a feature is called so."""
    found: Schema = {}
    if manifest.output("probabilities"):
        found["top_k"] = {"type": "integer", "minimum": 1, "maximum": LARGEST, "description": _TOP_K}
    if is_binary(manifest):
        found["threshold"] = {"type": "number", "minimum": 0, "maximum": 1, "description": _THRESHOLD}
    names = {feature.name for feature in manifest.features}
    return {name: schema for name, schema in found.items() if name not in names}


def _parameters(manifest: Manifest) -> list[Schema]:
    """Return the same options as query parameters, for CSV and for whoever cannot change the body."""
    names = [output.name for output in manifest.outputs]
    choice = {"type": "array", "items": {"enum": names}, "minItems": 1}
    found: list[Schema] = [{"name": "outputs", "in": "query", "schema": choice, "style": "form", "explode": False}]
    options = _options(manifest) | {"record": _RECORD}
    return found + [{"name": name, "in": "query", "schema": schema} for name, schema in options.items()]


_RECORD: Schema = {
    "enum": ["true", "false"],
    "description": "false: a what-if question, kept out of what drift is told by",
}
_TOP_K = "only so many classes, the most probable first"
_THRESHOLD = "predict the second class from this probability of it on"


def value_schema(feature: Feature) -> Schema:
    """Return the JSON schema of one value, in words and in types."""
    about = [feature.description or feature.name, f"in {feature.unit}" if feature.unit else "", expected(feature)]
    if feature.range:
        about.append(f"seen {feature.range[0]:g} to {feature.range[1]:g}")
    if feature.labels:
        values = feature.categories or range(len(feature.labels))
        about += [f"{value} = {label}" for value, label in zip(values, feature.labels, strict=False)]
    kind: Schema
    if feature.kind == "category" and feature.categories and not feature.open:
        kind = {"enum": [*feature.categories, *([None] if feature.nullable else [])]}
    else:
        name = _json_type(feature)
        kind = {"type": [name, "null"] if feature.nullable else name}
        if name in {"number", "integer"}:
            kind |= {"minimum": -LIMIT, "maximum": LIMIT}
    known: Schema = {"x-kind": feature.kind, "x-unit": feature.unit, "x-range-seen": feature.range}
    if feature.open:
        known["x-categories"] = feature.categories
    kind |= {name: value for name, value in known.items() if value}
    return {"description": ", ".join(filter(None, about)), **kind, "examples": [feature.example]}


def _json_type(feature: Feature) -> str:
    if feature.kind == "category":
        known = feature.categories or ("",)
        return "string" if isinstance(known[0], str) else "boolean" if isinstance(known[0], bool) else "number"
    return {"text": "string"}.get(feature.kind, feature.kind)


def _answers(manifest: Manifest) -> Schema:
    """Return the schemas of an answer: singular members for one row, plural ones for many.

    The prediction is in both, so that clients can tell them apart; where it was not asked for, there are only Outputs.
    """
    single: Schema = {}
    many: Schema = {}
    for output in manifest.outputs:
        value = _value(output)
        plural = {"prediction": "predictions", "decision": "decisions"}.get(output.name, output.name)
        single[output.name] = value
        many[plural] = {"type": "array", "items": value}
        if output.name == "prediction" and output.labels and output.width == 1:
            single["label"] = {"enum": list(output.labels)}
            many["labels"] = {"type": "array", "items": {"enum": list(output.labels)}}
        if output.conversions:
            units = {"type": "object", "properties": {unit: {"type": "number"} for unit in output.conversions}}
            single["conversions"] = units
            many["conversions"] = {"type": "array", "items": units}
    both: Schema = {"model": _MODEL, "id": {"type": "string"}}
    if any(output.unit for output in manifest.outputs):
        both["unit"] = {"type": "string"}
    others: Schema = {name: {"anyOf": [single[name], many[name]]} for name in ("probabilities",) if name in single}
    if "decision" in single:
        others |= {"decision": single["decision"], "decisions": many["decisions"]}
    found = {"Answer": _object(single | both, "prediction"), "Answers": _object(many | both, "predictions")}
    return found | ({"Outputs": _object(others | both)} if others else {})


def _object(properties: Schema, *first: str) -> Schema:
    return {"type": "object", "properties": properties, "required": [*first, "model", "id"]}


def _value(output: Output) -> Schema:
    if output.name == "probabilities":
        labels = output.labels or ()
        return {
            "type": "object",
            "properties": {label: {"type": "number"} for label in labels},
            "additionalProperties": False,
        }
    value: Schema = {"enum": list(output.classes)} if output.classes and output.width == 1 else {}
    if output.kind == "number" and output.width == 1:
        value = {"type": "number"}
    return {"type": "array", "items": value} if output.width > 1 else value


def _csv(manifest: Manifest) -> str:
    header = ",".join(feature.name for feature in manifest.features)
    return f"{header}\n{','.join(str(feature.example) for feature in manifest.features)}\n"


def _problem(description: str) -> Schema:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _cards(manifest: Manifest) -> Schema:
    """Return the concrete paths of what is told of a model."""
    below = f"/models/{manifest.name}"
    return {
        below: _read(f"{manifest.name}: versions, and the card of the live one", _503=_DOWN),
        f"{below}/versions/{manifest.version}": _read(f"The card of {manifest.name} {manifest.version}", _503=_DOWN),
    }


def _read(summary: str, *parameters: str, **others: str) -> Schema:
    responses = {"200": {"description": summary, "content": {"application/json": {"schema": {"type": "object"}}}}}
    found = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters]
    return {
        "get": {
            "summary": summary,
            "parameters": found,
            "responses": responses | {k[1:]: _problem(v) for k, v in others.items()},
        }
    }


_DOWN = "the store does not answer"
_MODEL: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
    "required": ["name", "version"],
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem details; `errors` names each bad field by a JSON pointer.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "id": {"type": "string"},
        "error": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
                "required": ["pointer", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}
_FEEDBACK: Schema = {
    "summary": "Tell what really was the answer to a row of a prediction",
    "operationId": "feedback",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "minLength": 1, "maxLength": 256, "description": "the prediction's"},
                        "row": {
                            "type": "integer",
                            "minimum": 0,
                            "maximum": 10_000_000,
                            "default": 0,
                            "description": "its place",
                        },
                        "actual": {
                            "type": ["number", "string", "boolean"],
                            "description": "a number, or a class by its value or its label; the last answer counts",
                        },
                    },
                    "required": ["id", "actual"],
                    "additionalProperties": False,
                }
            }
        },
    },
    "responses": {
        "202": {"description": "noted", "content": {"application/json": {"schema": {"type": "object"}}}},
        "400": _problem("no such answer"),
        "413": _problem("more bytes than are taken"),
        "415": _problem("not JSON in UTF-8, or another coding than gzip"),
    },
}
_FRONT = _read("What runs here; a page for a browser")
_FRONT["get"]["responses"]["200"]["content"]["text/html"] = {"schema": {"type": "string"}}
_CATALOGUE: Schema = {
    "/": _FRONT,
    "/health": _read("State of the service and its models"),
    "/health/live": _read("The process answers"),
    "/health/ready": _read("The default model answers", _503="no model can answer"),
    "/models": _read("The models and their versions", _503=_DOWN),
    "/models/{name}": _read(
        "A model's versions and the card of the live one", "name", _404="no such model", _503=_DOWN
    ),
    "/models/{name}/versions/{version}": _read(
        "A version's card", "name", "version", _404="no such version", _503=_DOWN
    ),
}
