"""The composition root: settings → store → registry, once per execution environment."""

from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every entry point needs."""

    settings: Settings
    registry: Registry
    observer: Observer


def start(env: Mapping[str, str], observe: Callable[[Settings], Observer] = Observer) -> Runtime:
    """Read the settings and load the default model; one that cannot be loaded is logged, and the service is up.

    Raises SettingsError.
    """
    settings = Settings.from_env(env)
    observer = observe(settings)
    _, registry = models(settings, observer)
    registry.warm()
    observer.ready()
    return Runtime(settings, registry, observer)


def models(settings: Settings, observer: Observer) -> tuple[Store, Registry]:
    """Return the store and the registry that the settings name; nothing is loaded."""
    trust = Trust(settings.trust, settings.pins, settings.public_keys)
    policy = Policy(trust, settings.version_mismatch, settings.engines, settings.vcpus)
    store = Store(settings.store, settings.endpoint)
    return store, Registry(store, settings.default, policy, on_load=observer.loaded)


def outlets(settings: Settings) -> "Outlets | None":
    """Return where replies go, None where the settings name no place: then the SDK is never loaded."""
    if not (settings.results_queue or settings.errors_queue or settings.results_bus):
        return None
    from handler import destinations  # noqa: PLC0415  -- botocore costs 200 ms of a cold start

    return destinations.outlets(settings)
