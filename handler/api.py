"""The application: the native HTTP routes over the registry, and what their errors become."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from handler import catalogue, openapi, problems
from handler.http_call import HttpCall
from handler.observe import Call, Observer
from handler.predict import PATHS, Predict
from handler.settings import Settings
from model.codec import json_rows
from model.registry import Registry

if TYPE_CHECKING:
    from handler.records import Recorder

TITLE = "scikit-learn on AWS Lambda"


def create_app(
    registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None
) -> FastAPI:
    """Return the application; building it loads nothing, the registry does."""
    # FastAPI asks OpenTelemetry's providers on every call whether anybody configured them: 30 µs.
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    # A redirect to the path without its slash would lose the stage of a REST API.
    app = FastAPI(title=TITLE, redoc_url=None, docs_url=None, redirect_slashes=False, telemetry=silent)
    app.openapi = lambda: openapi.document(registry, settings)  # type: ignore[method-assign]
    # FastAPI's own stack has four layers more (30 µs a call) for what no route here uses: dependencies, forms, a 500 of
    # its own. HttpCall answers whatever happens.
    errors = ExceptionMiddleware(app.router, {HTTPException: _http_error})
    app.middleware_stack = HttpCall(errors, observer)
    app.router.routes += [Route(path, Predict(registry, settings, recorder), methods=["POST"]) for path in PATHS]
    if settings.feedback and recorder is not None:
        from handler import feedback  # noqa: PLC0415  -- only where it is taken

        app.add_route(feedback.PATH, feedback.route(recorder), methods=["POST"])
    app.add_route("/docs", _docs, methods=["GET"])
    app.add_route("/", _front(registry, settings), methods=["GET"])
    app.add_route("/page/{digest}/{name}", _page, methods=["GET"])
    for path, describe in catalogue.ROUTES.items():
        app.add_route(path, _reader(describe, registry), methods=["GET"])
    return app


async def _docs(_: Request) -> Response:
    from fastapi.openapi.docs import get_swagger_ui_html  # noqa: PLC0415  -- no prediction needs it

    # Relative, because a REST API serves everything below the name of its stage.
    return get_swagger_ui_html(openapi_url="openapi.json", title=TITLE)


def _front(registry: Registry, settings: Settings) -> Callable[[Request], Any]:
    async def front(request: Request) -> Response:
        accept = request.headers.get("accept", "").lower()
        if "text/html" in accept:
            from handler import page  # noqa: PLC0415  -- no prediction needs it

            if page.prefers(accept):
                request.scope["call"].fields["operation"] = "page"
                return page.shell(request)
        request.scope["call"].fields["operation"] = "status"
        status, document = catalogue.status(registry, settings)
        return _json(document, status, **{"cache-control": "no-store", "vary": "accept"})

    return front


async def _page(request: Request) -> Response:
    from handler import page  # noqa: PLC0415  -- no prediction needs it

    request.scope["call"].fields["operation"] = "page"
    return page.asset(request)


def _reader(describe: catalogue.Describe, registry: Registry) -> Callable[[Request], Any]:
    async def read(request: Request) -> Response:
        request.scope["call"].fields["operation"] = describe.__name__
        status, document = describe(registry, **request.path_params)
        return _json(document, status)

    return read


def _json(document: Any, status: int = 200, media: str = "application/json", **headers: str) -> Response:
    return Response(json_rows.encode(document), status, headers, media)


async def _http_error(request: Request, error: Exception) -> Response:
    call: Call = request.scope["call"]
    if not isinstance(error, HTTPException):
        raise error
    call.error = f"Http{error.status_code}"
    detail = {404: "no such path", 405: "no such method for this path"}.get(error.status_code, error.detail)
    problem = problems.document(error.status_code, detail, call.identifier)
    return _json(problem, error.status_code, problems.MEDIA_TYPE, **dict(error.headers or {}))
