"""Names and versions → scorers, each loaded once per execution environment.

A model that cannot be loaded never takes the service down: its error is raised to whoever asks for it. What a later
attempt could mend (a store that did not answer) is attempted again, at most every `RETRY_SECONDS`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from model import labels, reference
from model.artifact import Policy, open_artifact, read_manifest, verified
from model.errors import ArtifactError, ArtifactMissing, UnknownModel
from model.labels import Labels
from model.manifest import Manifest, is_name
from model.reference import Reference
from model.scorer import Scorer
from model.store import Contents, Store

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """Told to whoever listens when a version has been loaded, or could not be; `seconds` is what it took."""

    name: str
    version: str
    seconds: float
    error: ArtifactError | None = None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class _Failure:
    error: ArtifactError
    at: float


def _ignore(_: Loaded) -> None:
    return None


class Registry:
    """The models of one store. `default` answers when the caller names none; alone in its store a model needs none."""

    def __init__(
        self,
        store: Store,
        default: str | None = None,
        policy: Policy | None = None,
        *,
        on_load: Callable[[Loaded], None] = _ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._policy = policy or Policy()
        self._default = default
        self._on_load = on_load
        self._clock = clock
        self._scorers: dict[tuple[str, str], Scorer] = {}
        self._failures: dict[tuple[str, str], _Failure] = {}
        self._contents: dict[str, Contents] = {}
        self._labels: dict[str, Labels | None] = {}
        self._live: dict[str, str] = {}
        self._hot: Scorer | None = None

    def warm(self) -> None:
        """Load the default model, if there is one; what goes wrong is told to `on_load`, not raised."""
        try:
            self.scorer()
        except ArtifactError as error:
            if not self._failures:  # the store itself failed, before any version was known
                self._on_load(Loaded(self._default or "default", "unknown", 0.0, error))
        except UnknownModel:
            return

    def scorer(self, name: str | None = None, version: str | None = None) -> Scorer:
        """Return the scorer of a version, the live one when none is named; raises UnknownModel or ArtifactError."""
        if name is None and version is None and self._hot is not None:
            return self._hot
        model = name or self.default()
        number = version or (self.live(model) if name else self._live_default(model))
        scorer = self._scorers.get((model, number))
        if scorer is None:
            self._check(model, number)
            scorer = self._load(model, number)
        if name is None and version is None:
            self._hot = scorer
        return scorer

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
        """
        return tuple(name for name in self._store.names() if self._has_version(name))

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the versions of a model; raises UnknownModel, ArtifactUnavailable or ArtifactMissing."""
        if name not in self._contents:
            if not is_name(name):
                raise UnknownModel("not a model's name")
            contents = self._store.contents(name)
            if not contents.folders:
                raise UnknownModel(f"no model is called {name!r}")
            self._contents[name] = contents
        return self._contents[name].folders

    def live(self, name: str) -> str:
        """Return the version that answers for `name`; raises UnknownModel or ArtifactError."""
        if name not in self._live:
            self._live[name] = labels.live_version(name, self.labels(name), self.versions(name))
        return self._live[name]

    def labels(self, name: str) -> Labels | None:
        """Return the label file of a model, None when it has none; raises UnknownModel or ArtifactError."""
        if name not in self._labels:
            self.versions(name)
            known = labels.FILE in self._contents[name].files
            self._labels[name] = labels.parse(self._store.read(f"{name}/{labels.FILE}")) if known else None
        return self._labels[name]

    def manifest(self, name: str, version: str) -> Manifest:
        """Return a version's manifest without loading its estimator; raises UnknownModel or ArtifactError."""
        scorer = self._scorers.get((name, version))
        if scorer is not None:
            return scorer.manifest
        self._check(name, version)
        return read_manifest(self._store, name, version, self._policy, self._labelled(name, version))

    def reference(self, name: str, version: str) -> Reference | None:
        """Return what a version's training looked like, None where it was packed without a sample.

        Raises UnknownModel or ArtifactError.
        """
        manifest = self.manifest(name, version)
        if reference.FILE not in manifest.digests:
            return None
        return reference.parse(verified(self._store, manifest, reference.FILE))

    def state(self, name: str, version: str) -> str:
        """Return "ready", "unavailable" (a load failed) or "idle" (nobody asked for it yet)."""
        if (name, version) in self._scorers:
            return "ready"
        return "unavailable" if (name, version) in self._failures else "idle"

    def _live_default(self, name: str) -> str:
        """Return the default model's live version; that there is none is the deployment's fault, not the caller's."""
        try:
            return self.live(name)
        except UnknownModel:
            raise ArtifactMissing(f"the default model {name} is not in the store") from None

    def _labelled(self, name: str, version: str) -> str | None:
        """Return the digest that a label gives; a label file that cannot be read gives none."""
        try:
            found = self.labels(name)
        except ArtifactError:
            return None
        return found.manifest(version) if found is not None else None

    def _has_version(self, name: str) -> bool:
        try:
            return bool(self.versions(name))
        except UnknownModel:
            return False

    def _check(self, name: str, version: str) -> None:
        if version not in self.versions(name):
            raise UnknownModel(f"{name} has no version {version!r}" if is_name(version) else "not a version")

    def _load(self, name: str, version: str) -> Scorer:
        before = self._clock()
        failure = self._failures.get((name, version))
        if failure and not (failure.error.retryable and before - failure.at >= RETRY_SECONDS):
            raise failure.error
        try:
            scorer = open_artifact(self._store, name, version, self._policy, self._labelled(name, version))
        except ArtifactError as error:
            self._failures[name, version] = _Failure(error, self._clock())
            self._on_load(Loaded(name, version, self._clock() - before, error))
            raise
        self._failures.pop((name, version), None)
        self._scorers[name, version] = scorer
        self._on_load(Loaded(name, version, self._clock() - before, engine=scorer.engine_name))
        return scorer
