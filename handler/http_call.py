"""One HTTP call around the routes: an id, a record of it, its log line, and an answer whatever happens.

Pure ASGI: a `@app.middleware` costs 200 µs a call, this 2.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handler import problems
from handler.observe import Call, Observer
from model.errors import ModelError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


Headers = tuple[tuple[bytes, bytes], ...]

SECURITY: Headers = (
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""On every answer; API Gateway gives its own refusals the same, and adds nothing to what a function answered."""
NO_STORE: Headers = ((b"cache-control", b"no-store"),)
"""On what answers a POST: predictions and their refusals are nobody else's."""


class HttpCall:
    """Puts a `Call` into the scope, adds X-Request-Id, writes the line; errors become problems, unexpected ones a 500.

    Around another one it does nothing. `cors_origin` is the web origin whose pages may read the answers.
    """

    def __init__(self, app: "ASGIApp", observer: Observer, cors_origin: str | None = None) -> None:
        self._app = app
        self._observer = observer
        self._headers = SECURITY + cross_origin(cors_origin)
        self._post_headers = self._headers + NO_STORE

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http" or "call" in scope:
            await self._app(scope, receive, send)
            return
        call = scope["call"] = Call("http", *identifiers(scope))
        call.fields["method"] = scope["method"]
        standing = self._post_headers if scope["method"] == "POST" else self._headers
        call.left = getattr(scope.get("aws.context"), "get_remaining_time_in_millis", None)

        async def send_with_id(message: "Message") -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                identifier = (b"x-request-id", call.identifier.encode())
                message["headers"] = [*message.get("headers", []), identifier, *standing]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            problem = self._problem(error, call)
            if call.status is None:
                await _answer(scope, send_with_id, problem, getattr(error, "headers", None))
        finally:
            self._observer.finish(call)

    def _problem(self, error: Exception, call: Call) -> dict[str, Any]:
        call.error = type(error).__name__
        if isinstance(error, ModelError):
            return problems.of_error(error, call.identifier)
        if isinstance(error, problems.Refused):
            call.error = f"Http{error.status}"
            return problems.of_refusal(error, call.identifier)
        self._observer.unexpected(error)
        return problems.document(500, "an unexpected error, logged under this id", call.identifier)


def cross_origin(origin: str | None) -> Headers:
    """Return what lets pages of another origin read an answer; preflights are API Gateway's."""
    if origin is None:
        return ()
    read = (b"access-control-expose-headers", b"x-request-id, retry-after")
    return ((b"access-control-allow-origin", origin.encode()), (b"vary", b"origin"), read)


def identifiers(scope: "Scope") -> tuple[str, str | None]:
    """Return the request's id by API Gateway, else by Lambda, else a new one; and Lambda's of the invocation."""
    event: Any = scope.get("aws.event") or {}
    own: str | None = getattr(scope.get("aws.context"), "aws_request_id", None)
    given = (event.get("requestContext") or {}).get("requestId") or own
    if not given:
        import uuid  # noqa: PLC0415  -- behind API Gateway and on Lambda there always is one

        given = uuid.uuid4()
    return str(given), own


async def _answer(scope: "Scope", send: "Send", problem: dict[str, Any], more: Mapping[str, str] | None) -> None:
    body, media = problems.rendered(problem, scope)
    headers = [(b"content-type", media.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in (more or {}).items()]
    if problem["status"] == 503:
        headers.append((b"retry-after", str(problems.RETRY_AFTER_SECONDS).encode()))
    await send({"type": "http.response.start", "status": problem["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})
