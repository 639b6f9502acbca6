"""Pruning: what it keeps, what it deletes, and who is faster."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from model import claim, label_file, moves, prune, rollout
from model.errors import ArtifactMissing, LabelsMoved, PublishingRefused
from model.label_file import Mover
from model.labels import Labels, Share, Target
from model.prune import Held
from model.registry import Registry
from model.shelf import Entry, Shelf
from model.store import Store
from tests.test_publish import Fragile, Killed, send
from tests.test_rollout import ONNX, promote, versions

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LATER = timedelta(days=2)
ME = Mover("ann", "2026-11-21T00:00:00+00:00")


def held(version: str, days: float, *, whole: bool = True, touched: float | None = None) -> Held:
    published = NOW - timedelta(days=days)
    since = NOW - timedelta(days=days if touched is None else touched)
    return Held(version, published if whole else None, since, 10, (f"m/{version}/x",))


def target(version: str) -> Target:
    return Target(version, "sha256:x")


class Apart(Shelf):
    """S3 dates to the second, and these tests publish faster: each version counts as a minute younger than the last."""

    def entries(self, prefix: str) -> list[Entry]:
        found = super().entries(prefix)
        minutes = {"1.0.0": 1, "2": 2, "3": 3, "4": 4}
        return [replace(e, modified=e.modified + timedelta(minutes=minutes.get(e.key.split("/")[1], 0))) for e in found]


@pytest.fixture
def apart(shelf: Shelf) -> Shelf:
    return Apart(shelf.url, shelf.endpoint)


def test_the_last_the_labelled_the_previous_and_the_young_stay() -> None:
    labels = Labels()
    for version in ("2", "3"):
        labels = moves.move(labels, "live", target(version), at="t", by="a")
    labels = moves.move(labels, "canary", Share("4", "sha256:x", 0.1), at="t", by="a")
    found = [held(str(i), 10 - i) for i in range(9)] + [held("half", 5, whole=False), held("new", 0.1, whole=False)]
    gone, unfinished = prune.choose(found, labels, NOW, keep=2, grace=timedelta(hours=24))
    assert [one.version for one in gone] == ["0", "1", "5", "6"]
    assert [one.version for one in unfinished] == ["half"]
    gone, _ = prune.choose(found, labels, NOW, keep=2, grace=timedelta(days=8.5))
    assert [one.version for one in gone] == ["0", "1"]
    tied = [held(str(i), 5) for i in range(3)] + [held("old", 6)]
    gone, _ = prune.choose(tied, Labels(), NOW, keep=1, grace=timedelta(days=1))
    assert [one.version for one in gone] == ["old"]
    gone, _ = prune.choose([held("0", 10, touched=0.5), held("1", 9)], Labels(), NOW, keep=1, grace=timedelta(days=1))
    assert gone == ()


def test_what_is_pruned_is_gone_and_its_number_is_not_used_again(store: Path, apart: Shelf) -> None:
    versions(store, apart, "2", "3", "4")
    promote(apart, "4")
    doomed = prune.plan(apart, "iris", datetime.now(UTC) + LATER, keep=1)
    assert sorted(one.version for one in doomed.versions) == ["2", "3"]  # 1.0.0 is what a rollback returns to
    before = sum(entry.size for entry in apart.entries("iris"))
    freed = prune.prune(apart, doomed, ME)
    assert freed == doomed.size > 0
    assert sum(entry.size for entry in apart.entries("iris")) < before
    assert Registry(Store(apart.url, apart.endpoint)).versions("iris") == ("1.0.0", "4")
    assert not apart.entries("iris/2")
    with pytest.raises(PublishingRefused, match=r"iris/2 was pruned by ann on 2026-11-21"):
        promote(apart, "2")
    with pytest.raises(PublishingRefused, match="its number is not used again"):
        send(store, apart, "2")
    assert not prune.plan(apart, "iris", datetime.now(UTC) + LATER, keep=1).versions


def test_nothing_younger_than_the_grace_period_goes(store: Path, apart: Shelf) -> None:
    versions(store, apart, "2", "3")
    assert not prune.plan(apart, "iris", datetime.now(UTC), keep=1).versions


def test_what_was_labelled_since_the_plan_stays(store: Path, apart: Shelf) -> None:
    versions(store, apart, "2", "3", "4")
    doomed = prune.plan(apart, "iris", datetime.now(UTC) + LATER, keep=1)
    assert "2" in [one.version for one in doomed.versions]
    promote(apart, "2")
    prune.prune(apart, doomed, ME)
    assert Registry(Store(apart.url, apart.endpoint)).versions("iris") == ("1.0.0", "2", "4")


def test_a_promotion_between_reading_and_writing_stops_the_pruning(store: Path, apart: Shelf) -> None:
    versions(store, apart, "2", "3", "4")
    doomed = prune.plan(apart, "iris", datetime.now(UTC) + LATER, keep=1)
    reading = label_file.read(apart, "iris")
    promote(apart, "2")
    with pytest.raises(LabelsMoved):
        label_file.write(apart, reading, moves.note_pruned(reading.labels, ("2",), at=ME.at, by=ME.by))
    assert "2" in [one.version for one in doomed.versions]
    assert apart.versions("iris") == ("1.0.0", "2", "3", "4")


def test_a_pruning_while_a_promotion_verifies_stops_the_promotion(store: Path, apart: Shelf) -> None:
    versions(store, apart, "2", "3", "4")

    class Slow(Shelf):
        def read(self, key: str) -> bytes:
            content = super().read(key)
            if key == "iris/2/golden.json" and self.versions("iris")[1] == "2":
                prune.prune(apart, prune.plan(apart, "iris", datetime.now(UTC) + LATER, keep=1), ME)
            return content

    with pytest.raises((LabelsMoved, ArtifactMissing)):
        rollout.promote(Slow(apart.url, apart.endpoint), "iris", "2", Mover.now("bob"), policy=ONNX)
    live = label_file.read(apart, "iris").labels.live
    assert live is not None
    assert live.version == "1.0.0"


def half(store: Path, shelf: Shelf) -> None:
    with pytest.raises(Killed):
        send(store, Fragile(shelf.url, shelf.endpoint).live_for(2, after=True))


def test_an_upload_that_never_ended_is_cleared_and_can_be_begun_again(packed: Path, shelf: Shelf) -> None:
    half(packed, shelf)
    if not shelf.remote:
        (shelf.folder / "iris/1.0.0/model.onnx#7").write_bytes(b"on its way")
    young = prune.plan(shelf, "iris", datetime.now(UTC))
    assert not young.unfinished
    doomed = prune.plan(shelf, "iris", datetime.now(UTC) + LATER)
    assert [one.version for one in doomed.unfinished] == ["1.0.0"]
    prune.prune(shelf, doomed, ME)
    assert not [entry for entry in shelf.entries("iris") if "/." not in entry.key]
    assert send(packed, shelf).new


def test_a_publisher_who_is_back_keeps_what_was_sent(packed: Path, shelf: Shelf) -> None:
    half(packed, shelf)
    doomed = prune.plan(shelf, "iris", datetime.now(UTC) + LATER)
    done = send(packed, shelf, mover=Mover.now("ann"))
    prune.prune(shelf, doomed, ME)
    assert done.new
    assert send(packed, shelf).sent == 0
    assert Registry(Store(shelf.url, shelf.endpoint)).scorer("iris")


def test_a_publisher_who_finds_it_being_pruned_is_refused(packed: Path, shelf: Shelf) -> None:
    half(packed, shelf)
    held_claim = shelf.hold(f"iris/1.0.0/{claim.FILE}")
    tomb = b'{"manifest": "pruning", "by": "ann", "at": "now"}'
    assert shelf.swap(f"iris/1.0.0/{claim.FILE}", held_claim, tomb)
    with pytest.raises(PublishingRefused, match="is being pruned by ann"):
        send(packed, shelf)


def test_scratch_files_of_killed_writers_go_after_the_grace_period(store: Path) -> None:
    import os  # noqa: PLC0415

    shelf = Shelf(store.as_uri())
    old, new = store / "iris/1.0.0/model.onnx#1", store / "iris/.labels.json.abcd1234"
    for file in (old, new):
        file.write_bytes(b"")
    os.utime(old, (0, 0))
    prune.clear_scratch(shelf, "iris")
    assert (old.exists(), new.exists()) == (False, True)
