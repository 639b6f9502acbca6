"""Other model servers' protocols over the same scorer: each is loaded when its first request comes, or never.

Here is only what tells their paths apart, for that is asked of every request that is not a native prediction.
"""

from dataclasses import dataclass, field
from importlib import import_module

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from handler.observe import Observer
from handler.settings import Dialect, Settings
from model.registry import Registry


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dialect lives: its module, and the paths that are its own, whole or as a beginning."""

    module: str
    paths: frozenset[str] = frozenset()
    trees: tuple[str, ...] = ()


PLACES: dict[Dialect, Place] = {
    "open-inference": Place("handler.dialects.open_inference", frozenset(("/v2",)), ("/v2/",)),
    "invocations": Place(
        "handler.dialects.invocations",
        frozenset(("/invocations", "/ping", "/version", "/execution-parameters")),
        ("/endpoints/",),
    ),
    "tf-serving": Place("handler.dialects.tf_serving", trees=("/v1/",)),
}


@dataclass(eq=False, slots=True)
class Lazy(BaseRoute):
    """A route to a dialect that imports it when it is first needed."""

    place: Place
    registry: Registry
    settings: Settings
    observer: Observer
    _app: ASGIApp | None = field(default=None, init=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path: str = scope.get("path", "")
        ours = path in self.place.paths or path.startswith(self.place.trees)
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = import_module(self.place.module).create(self.registry, self.settings, self.observer)
        await self._app(scope, receive, send)


def routes(registry: Registry, settings: Settings, observer: Observer) -> list[BaseRoute]:
    """Return the routes of the dialects that are switched on."""
    return [Lazy(PLACES[name], registry, settings, observer) for name in settings.dialects]
