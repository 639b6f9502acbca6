"""Which store and which artifact somebody means who types a folder, a URL or a name. Build time only."""

import os
from pathlib import Path

from model.errors import PublishingRefused
from model.registry import Registry
from model.shelf import Shelf
from model.store import is_place

LOCAL = "artifacts"


def store_at(place: str | None) -> Shelf:
    """Return the store at a folder or URL; MODEL_STORE, then ./artifacts, where none is named.

    Raises PublishingRefused.
    """
    place = place or os.environ.get("MODEL_STORE") or LOCAL
    url = place if "://" in place else Path(place).absolute().as_uri()
    if not is_place(url):
        raise PublishingRefused(f"no store can be at {url}: expected a folder, file:///folder or s3://bucket/prefix")
    return Shelf(url, os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


def locate(artifact: str) -> tuple[Shelf, str, str]:
    """Return store, name and version of ARTIFACT: its folder or URL, NAME/VERSION, or NAME for the live one."""
    place, _, version = artifact.rstrip("/").rpartition("/")
    if "://" in artifact or (Path(artifact) / "manifest.json").is_file():
        root, _, name = place.rpartition("/")
        return store_at(root or "."), name, version
    store = store_at(None)
    if place:
        return store, place, version
    return store, artifact, Registry(store).live(artifact)
