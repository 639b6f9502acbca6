"""Files in parts: each part asked once, the whole verified, what was kept checked again."""

import errno
import os
import time
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


def test_two_versions_that_arrive_by_turns_both_arrive(store: ServingStore, site: Site, tmp_path: Path) -> None:
    """Requests for two models, each with a new version that no single request has the time to fetch."""
    site.put("1.1.0/other", CONTENT[::-1])
    wanted = {"large": CONTENT, "other": CONTENT[::-1]}
    for turn in range(40):
        file, content = list(wanted.items())[turn % len(wanted)]
        site.proxy.faults = [Fault("slow", file, seconds=1, after=5)]
        with store.within(0.4):
            try:
                assert read(store, tmp_path, **{file: content}) == {file: content}
            except ArtifactUnavailable:
                continue
        del wanted[file]
        if not wanted:
            break
    assert not wanted
    assert not list(tmp_path.iterdir())


def arrived(key: str, **parts: bytes) -> fetch.Parts:
    """A file of which some parts are here, by p<number>."""
    return fetch.Parts(key, digest(key.encode()), 3_000, {int(name[1:]): content for name, content in parts.items()})


def test_parts_that_nobody_came_back_for_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PART", 1_000)
    kept = fetch.Kept(tmp_path)
    kept.write([arrived("a/1/x", p0=b"a" * 1_000)])
    (old,) = tmp_path.iterdir()
    kept.write([arrived("b/1/x", p0=b"b" * 1_000)])
    assert old.exists()
    long_ago = time.time() - fetch.STALE_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    kept.write([arrived("b/1/x", p0=b"b" * 1_000, p1=b"c" * 1_000)])
    assert not old.exists()
    again = fetch.Parts("b/1/x", digest(b"b/1/x"))
    kept.read(again)
    assert again.arrived == {0: b"b" * 1_000, 1: b"c" * 1_000}


def test_on_a_full_disk_the_parts_of_others_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PART", 1_000)
    kept = fetch.Kept(tmp_path)
    kept.write([arrived("a/1/x", p0=b"a" * 1_000)])
    write = Path.write_bytes

    def two_thousand(path: Path, content: bytes) -> int:
        if sum(file.stat().st_size for file in tmp_path.iterdir()) + len(content) > 2_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", two_thousand)
    kept.write([arrived("b/1/x", p0=b"b" * 1_000, p1=b"c" * 1_000)])
    assert sorted(path.read_bytes()[:1] for path in tmp_path.iterdir()) == [b"b", b"c"]
    with pytest.raises(ArtifactUnavailable, match="No space left on device"):
        kept.write([arrived("c/1/x", p0=b"d" * 1_000, p1=b"e" * 1_000, p2=b"f" * 1_000)])
    assert not list(tmp_path.iterdir())


def test_a_part_that_another_process_takes_away_is_only_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PART", 1_000)
    kept = fetch.Kept(tmp_path)
    kept.write([arrived("a/1/x", p0=b"a" * 1_000, p1=b"b" * 1_000)])
    gone = next(path for path in tmp_path.iterdir() if path.name.endswith(".0"))
    read_bytes = Path.read_bytes

    def late(path: Path) -> bytes:
        gone.unlink(missing_ok=True)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", late)
    again = fetch.Parts("a/1/x", digest(b"a/1/x"))
    kept.read(again)
    assert again.arrived == {1: b"b" * 1_000}
