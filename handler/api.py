"""The native HTTP routes over the registry. Bodies are read raw: the manifest types them, in one pass."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response

from handler import catalogue, openapi, problems
from handler.http_call import HttpCall
from handler.observe import Call, Observer
from handler.settings import Settings
from model.codec import json_rows
from model.errors import ModelError, TooLarge
from model.registry import Registry
from model.rows import Request as Rows
from model.scorer import Scorer

TITLE = "scikit-learn on AWS Lambda"


def create_app(registry: Registry, settings: Settings, observer: Observer) -> FastAPI:
    """Return the application; building it loads nothing, the registry does."""
    # FastAPI asks OpenTelemetry's providers on every call whether anybody configured them: 30 µs.
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    app = FastAPI(title=TITLE, redoc_url=None, docs_url=None, telemetry=silent)
    app.openapi = lambda: openapi.document(registry, settings)  # type: ignore[method-assign]
    # FastAPI's own stack has four layers more (30 µs a call) for what no route here uses: dependencies, forms, a 500 of
    # its own. HttpCall answers whatever happens.
    errors = ExceptionMiddleware(app.router, {ModelError: _model_error, HTTPException: _http_error})
    app.middleware_stack = HttpCall(errors, observer)
    predict = _predictor(registry, settings)
    for path in ("/predict", "/models/{name}/predict", "/models/{name}/versions/{version}/predict"):
        app.add_route(path, predict, methods=["POST"])
    app.add_route("/docs", _docs, methods=["GET"])
    for path, describe in catalogue.ROUTES.items():
        app.add_route(path, _reader(describe, registry), methods=["GET"])
    return app


async def _docs(_: Request) -> Response:
    from fastapi.openapi.docs import get_swagger_ui_html  # noqa: PLC0415  -- no prediction needs it

    # Relative, because a REST API serves everything below the name of its stage.
    return get_swagger_ui_html(openapi_url="openapi.json", title=TITLE)


def _predictor(registry: Registry, settings: Settings) -> Callable[[Request], Any]:
    async def predict(request: Request) -> Response:
        call: Call = request.scope["call"]
        call.fields["operation"] = "predict"
        path = request.path_params
        scorer = registry.scorer(path.get("name"), path.get("version"))
        call.model, call.version = scorer.manifest.name, scorer.manifest.version
        rows = _rows(request.headers.get("content-type", ""), await _body(request, settings.max_body_bytes), scorer)
        if len(rows.rows) > settings.max_rows:
            raise TooLarge(f"{len(rows.rows)} rows in one request, at most {settings.max_rows} are taken")
        call.rows = len(rows.rows)
        prediction = scorer.score(rows.rows, rows.outputs)
        return _json(json_rows.render(prediction, single=rows.single, identifier=call.identifier))

    return predict


def _reader(describe: catalogue.Describe, registry: Registry) -> Callable[[Request], Any]:
    async def read(request: Request) -> Response:
        request.scope["call"].fields["operation"] = describe.__name__
        status, document = describe(registry, **request.path_params)
        return _json(document, status)

    return read


def _rows(content_type: str, body: bytes, scorer: Scorer) -> Rows:
    """Decode a body by its media type; one that is not named is taken for JSON, as every small client sends it."""
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if charset not in {"", "utf-8", "utf8", "us-ascii"}:
        raise HTTPException(415, "expected UTF-8")
    if media in {"", "application/json"} or media.endswith("+json"):
        return json_rows.decode(body, scorer.schema)
    if media == "text/csv":
        from model.codec import csv_rows  # noqa: PLC0415  -- most deployments never see one

        return csv_rows.decode(body, scorer.schema)
    raise HTTPException(415, "expected application/json or text/csv")


async def _body(request: Request, limit: int) -> bytes:
    """Read the body, and stop as soon as it is longer than `limit` bytes, whatever its headers say."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise TooLarge(f"a body of {length} bytes, at most {limit} are taken")
    body, more = b"", True
    while more:
        message = await request.receive()
        body += message.get("body", b"")
        more = message.get("more_body", False) and message["type"] == "http.request"
        if len(body) > limit:
            raise TooLarge(f"a body of more than {limit} bytes is not taken")
    return body


def _json(document: Any, status: int = 200, media: str = "application/json", **headers: str) -> Response:
    return Response(json_rows.encode(document), status, headers, media)


async def _model_error(request: Request, error: Exception) -> Response:
    call: Call = request.scope["call"]
    if not isinstance(error, ModelError):
        raise error
    call.error = type(error).__name__
    status = problems.status_of(error)
    retry = {"retry-after": str(problems.RETRY_AFTER_SECONDS)} if status == 503 else {}
    return _json(problems.of_error(error, call.identifier), status, problems.MEDIA_TYPE, **retry)


async def _http_error(request: Request, error: Exception) -> Response:
    call: Call = request.scope["call"]
    if not isinstance(error, HTTPException):
        raise error
    call.error = f"Http{error.status_code}"
    detail = {404: "no such path", 405: "no such method for this path"}.get(error.status_code, error.detail)
    problem = problems.document(error.status_code, detail, call.identifier)
    return _json(problem, error.status_code, problems.MEDIA_TYPE, **dict(error.headers or {}))
