"""What a store holds, version by version: labels, engines, metrics, sizes, dates. Build time only; reads no pickle."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from model import claim, label_file, signature
from model.artifact import Policy, read_manifest
from model.errors import ArtifactError
from model.labels import Label, Labels, live_version
from model.manifest import Manifest
from model.prune import Held, versions
from model.shelf import Shelf, read_if_there


@dataclass(frozen=True, slots=True)
class Entry:
    """One version. `live` tells whether it answers, by label or as the only one.

    `problem` stands in place of the manifest where that cannot be read, "unfinished" where it never came.
    """

    name: str
    version: str
    live: bool
    labels: tuple[Label, ...]
    size: int
    published: datetime | None
    manifest: Manifest | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one version stands in its store. `signed_by` are keys whose signature is there, checked by nobody yet."""

    labels: tuple[Label, ...]
    size: int
    published_by: str | None
    published_at: str | None
    signed_by: tuple[str, ...]


def inventory(shelf: Shelf, name: str) -> Iterator[Entry]:
    """Yield the versions of a model in the order of their publication, what was never finished last."""
    labels = label_file.read(shelf, name).labels
    found = versions(shelf.entries(f"{name}/"))
    live = _live(name, labels, tuple(held.version for held in found if held.published))
    for held in sorted(found, key=lambda held: (held.published is None, held.published or held.touched)):
        yield _entry(shelf, name, held, labels, live)


def look(shelf: Shelf, name: str, version: str) -> Standing:
    """Return where a version stands; raises ArtifactError."""
    labels = label_file.read(shelf, name).labels
    owner = claim.claimed(shelf, f"{name}/{version}")
    content = read_if_there(shelf, f"{name}/{version}/{signature.FILE}")
    signed = signature.parse(content).signatures if content is not None else ()
    return Standing(
        labels.of(version),
        sum(entry.size for entry in shelf.entries(f"{name}/{version}/")),
        owner.by if owner else None,
        owner.at if owner else None,
        tuple(found.key for found in signed),
    )


def _entry(shelf: Shelf, name: str, held: Held, labels: Labels, live: str | None) -> Entry:
    manifest, problem = None, None
    if held.published is None:
        problem = "unfinished"
    else:
        try:
            manifest = read_manifest(shelf, name, held.version, Policy(), labels.manifest(held.version))
        except ArtifactError as error:
            problem = type(error).__name__
    return Entry(
        name, held.version, held.version == live, labels.of(held.version), held.size, held.published, manifest, problem
    )


def _live(name: str, labels: Labels, versions: tuple[str, ...]) -> str | None:
    try:
        return live_version(name, labels, versions)
    except ArtifactError:
        return None
