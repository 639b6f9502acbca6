"""The application: the native HTTP routes over the registry, and what their errors become."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from handler import catalogue, openapi, problems
from handler.dialects import Dialects
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
    registry: Registry,
    settings: Settings,
    observer: Observer,
    guard: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    recorder: "Recorder | None" = None,
) -> FastAPI:
    """Return the application; building it loads nothing, the registry does.

    `guard` stands before the routes and may refuse, by an HTTPException that is logged and answered like any other.
    """
    # FastAPI asks OpenTelemetry's providers on every call whether anybody configured them: 30 µs.
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    # A redirect to the path without its slash would lose the stage of a REST API.
    app = FastAPI(title=TITLE, redoc_url=None, docs_url=None, redirect_slashes=False, telemetry=silent)
    app.openapi = lambda: openapi.document(registry, settings)  # type: ignore[method-assign]
    # FastAPI's own stack has four layers more (30 µs a call) for what no route here uses: dependencies, forms, a 500 of
    # its own. HttpCall answers whatever happens.
    errors = ExceptionMiddleware(guard(app.router), {HTTPException: _http_error})
    app.middleware_stack = HttpCall(errors, observer, settings.cors_origin)
    predict = Predict(registry, settings, observer, recorder)
    app.router.routes += [Route(path, predict, methods=["POST"]) for path in PATHS]
    app.router.routes.append(_Dialects(Dialects(registry, settings, observer, recorder)))
    if settings.feedback and recorder is not None:
        from handler import feedback  # noqa: PLC0415  -- only where it is taken

        app.add_route(feedback.PATH, feedback.route(recorder), methods=["POST"])
    app.add_route("/docs", _docs, methods=["GET"])
    app.add_route("/docs/{name}", _docs, methods=["GET"])
    app.add_route("/", _front(registry, settings), methods=["GET"])
    app.add_route("/page/{digest}/{name}", _page, methods=["GET"])
    for path, describe in catalogue.ROUTES.items():
        app.add_route(path, _reader(describe, registry), methods=["GET"])
    return app


class _Dialects(BaseRoute):
    """A route to whichever dialect a path belongs to."""

    def __init__(self, dialects: Dialects) -> None:
        self._dialects = dialects

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = self._dialects.find(scope["path"]) if scope["type"] == "http" else None
        return (Match.NONE, {}) if found is None else (Match.FULL, {"dialect": found})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["dialect"](scope, receive, send)


async def _docs(request: Request) -> Response:
    from handler import docs  # noqa: PLC0415  -- no prediction needs it

    request.scope["call"].fields["operation"] = "docs"
    return docs.asset(request) if "name" in request.path_params else docs.page()


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
    detail = {404: problems.NO_PATH, 405: problems.NO_METHOD}.get(error.status_code, error.detail)
    problem = problems.document(error.status_code, detail, call.identifier)
    body, media = problems.rendered(problem, request.scope)
    return Response(body, error.status_code, dict(error.headers or {}), media)
