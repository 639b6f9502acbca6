"""Labels move atomically, to versions that were verified, and back; of two movers one wins and the other is told."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from model import label_file, labels, local_swap, rollout
from model.artifact import Policy
from model.errors import ArtifactCorrupt, ArtifactError, ArtifactMissing, LabelsMoved, PublishingRefused
from model.label_file import Mover
from model.labels import Share, Target
from model.manifest import digest
from model.publish import publish
from model.registry import Registry
from model.shelf import Shelf
from model.store import Store
from tests.conftest import ROOT, next_version

ONNX = Policy(engines=("onnx",))


def versions(store: Path, shelf: Shelf, *more: str) -> None:
    """Publish iris 1.0.0 and copies of it."""
    publish(Store(store.as_uri()), "iris", "1.0.0", shelf, Mover.now("ann"))
    for version in more:
        next_version(store, "iris", version)
        publish(Store(store.as_uri()), "iris", version, shelf, Mover.now("ann"))


def promote(shelf: Shelf, version: str, *arguments: Any, by: str = "bob", **more: Any) -> rollout.Moved:
    return rollout.promote(shelf, "iris", version, Mover.now(by), *arguments, **({"policy": ONNX} | more))


def rollback(shelf: Shelf, *arguments: Any, **more: Any) -> rollout.Moved:
    return rollout.rollback(shelf, "iris", Mover.now("cy"), *arguments, **({"policy": ONNX} | more))


def live(shelf: Shelf) -> str:
    return Registry(Store(shelf.url, shelf.endpoint)).live("iris")


def test_a_promotion_moves_the_label_and_writes_who_when_from_and_to(store: Path, shelf: Shelf) -> None:
    versions(store, shelf, "1.1.0")
    moved = promote(shelf, "1.1.0")
    assert (moved.origin, moved.to, moved.engines) == ("1.0.0", "1.1.0", ("onnx",))
    assert live(shelf) == "1.1.0"
    document = json.loads(shelf.read("iris/labels.json"))
    assert document["format"] == 1
    assert document["live"] == {"version": "1.1.0", "manifest": digest(shelf.read("iris/1.1.0/manifest.json"))}
    line = document["history"][-1]
    assert line.keys() == {"at", "by", "label", "from", "to"}
    assert (line["by"], line["label"], line["from"], line["to"]) == ("bob", "live", "1.0.0", "1.1.0")
    assert line["at"].endswith("+00:00")


def test_canary_and_shadow_carry_a_weight_and_end_when_they_are_live(store: Path, shelf: Shelf) -> None:
    versions(store, shelf, "1.1.0", "1.2.0")
    promote(shelf, "1.1.0", "canary", weight=0.1)
    promote(shelf, "1.2.0", "shadow")
    found = label_file.read(shelf, "iris").labels
    assert found.canary == Share("1.1.0", digest(shelf.read("iris/1.1.0/manifest.json")), 0.1)
    assert found.shadow is not None
    assert (found.shadow.version, found.shadow.weight) == ("1.2.0", 1.0)
    assert found.live is not None
    assert found.live.version == "1.0.0"
    promote(shelf, "1.1.0", "canary", weight=0.5)
    promote(shelf, "1.1.0")
    found = label_file.read(shelf, "iris").labels
    assert (found.of("1.1.0"), found.canary) == (("live",), None)
    rollback(shelf, "shadow")
    assert label_file.read(shelf, "iris").labels.shadow is None
    with pytest.raises(PublishingRefused, match="iris has no shadow"):
        rollback(shelf, "shadow")


@pytest.mark.parametrize(
    ("label", "weight", "message"),
    [
        ("live", 0.5, "a weight is for canary and shadow"),
        ("canary", None, "a canary needs --weight"),
        ("canary", 0.0, "a share above 0 and up to 1"),
        ("shadow", 1.5, "a share above 0 and up to 1"),
        ("canary", float("nan"), "a share above 0 and up to 1"),
    ],
)
def test_a_weight_that_is_no_share_is_refused(
    packed: Path, tmp_path: Path, label: str, weight: float | None, message: str
) -> None:
    with pytest.raises(PublishingRefused, match=message):
        promote(Shelf(packed.as_uri()), "1.0.0", label, weight=weight)


def test_rollbacks_go_back_step_by_step_and_a_promotion_starts_anew(store: Path, shelf: Shelf) -> None:
    versions(store, shelf, "2", "3")
    promote(shelf, "2")
    promote(shelf, "3")
    assert rollback(shelf).to == "2"
    assert rollback(shelf).to == "1.0.0"
    with pytest.raises(PublishingRefused, match="has no previous version"):
        rollback(shelf)
    promote(shelf, "3")
    assert rollback(shelf).to == "1.0.0"
    history = label_file.read(shelf, "iris").labels.history
    assert [(line.to, line.rollback is True) for line in history] == [
        ("1.0.0", False), ("2", False), ("3", False), ("2", True), ("1.0.0", True), ("3", False), ("1.0.0", True),
    ]  # fmt: skip


def spoil_digest(store: Path) -> None:
    (store / "iris/2/model.joblib").write_bytes(b"altered")


def spoil_golden(store: Path) -> None:
    golden = json.loads((store / "iris/2/golden.json").read_text())
    golden["predictions"][3] = 2 - golden["predictions"][3] or 1
    (store / "iris/2/golden.json").write_text(json.dumps(golden))
    manifest = json.loads((store / "iris/2/manifest.json").read_text())
    manifest["digests"]["golden.json"] = digest((store / "iris/2/golden.json").read_bytes())
    (store / "iris/2/manifest.json").write_text(json.dumps(manifest))


def lose_file(store: Path) -> None:
    (store / "iris/2/golden.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (spoil_digest, ArtifactCorrupt, "model.joblib is not the file that was packed"),
        (spoil_golden, ArtifactCorrupt, "golden row 3"),
        (lose_file, ArtifactMissing, "golden.json is not in the store"),
    ],
)
def test_what_cannot_be_verified_is_not_promoted_by_force_either(
    store: Path, spoil: Any, error: type[ArtifactError], message: str
) -> None:
    shelf = Shelf(store.as_uri())
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=ONNX)
    next_version(store, "iris", "2")
    spoil(store)
    before = shelf.read("iris/labels.json")
    for force in (False, True):
        with pytest.raises(error, match=message):
            promote(shelf, "2", force=force)
    assert shelf.read("iris/labels.json") == before
    with pytest.raises(ArtifactMissing):
        promote(shelf, "no-such-version")


def test_a_breaking_change_needs_force_and_says_what_it_breaks(store: Path) -> None:
    shelf = Shelf(store.as_uri())
    manifest = json.loads((store / "iris/1.0.0/manifest.json").read_text())
    manifest["features"][0]["unit"] = "in"
    next_version(store, "iris", "2", features=manifest["features"])
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=ONNX)
    with pytest.raises(PublishingRefused, match=r"iris/2 would break what is live: feature .* is in in, it was in cm"):
        promote(shelf, "2")
    assert live(shelf) == "1.0.0"
    with pytest.raises(PublishingRefused, match="would break"):
        promote(shelf, "2", "canary", weight=0.1)
    assert promote(shelf, "2", force=True).forced
    assert live(shelf) == "2"
    assert rollback(shelf).to == "1.0.0"  # no force: callers knew it


@pytest.mark.parametrize(
    "spoil",
    [
        lambda manifest: manifest.unlink(),
        lambda manifest: manifest.write_bytes(manifest.read_bytes() + b" "),
        lambda manifest: manifest.write_bytes(b"{"),
    ],
    ids=["gone", "altered", "no manifest"],
)
def test_a_damaged_live_version_can_be_replaced_by_force(store: Path, spoil: Any) -> None:
    """In an incident the next version is the way out, and rollback only goes back."""
    shelf = Shelf(store.as_uri())
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=ONNX)
    next_version(store, "iris", "2")
    spoil(store / "iris/1.0.0/manifest.json")
    with pytest.raises(PublishingRefused, match=r"iris/2 cannot be compared with what is live: .* iris/1"):
        promote(shelf, "2")
    moved = promote(shelf, "2", force=True)
    assert (moved.origin, moved.to, len(moved.forced)) == ("1.0.0", "2", 1)
    assert live(shelf) == "2"


def test_without_its_twin_a_version_is_a_breaking_change(store: Path) -> None:
    shelf = Shelf(store.as_uri())
    next_version(store, "iris", "2", engine="joblib")
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"))
    with pytest.raises(PublishingRefused, match="it cannot run on onnx, which the live version runs on"):
        promote(shelf, "2", policy=Policy())


def test_every_engine_that_is_trusted_is_asked(store: Path) -> None:
    shelf = Shelf(store.as_uri())
    assert rollout.verify(shelf, "iris", "1.0.0", Policy()).engines == ("onnx", "joblib")


def test_of_movers_at_the_same_time_one_wins_and_the_others_are_told(store: Path, shelf: Shelf) -> None:
    versions(store, shelf, "2", "3", "4")
    start = Barrier(3)

    def attempt(version: str) -> str | LabelsMoved:
        reading = label_file.read(shelf, "iris")
        assert reading.labels.live is not None
        start.wait()
        try:
            # What promote does between its reading and its writing takes long enough for the others to have read.
            target = Target(version, digest(shelf.read(f"iris/{version}/manifest.json")))
            from model import moves  # noqa: PLC0415

            mover = Mover.now(version)
            moved = moves.move(reading.labels, "live", target, at=mover.at, by=mover.by)
            label_file.write(Shelf(shelf.url, shelf.endpoint), reading, moved)
            return version
        except LabelsMoved as error:
            return error

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(attempt, ("2", "3", "4")))
    winners = [result for result in results if isinstance(result, str)]
    losers = [str(result) for result in results if isinstance(result, LabelsMoved)]
    assert len(winners) == 1
    assert live(shelf) == winners[0]
    assert all(f"{winners[0]} moved live from 1.0.0 to {winners[0]}" in told for told in losers)
    assert len(label_file.read(shelf, "iris").labels.history) == 2


def test_a_label_moved_while_a_promotion_verifies_stops_it(store: Path, shelf: Shelf) -> None:
    versions(store, shelf, "2", "3")

    class Slow(Shelf):
        """Somebody else is faster: they promote 3 while this one reads golden rows."""

        def read(self, key: str) -> bytes:
            if key == "iris/2/golden.json" and live(shelf) != "3":
                promote(shelf, "3", by="dee")
            return super().read(key)

    with pytest.raises(LabelsMoved, match=r"dee moved live from 1\.0\.0 to 3 at .*Nothing was done"):
        promote(Slow(shelf.url, shelf.endpoint), "2")
    assert live(shelf) == "3"


CHILD = """
import sys
from pathlib import Path
from model import local_swap
path = Path(sys.argv[1])
done = 0
while done < 25:
    content = path.read_bytes() if path.exists() else None
    if local_swap.swap(path, content, str(int(content or b"0") + 1).encode()):
        done += 1
