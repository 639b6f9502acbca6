"""What stands before the routes on a developer's machine, where no gateway does: a key, patience, compression."""

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH = frozenset(("/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/ping"))
BODY_SECONDS = 30.0
COMPRESSED_FROM = 1000


class Guard:
    """Asks for the key in x-api-key, but for health and the page; and for the whole body in time, as a gateway does."""

    def __init__(self, app: ASGIApp, key: str | None, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._key = key.encode() if key else None
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # the server's own, with no path and no caller
            await self._app(scope, receive, send)
            return
        if self._key is not None and not _public(scope) and not _given(scope, self._key):
            raise HTTPException(403, "expected the API key in the header x-api-key")
        end = asyncio.get_running_loop().time() + self._seconds
        whole = False

        async def in_time() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                detail = f"the body did not come within {self._seconds:g} seconds"
                raise HTTPException(408, detail, {"connection": "close"}) from None
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, in_time, send)


def _public(scope: Scope) -> bool:
    """Tell whether health is asked for, or a file of the page, which holds nothing of a model and asks for the key."""
    if scope["path"] in HEALTH:
        return True
    if scope["method"] != "GET":
        return False
    return scope["path"].startswith("/page/") or (scope["path"] == "/" and _browses(scope))


def _browses(scope: Scope) -> bool:
    from handler.page import prefers  # noqa: PLC0415  -- only where there is a key

    return prefers(Headers(scope=scope).get("accept", "").lower())


def _given(scope: Scope, key: bytes) -> bool:
    """Compare in a time that does not tell how much was right; of several keys none counts."""
    found = [value for name, value in scope["headers"] if name == b"x-api-key"]
    return hmac.compare_digest(found[0] if len(found) == 1 else b"", key)


def compressed(app: ASGIApp) -> ASGIApp:
    """Gzip answers for who accepts it; on Lambda the gateway does (`MinimumCompressionSize`)."""
    return GZipMiddleware(app, minimum_size=COMPRESSED_FROM)
