"""The composition root: settings → store → registry, once per execution environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.observe import Observer
from handler.settings import Settings
from model.artifact import Policy
from model.registry import Registry
from model.store import Store
from model.trust import Trust

if TYPE_CHECKING:
    from handler.destinations import Outlets
    from handler.records import Recorder


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every entry point needs; `recorder` is None where no prediction is recorded."""

    settings: Settings
    registry: Registry
    observer: Observer
    recorder: "Recorder | None" = None


def start(env: Mapping[str, str], *, warm: bool = True) -> Runtime:
    """Read the settings and load the default model; one that cannot be loaded is logged, and the service is up.

    Without `warm` nothing is loaded: for what asks no model. Raises SettingsError.
    """
    settings = Settings.from_env(env)
    observer = Observer(settings)
    trust = Trust(settings.trust, settings.pins, settings.public_keys)
    policy = Policy(trust, settings.version_mismatch, settings.engines, settings.vcpus)
    store = Store(settings.store, settings.endpoint)
    registry = Registry(store, settings.default, policy, on_load=observer.loaded)
    if warm:
        registry.warm()
    return Runtime(settings, registry, observer, _recorder(settings, registry, observer) if warm else None)


def _recorder(settings: Settings, registry: Registry, observer: Observer) -> "Recorder | None":
    if not settings.record_share:
        return None
    from handler.records import Recorder  # noqa: PLC0415  -- nothing of it where nothing is recorded

    recorder = Recorder(registry, settings, observer)
    recorder.prepare()
    return recorder


def outlets(settings: Settings) -> "Outlets | None":
    """Return where replies go, None where the settings name no place: then the SDK is never loaded."""
    if not (settings.results_queue or settings.errors_queue or settings.results_bus):
        return None
    from handler import destinations  # noqa: PLC0415  -- botocore costs 200 ms of a cold start

    return destinations.outlets(settings)
