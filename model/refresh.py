"""Following a model's label file: read it, load what it names, swap. The last known good answers until all is well.

A step is what one request pays for: it has a budget, and what it leaves undone the next request goes on with.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import get_args

from model import labels
from model.errors import ArtifactCorrupt, ArtifactError, ArtifactMissing, PredictionFailed, UnknownModel
from model.labels import Label, Labels, Share, Target
from model.loader import RETRY_SECONDS, Loader, bare, wait
from model.routing import NO_FAULTS, Route, bound
from model.scorer import Scorer
from model.shadow import Shadow
from model.store import Contents, Store

# With a good version at work, what only a change can mend is looked at so much less often.
_PATIENCE = 10.0
# Left of an invocation's time for the answer itself, seconds.
MARGIN = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a label file is read (seconds, 0 never again), what one request may spend on what it finds, and what
    the first load may take, both in seconds. Lambda gives initialisation 10.
    """

    every: float = 0.0
    budget: float = 1.0
    first: float = 6.0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Told to whoever listens after each look at the labels of a model that answers.

    `moved` has the version before and after by label, `faults` why a label's version does not answer, `version` is the
    one that answers now.
    """

    name: str
    seconds: float
    moved: Mapping[Label, tuple[str | None, str | None]]
    faults: Mapping[Label, ArtifactError]
    version: str


@dataclass(slots=True)
class Watch:
    """One model: what its label file said last, who answers, and when to look again (by the registry's clock).

    `expected` says that the deployment names it, so that it is the deployment's fault when it is not there.
    """

    name: str
    route: Route | None = None
    labels: Labels | None = None
    contents: Contents | None = None
    mark: str | None = None
    since: float = 0.0
    due: float = -math.inf
    listed: float = 0.0
    error: ArtifactError | None = None
    expected: bool = False

    def versions(self) -> set[str]:
        """Return what answers, and what a label names."""
        found = {version for version in _versions(self.route) if version is not None}
        said = self.labels or Labels()
        return found | {target.version for target in (said.live, said.canary, said.shadow) if target is not None}


class Refresh:
    """Does the steps of every watch."""

    def __init__(
        self,
        store: Store,
        loader: Loader,
        pace: Pace,
        on_refresh: Callable[[Refreshed], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._loader = loader
        self._pace = pace
        self._on_refresh = on_refresh
        self._clock = clock

    def step(self, watch: Watch, left: Callable[[], int] | None = None) -> None:
        """Bring a watch up to date as far as the budget goes; `left` tells the milliseconds left of the invocation.

        Raises UnknownModel when the store has no such model and never had; every other fault is in the watch.
        """
        before, old = time.perf_counter(), watch.route
        seconds = self._seconds(watch, left)
        if seconds <= 0:
            return
        with self._store.within(seconds):
            try:
                self._read(watch)
                self._follow(watch)
            except UnknownModel:
                if not watch.expected:
                    raise
                self._fault(watch, ArtifactMissing(f"the default model {watch.name} is not in the store"))
            except ArtifactError as error:
                self._fault(watch, bare(error))
            except Exception as error:  # the call that pays for a step must not fail by it, whatever was forgotten here
                self._fault(watch, ArtifactCorrupt(f"what the labels say cannot be followed: {type(error).__name__}"))
        watch.since = self._clock()
        watch.due = watch.since + self._wait(watch)
        self._tell(watch, old, time.perf_counter() - before)

    def _seconds(self, watch: Watch, left: Callable[[], int] | None) -> float:
        most = self._pace.first if watch.route is None else self._pace.budget
        return most if left is None else min(most, left() / 1000 - MARGIN)

    def look(self, watch: Watch) -> None:
        """Read which versions and labels there are, and load none; raises UnknownModel or ArtifactError."""
        contents = self._store.contents(watch.name)
        if not contents.folders:
            if watch.contents is None:
                raise UnknownModel(f"no model is called {watch.name!r}")
            raise ArtifactMissing(f"{watch.name} is no longer in the store")
        if labels.FILE in contents.files:
            self._read_labels(watch)
        watch.contents, watch.listed = contents, self._clock()

    def _read(self, watch: Watch) -> None:
        """Read the label file if it has changed; without one, look whether there is one by now."""
        if watch.contents is not None and labels.FILE in watch.contents.files:
            self._read_labels(watch)
        else:
            self.look(watch)

    def _read_labels(self, watch: Watch) -> None:
        found = self._store.read_if_changed(f"{watch.name}/{labels.FILE}", watch.mark)
        if found is not None:
            watch.labels, watch.mark = labels.parse(found[0]), found[1]

    def _follow(self, watch: Watch) -> None:
        """Load what the labels name, and put it to work in one assignment."""
        faults: dict[Label, ArtifactError] = {}
        old = watch.route
        said = watch.labels or Labels()
        folders = watch.contents.folders if watch.contents else ()
        target = said.live or Target(labels.live_version(watch.name, watch.labels, folders), "")
        live = self._load(watch, "live", target, faults) or (old.live if old else None)
        if live is None:
            raise faults["live"]
        canary = self._load(watch, "canary", said.canary, faults)
        beside = self._load(watch, "shadow", said.shadow, faults)
        shadow = self._shadow(old, live, beside, said.shadow, faults)
        share = bound(said.canary.weight) if said.canary and canary else 0
        watch.route = Route(live, canary, share, shadow, faults or NO_FAULTS)
        watch.error = None

    def _load(
        self, watch: Watch, label: Label, target: Target | None, faults: dict[Label, ArtifactError]
    ) -> Scorer | None:
        if target is None:
            return None
        again = self._pace.every * (_PATIENCE if watch.route else 1) or math.inf
        try:
            return self._loader.load(watch.name, target.version, target.manifest or None, again)
        except ArtifactError as error:
            faults[label] = error
            return None

    def _shadow(
        self,
        old: Route | None,
        live: Scorer,
        scorer: Scorer | None,
        share: Share | None,
        faults: dict[Label, ArtifactError],
    ) -> Shadow | None:
        if scorer is None or share is None:
            return None
        known = old.shadow if old and old.live is live else None
        if known is not None and known.scorer is scorer and known.weight == share.weight:
            return known
        try:
            return Shadow(scorer, live, share.weight)
        except ArtifactError as error:
            faults["shadow"] = error
        except PredictionFailed as error:
            faults["shadow"] = ArtifactCorrupt(f"{share.version} cannot answer its own example: {error}")
        return None

    def _fault(self, watch: Watch, error: ArtifactError) -> None:
        watch.error = error
        if watch.route is not None:
            watch.route = replace(watch.route, faults={**watch.route.faults, "live": error})

    def _wait(self, watch: Watch) -> float:
        every = self._pace.every or math.inf
        if watch.route is None:
            return wait(watch.error, every) if watch.error else 0.0
        if any(getattr(error, "progress", False) for error in watch.route.faults.values()):
            return 0.0
        if every == math.inf and any(error.retryable for error in watch.route.faults.values()):
            return RETRY_SECONDS  # never again is for what is well: a canary that the store held back still comes
        return every

    def _tell(self, watch: Watch, old: Route | None, seconds: float) -> None:
        new = watch.route
        if new is None or (old is None and not new.faults):
            return
        moved: dict[Label, tuple[str | None, str | None]] = {
            label: (before, after)
            for label, before, after in zip(get_args(Label), _versions(old or new), _versions(new), strict=True)
            if before != after
        }
        self._on_refresh(Refreshed(watch.name, seconds, moved, new.faults, new.live.manifest.version))


def _versions(route: Route | None) -> tuple[str | None, str | None, str | None]:
    if route is None:
        return None, None, None
    canary = route.canary.manifest.version if route.canary else None
    return route.live.manifest.version, canary, route.shadow.scorer.manifest.version if route.shadow else None