"""


def test_no_swap_of_a_file_is_lost_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "iris/labels.json"
    found = [subprocess.Popen([sys.executable, "-c", CHILD, str(path)], cwd=ROOT) for _ in range(4)]
    assert [process.wait(60) for process in found] == [0] * 4
    assert path.read_bytes() == b"100"


KILLED = """
import os, signal, sys
from pathlib import Path
from model import local_swap
local_swap._replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL if sys.argv[2] == "kill" else signal.SIGSTOP)
local_swap.swap(Path(sys.argv[1]), b"old", b"new")
"""


def test_a_mover_killed_between_lock_and_rename_locks_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), "kill"], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert local_swap.swap(path, b"old", b"next", wait=0.5)
    assert path.read_bytes() == b"next"


def test_a_mover_that_hangs_with_the_lock_is_waited_for_and_then_told_of(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(b"old")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), "stop"], cwd=ROOT)
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        before = time.monotonic()
        with pytest.raises(LabelsMoved, match="another process has been writing"):
            local_swap.swap(path, b"old", b"next", wait=0.2)
        assert time.monotonic() - before >= 0.2
    finally:
        process.kill()
        process.wait()
    assert path.read_bytes() == b"old"


def test_a_label_that_gives_another_digest_is_not_followed(store: Path, shelf: Shelf) -> None:
    versions(store, shelf, "2")
    promote(shelf, "2")
    found = label_file.read(shelf, "iris").labels
    assert labels.parse(labels.dump(found)) == found
    manifest = shelf.read("iris/2/manifest.json") + b"\n"
    Store(shelf.url, shelf.endpoint).write("iris/2/manifest.json", manifest)
    with pytest.raises(ArtifactError, match="is labelled with sha256:"):
        Registry(Store(shelf.url, shelf.endpoint), policy=ONNX).scorer("iris")
