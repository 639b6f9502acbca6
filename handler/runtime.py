"""The composition root: settings → store → registry, once per execution environment."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.observe import Observer
from handler.settings import MIB, Settings
from model.artifact import Policy
from model.registry import Pace, Registry
from model.serving_store import Credentials, ServingStore
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
    store: ServingStore
    recorder: "Recorder | None" = None


def start(
    env: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
    observe: Callable[[Settings], Observer] = Observer,
    *,
    warm: bool = True,
) -> Runtime:
    """Read the settings and load the default model; one that cannot be loaded is logged, and the service is up.

    `clock` tells when a label file is to be read again. Without `warm` nothing is loaded: for what asks no model.
    Raises SettingsError.
    """
    settings = Settings.from_env(env)
    observer = observe(settings)
    store, registry = models(settings, observer, clock)
    if not warm:
        return Runtime(settings, registry, observer, store)
    registry.warm()
    recorder = _recorder(settings, registry, observer)
    observer.ready()
    return Runtime(settings, registry, observer, store, recorder)


def models(
    settings: Settings, observer: Observer, clock: Callable[[], float] = time.monotonic
) -> tuple[ServingStore, Registry]:
    """Return the store and the registry that the settings name; nothing is loaded."""
    trust = Trust(settings.trust, settings.pins, settings.public_keys)
    policy = Policy(trust, settings.version_mismatch, settings.engines, settings.vcpus)
    store = ServingStore(settings.store, settings.endpoint, credentials=credentials(settings))
    registry = Registry(
        store,
        settings.default,
        policy,
        pace=Pace(settings.refresh_seconds, settings.refresh_budget_ms / 1000),
        memory=settings.memory_mb * MIB if settings.memory_mb else None,
        on_load=observer.loaded,
        on_refresh=observer.refreshed,
        clock=clock,
    )
    return store, registry


def _recorder(settings: Settings, registry: Registry, observer: Observer) -> "Recorder | None":
    if not settings.record_share:
        return None
    from handler.records import Recorder  # noqa: PLC0415  -- nothing of it where nothing is recorded

    recorder = Recorder(registry, settings, observer)
    recorder.prepare()
    return recorder


def credentials(settings: Settings) -> Credentials | None:
    """Return where S3's credentials come from, None for the AWS_* variables."""
    if settings.credentials_uri is None:
        return None
    from model.credentials import ContainerCredentials  # noqa: PLC0415  -- http.client: 9 ms for SnapStart alone

    return ContainerCredentials(settings.credentials_uri, settings.credentials_token)


def outlets(settings: Settings) -> "Outlets | None":
    """Return where replies go, None where the settings name no place: then the SDK is never loaded."""
    if not (settings.results_queue or settings.errors_queue or settings.results_bus):
        return None
    from handler import destinations  # noqa: PLC0415  -- botocore costs 200 ms of a cold start

    return destinations.outlets(settings)
