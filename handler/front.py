"""What Mangum wraps: predictions, native or in a dialect, are answered at once, all else by the FastAPI application.

The application is imported at the first call that needs it: FastAPI, Starlette and pydantic are 150 ms of a cold start
at one vCPU, and a prediction, which passes none of them, need not wait for them.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from handler.dialects import Dialects
from handler.observe import Observer
from handler.predict import Predict, route
from handler.settings import Settings
from model.registry import Registry

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

    from handler.records import Recorder


class Front:
    """An ASGI application over the same parts as `handler.api.create_app`, which has every route, predictions too."""

    def __init__(
        self, registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None
    ) -> None:
        self._parts = registry, settings, observer
        self._recorder = recorder
        self._predict = Predict(*self._parts, recorder)
        self._dialects = Dialects(*self._parts, recorder)

    @cached_property
    def application(self) -> "FastAPI":
        """The FastAPI application."""
        from handler.api import create_app  # noqa: PLC0415  -- the point of this module

        return create_app(*self._parts, recorder=self._recorder)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        path: str = scope["path"]
        found = route(path) if scope["method"] == "POST" else None
        if found is None:
            app = self._dialects.find(path) or self.application
            await app(scope, receive, send)
        else:
            scope["path_params"] = found
            await self._predict(scope, receive, send)
