"""Other model servers' protocols over the same scorer: each is loaded when its first request comes, or never.

Here is only what tells their paths apart, for that is asked of every request that is not a native prediction. None of
them needs FastAPI, so a cold start for an inference waits for it no more than one for a native prediction does.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from handler.observe import Observer
from handler.settings import Dialect, Settings
from model.registry import Registry

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from handler.records import Recorder


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


class Dialects:
    """The dialects that are switched on."""

    def __init__(
        self, registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None
    ) -> None:
        self._parts = registry, settings, observer, recorder
        self._places = [PLACES[name] for name in settings.dialects]
        self._made: dict[str, ASGIApp] = {}

    def find(self, path: str) -> "ASGIApp | None":
        """Return the application of the dialect whose path this is, None if it is nobody's."""
        for place in self._places:
            if path in place.paths or path.startswith(place.trees):
                if place.module not in self._made:
                    self._made[place.module] = import_module(place.module).create(*self._parts)
                return self._made[place.module]
        return None
