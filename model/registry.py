"""Names and versions → scorers. A fault of the store or of an artifact never takes down a model that answers.

A model that cannot be loaded never takes the service down either: its error is raised to whoever asks for it, and what
a later attempt could mend is attempted again, at most every `RETRY_SECONDS`.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock

from model import reference
from model.artifact import Policy, read_manifest, verified
from model.cache import Cache, Key
from model.errors import ArtifactError, ArtifactMissing, UnknownModel
from model.labels import Label, Labels, live_version, target
from model.loader import RETRY_SECONDS, Loaded, Loader
from model.manifest import Manifest, is_name
from model.reference import Reference
from model.refresh import MARGIN, Pace, Refresh, Refreshed, Watch
from model.scorer import Scorer
from model.shadow import Compared, Shadow
from model.store import Store

__all__ = ["RETRY_SECONDS", "Compared", "Loaded", "Pace", "Refreshed", "Registry"]
Left = Callable[[], int]
# Names are callers' words: while the store does not say which are models, so many are remembered.
_MOST = 1_000


def _ignore(_: object) -> None:
    return None


class Registry:
    """The models of one store. `default` answers when the caller names none; alone in its store a model needs none.

    `memory` bounds what the versions take, and what one needs while it is loaded, bytes.
    """

    def __init__(
        self,
        store: Store,
        default: str | None = None,
        policy: Policy | None = None,
        *,
        pace: Pace | None = None,
        memory: int | None = None,
        scratch: Path | None = None,
        on_load: Callable[[Loaded], None] = _ignore,
        on_refresh: Callable[[Refreshed], None] = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._policy = policy or Policy()
        self._default = default
        self._on_load = on_load
        self._clock = clock
        self._pace = pace or Pace()
        self._loader = Loader(store, self._policy, Cache(memory, self._at_work), on_load, clock, scratch)
        self._refresh = Refresh(store, self._loader, self._pace, on_refresh, clock)
        # By name; None is the default model's. Only models that the store has, or had, are in here.
        self._watches: dict[str | None, Watch] = {}
        self._names: tuple[tuple[str, ...], float] | None = None
        self._one_at_a_time = RLock()

    def warm(self) -> None:
        """Load the default model, if there is one; what goes wrong is told to `on_load`, not raised."""
        try:
            self.scorer()
        except ArtifactError as error:
            watch = self._watches.get(None)
            if watch is None or (watch.labels is None and watch.contents is None):  # no version is known
                self._on_load(Loaded(self._default or "default", "unknown", 0.0, error))
        except UnknownModel:
            return

    def scorer(
        self, name: str | None = None, version: str | None = None, key: str | None = None, left: Left | None = None
    ) -> Scorer:
        """Return the scorer of a version; where none is named the live one, or the canary for its share of the keys.

        `left` tells the milliseconds left of the invocation, where there is one. Raises UnknownModel or ArtifactError.
        """
        watch = self._watches.get(name)
        if watch is None or version is not None or not watch.since <= self._clock() < watch.due:
            if version is not None:
                return self._named(name or self.default(), version, left)
            watch = self._attend(name, left)
        route = watch.route
        if route is None:
            raise (watch.error or ArtifactMissing(f"{watch.name} is being loaded")).with_traceback(None)
        return route.live if key is None or route.canary is None else route.pick(key)

    def shadow(self, name: str | None = None) -> Shadow | None:
        """Return who is asked beside the live version of a model, if anybody is."""
        watch = self._watches.get(name)
        return watch.route.shadow if watch is not None and watch.route is not None else None

    def default(self) -> str:
        """Return the name of the default model; raises UnknownModel when there is none."""
        if self._default is not None:
            return self._default
        names = self.names()
        if len(names) == 1:
            return names[0]
        reason = "several models are served: name one in the path" if names else "no model is served"
        raise UnknownModel(f"there is no default model, {reason}")

    def names(self) -> tuple[str, ...]:
        """Return the models in the store; raises ArtifactUnavailable or ArtifactMissing.

        One whose first version is still on its way is none.
        A remote store is asked at most every RETRY_SECONDS, and what it said last stands while it does not answer.
        """
        now = self._clock()
        if self._names is not None and self._store.remote and 0 <= now - self._names[1] < RETRY_SECONDS:
            return self._names[0]
        try:
            with self._store.within(self._pace.budget):
                found = tuple(name for name in self._store.names() if self._has_version(name))
        except ArtifactError:
            if self._names is None:
                raise
            found = self._names[0]
        self._names = found, now
        return found

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of a model; raises UnknownModel, ArtifactUnavailable or ArtifactMissing."""
        contents = self._known(name).contents
        return contents.folders if contents else ()

    def live(self, name: str) -> str:
        """Return the version that answers for `name`; raises UnknownModel or ArtifactError."""
        watch = self._known(name)
        if watch.route is not None:
            return watch.route.live.manifest.version
        return live_version(name, watch.labels, watch.contents.folders if watch.contents else ())

    def labels(self, name: str) -> Labels | None:
        """Return what the label file said last, None when there is none; raises UnknownModel or ArtifactError."""
        return self._known(name).labels

    def faults(self) -> dict[str, Mapping[Label, ArtifactError]]:
        """Return by model why labels do not have the version that they should: what degraded means."""
        found = {watch.name: watch.route.faults for watch in self._watches.values() if watch.route}
        return {name: faults for name, faults in found.items() if faults}

    def labelled(self, name: str, label: str) -> str:
        """Return the version that a label points at; raises UnknownModel or ArtifactError."""
        if label == "live":
            return self.live(name)
        found = target(self.labels(name), label)
        if found is None:
            raise UnknownModel(f"{name} has no such label")
        return found.version

    def manifest(self, name: str, version: str) -> Manifest:
        """Return a version's manifest without loading its estimator; raises UnknownModel or ArtifactError."""
        kept = self._loader.cache.peek((name, version))
        if kept is not None:
            return kept.scorer.manifest
        labelled = self._check(name, version)
        with self._store.within(self._pace.first):
            return read_manifest(self._store, name, version, self._policy, labelled)

    def reference(self, name: str, version: str) -> Reference | None:
        """Return what a version's training looked like, None where it was packed without a sample.

        Raises UnknownModel or ArtifactError.
        """
        manifest = self.manifest(name, version)
        if reference.FILE not in manifest.digests:
            return None
        with self._store.within(self._pace.budget):
            return reference.parse(verified(self._store, manifest, reference.FILE))

    def state(self, name: str, version: str) -> str:
        """Return "ready", "unavailable" (a load failed) or "idle" (nobody asked for it yet)."""
        if self._loader.cache.peek((name, version)) is not None:
            return "ready"
        return "unavailable" if self._loader.failed(name, version) else "idle"

    def look_again(self) -> None:
        """Bring every model that answers up to date now, whenever it was looked at last: time has passed unseen."""
        self._names = None
        with self._store.within(self._pace.first), self._one_at_a_time:
            for name, watch in list(self._watches.items()):
                if name is None or self._watches.get(None) is not watch:
                    watch.due = -math.inf
                    with suppress(UnknownModel):
                        self._step(watch, None)

    def _attend(self, name: str | None, left: Left | None) -> Watch:
        """Return a model's watch, brought up to date. While one thread does that, others go on with what there is."""
        watch = self._watches.get(name)
        if watch is not None and watch.route is not None:
            if self._one_at_a_time.acquire(blocking=False):
                try:
                    self._step(watch, left)
                finally:
                    self._one_at_a_time.release()
            return watch
        with self._one_at_a_time:
            watch = self._watch(name)
            try:
                self._step(watch, left)
            except UnknownModel:
                self._watches.pop(name, None)
                raise
        return watch

    def _step(self, watch: Watch, left: Left | None) -> None:
        if not watch.since <= self._clock() < watch.due:  # a clock that went back is no reason to wait
            self._refresh.step(watch, left)

    def _watch(self, name: str | None) -> Watch:
        found = self._watches.get(name)
        if found is None:
            model = name or self.default()
            if not is_name(model):
                raise UnknownModel("not a model's name")
            known = (watch for watch in self._watches.values() if watch.name == model and watch.contents is not None)
            found = next(known, None) or Watch(model, expected=name is None)
            if name is None or len(self._watches) < _MOST:
                self._watches[name] = found
        return found

    def _known(self, name: str) -> Watch:
        """Return a watch that knows the model's versions and labels, as they were `every` seconds ago at most."""
        with self._one_at_a_time:
            watch = self._watch(name)
            old = self._pace.every and not 0 <= self._clock() - watch.listed < self._pace.every
            if watch.contents is None or old:
                try:
                    with self._store.within(self._pace.budget):
                        self._refresh.look(watch)
                except UnknownModel:
                    self._watches.pop(name, None)
                    raise
                except ArtifactError:
                    if watch.contents is None:
                        raise
        return watch

    def _check(self, name: str, version: str) -> str | None:
        """Return the digest that a label gives for a version, if one does; raises UnknownModel or ArtifactError."""
        watch = self._known(name)
        known = watch.contents.folders if watch.contents else ()
        if version not in known:
            raise UnknownModel(f"{name} has no version {version!r}" if is_name(version) else "not a version")
        return watch.labels.manifest(version) if watch.labels else None

    def _named(self, name: str, version: str, left: Left | None) -> Scorer:
        kept = self._loader.cache.get((name, version))
        if kept is not None:
            return kept.scorer
        seconds = self._pace.first if left is None else min(self._pace.first, left() / 1000 - MARGIN)
        with self._one_at_a_time, self._store.within(seconds):
            return self._loader.load(name, version, self._check(name, version), self._pace.every or math.inf)

    def _has_version(self, name: str) -> bool:
        try:
            return bool(self.versions(name))
        except UnknownModel:
            return False

    def _at_work(self) -> set[Key]:
        """Return what must stay in memory: what answers, and what a label names."""
        found = set()
        for watch in self._watches.values():
            found |= {(watch.name, version) for version in watch.versions()}
        return found
