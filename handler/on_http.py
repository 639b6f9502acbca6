"""API Gateway (REST and HTTP APIs) and load balancers → the FastAPI application and what stands in front, by Mangum."""

import gc

# What is imported stays, so looking for garbage among it costs 12 ms of a cold start and finds none.
gc.disable()

import asyncio
import os
from typing import Any

from mangum import Mangum

from handler import problems, runtime, snapshot
from handler.front import Front
from handler.http_call import HttpCall

# At import, so that Lambda does it once and bills it as initialisation: never in a request.
_runtime = runtime.start(os.environ)

_front = Front(_runtime.registry, _runtime.settings, _runtime.observer, _runtime.recorder)
snapshot.register(_runtime, lambda: _front.application)
# Mangum runs every call on the thread's current loop; Python 3.14 no longer makes one, 3.12 and 3.13 warn.
asyncio.set_event_loop(asyncio.new_event_loop())
# lifespan: Mangum would run it on every call. Text types: without them problem+json leaves as base64.
_adapter = Mangum(
    HttpCall(_front, _runtime.observer, _runtime.settings.cors_origin),
    lifespan="off",
    text_mime_types=["text/", "application/json", problems.MEDIA_TYPE, "application/javascript"],
)

gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one proxy event of API Gateway v1 or v2, or of an ALB."""
    try:
        if "rawPath" in event:
            from handler import proxy_events  # noqa: PLC0415  -- a REST API needs none of it

            event = proxy_events.without_stage(event)
        answer: dict[str, Any] = _adapter(event, context)
    except Exception:  # the application answers whatever happens: what is left is an event that Mangum cannot read
        from handler import proxy_events  # noqa: PLC0415  -- as above

        try:
            answer = _adapter(proxy_events.mended(event), context)
        except Exception:
            answer = proxy_events.refused(event, context, _runtime.observer)
    return answer
