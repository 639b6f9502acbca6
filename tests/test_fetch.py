"""Files in parts: each part asked once, the whole verified, what was kept checked again."""

from pathlib import Path
from typing import Any

import pytest

from model import fetch
from model.errors import ArtifactCorrupt, ArtifactUnavailable
from model.manifest import digest
from model.serving_store import ServingStore
from tests.misbehaving_s3 import Fault
from tests.site import BUCKET, NAME, PREFIX, Site

CONTENT = bytes(range(256)) * 100
SIZES: list[int] = []


@pytest.fixture
def store(site: Site, monkeypatch: pytest.MonkeyPatch) -> ServingStore:
    monkeypatch.setattr(fetch, "PART", 1_000)
    site.put("1.1.0/large", CONTENT)
    site.put("1.1.0/small", b"small")
    site.put("1.1.0/empty", b"")
    return ServingStore(f"s3://{BUCKET}/{PREFIX}", site.proxy.url)


def read(store: ServingStore, folder: Path, admit: Any = lambda _: None, **expected: bytes) -> dict[str, bytes]:
    digests = {file: digest(content) for file, content in expected.items()}
    return fetch.files(store, f"{NAME}/1.1.0", digests, admit, folder)


def test_large_small_and_empty_files_come_whole(store: ServingStore, site: Site, tmp_path: Path) -> None:
    told: list[int] = []
    expected = {"large": CONTENT, "small": b"small", "empty": b""}
    assert read(store, tmp_path, told.append, **expected) == expected
    assert told == [len(CONTENT) + 5]
    assert sum("large" in path for _, path, _ in site.proxy.seen) == 26


def test_kept_parts_that_are_not_the_files_are_thrown_away(store: ServingStore, site: Site, tmp_path: Path) -> None:
    site.proxy.faults = [Fault("slow", "large", seconds=1, after=5)]
    with store.within(0.4), pytest.raises(ArtifactUnavailable) as caught:
        read(store, tmp_path, large=CONTENT)
    assert caught.value.progress
    kept = list(tmp_path.iterdir())
    assert len(kept) == 5
    kept[0].write_bytes(b"?" * 1_000)
    site.proxy.faults = []
    with pytest.raises(ArtifactCorrupt):
        read(store, tmp_path, large=CONTENT)
    assert not list(tmp_path.iterdir())
    assert read(store, tmp_path, large=CONTENT)["large"] == CONTENT


def test_a_manifests_words_name_no_file_on_the_disk(tmp_path: Path) -> None:
    parts = fetch.Parts("../../x", "sha256:../../../y", 3, {0: b"abc"})
    kept = fetch.Kept(tmp_path / "parts")
    kept.write([parts])
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "parts"]
    again = fetch.Parts(parts.key, parts.digest)
    kept.read(again)
    assert again.arrived == {0: b"abc"}
