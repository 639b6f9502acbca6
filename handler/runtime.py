"""The composition root: settings → store → registry, once per execution environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from handler.observe import Observer
from handler.settings import Settings
from model.artifact import Policy
from model.registry import Registry
from model.store import Store
from model.trust import Trust


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every entry point needs."""

    settings: Settings
    registry: Registry
    observer: Observer


def start(env: Mapping[str, str]) -> Runtime:
    """Read the settings and load the default model; one that cannot be loaded is logged, and the service is up.

    Raises SettingsError.
    """
    settings = Settings.from_env(env)
    observer = Observer(settings)
    trust = Trust(settings.trust, settings.pins, settings.public_keys)
    policy = Policy(trust, settings.version_mismatch, settings.engines)
    store = Store(settings.store, settings.endpoint)
    registry = Registry(store, settings.default, policy, on_load=observer.loaded)
    registry.warm()
    return Runtime(settings, registry, observer)
