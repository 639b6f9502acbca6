"""A window of records from a folder and from S3: what is counted, what is joined, and what is damaged or too much."""

import gzip
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from model import window
from model.errors import ArtifactUnavailable, UnknownModel
from model.findings import Finding, Found
from model.lines import OneFile
from model.manifest import Manifest
from model.quality import Classes, Numbers, quality
from model.records import FeedbackRecord, PredictionRecord, encode
from model.reference import Reference
from model.registry import Registry
from model.shelf import Shelf
from model.store import Patience, Store
from model.window import look

END = datetime(2026, 11, 21, 12, tzinfo=UTC)
START = END - timedelta(hours=24)
Known = Callable[[str, str], tuple[Manifest, Reference | None]]


@pytest.fixture
def known(packed: Path) -> Known:
    registry = Registry(Store(packed.as_uri()))
    return lambda name, version: (registry.manifest(name, version), registry.reference(name, version))


def at(hours: float) -> str:
    """A moment so many hours before the window's end, as records have it."""
    return (END - timedelta(hours=hours)).isoformat(timespec="milliseconds")


def iris(identifier: str, hours: float = 1, answer: int = 1, **more: Any) -> PredictionRecord:
    shares = [[0.1, 0.1, 0.1]]
    shares[0][answer] = 0.8
    base: dict[str, Any] = {"bins": [[6, 2, 6, 2]], "answer_bins": [answer], "answers": [answer]}
    base |= {"probabilities": shares, "model": "iris", "version": "1.0.0", "rows": [0]}
    return PredictionRecord(**{"timestamp": at(hours), "service": "s", "id": identifier, **base, **more})


def baby(identifier: str, answer: float) -> PredictionRecord:
    more: dict[str, Any] = {
        "bins": [[2, 1, 5, 3, -1, 0]],
        "answer_bins": [3],
        "probabilities": None,
        "answers": [answer],
    }
    return iris(identifier, model="babies", **more)


def truth(identifier: str, actual: Any, row: int = 0, hours: float = 0.5) -> FeedbackRecord:
    return FeedbackRecord(at(hours), "s", identifier, actual, row)


def lay(shelf: Shelf, *records: Any, key: str = "2026/11/21/11/a.gz") -> None:
    text = b"".join(encode(record) + b"\n" for record in records)
    shelf.write(key, gzip.compress(text) if key.endswith(".gz") else text)


def only(found: Found) -> Finding:
    (finding,) = found.findings
    return finding


def test_records_of_a_window_are_counted_by_version(shelf: Shelf, known: Known) -> None:
    lay(shelf, *[iris(f"a-{i}") for i in range(3)], baby("b", 118.0))
    lay(shelf, iris("late", rows=[0, 4], bins=[[6, 2, 6, 2], [0, 0, 0, 0]]), key="2026/11/21/10/b.jsonl")
    babies, flowers = look(shelf, known, START, END).findings
    assert (babies.model, babies.rows, flowers.requests, flowers.rows) == ("babies", 1, 4, 5)
    assert flowers.counts[0] == {6: 4, 0: 1}
    assert flowers.drift is not None
    assert flowers.drift.small


def test_only_what_was_predicted_in_the_window_counts(shelf: Shelf, known: Known) -> None:
    lay(shelf, iris("old", hours=25), iris("first", hours=24), iris("end", hours=0), iris("no", timestamp="?"))
    assert only(look(shelf, known, START, END)).requests == 1
    assert look(shelf, known).findings[0].requests == 3


def test_objects_of_other_hours_are_not_even_read(shelf: Shelf, known: Known) -> None:
    for key in ("2026/11/19/11/a.gz", "2026/11/20/10/a.gz", "2026/11/21/13/a.gz", "2026/11/21/14/a.gz"):
        lay(shelf, iris("a"), key=key)
    lay(shelf, iris("a"), key="report.html")
    found = look(shelf, known, START, END)
    assert found.objects == 1  # an hour after the end: what came late
    assert look(shelf, known).objects == 4


def test_feedback_is_joined_by_id_and_row(shelf: Shelf, known: Known) -> None:
    lay(shelf, truth("a", "versicolor"), truth("b", 1), truth("c", 0, row=4), truth("nobody", 1), truth("a", 1, row=9))
    lay(shelf, iris("a"), iris("b", answer=2), key="2026/11/21/09/x.gz")
    two: dict[str, Any] = {"bins": [[6, 2, 6, 2]] * 2, "answers": [1, 0], "answer_bins": [1, 0]}
    lay(shelf, iris("c", rows=[0, 4], probabilities=[[0.1, 0.8, 0.1], [0.6, 0.2, 0.2]], **two), key="2026/11/21/10/x")
    found = look(shelf, known, START, END)
    finding = only(found)
    assert (finding.judged, found.unmatched) == (3, 2)
    assert finding.figures["Accuracy"] == pytest.approx(2 / 3)
    assert finding.figures["LogLoss"] == pytest.approx((0.2231 + 2.3026 + 0.5108) / 3, abs=1e-3)


def test_the_last_of_several_answers_counts_whatever_their_order_and_each_row_once(shelf: Shelf, known: Known) -> None:
    lay(shelf, truth("a", 2, hours=0.1), truth("a", 1, hours=0.5), iris("a"), iris("a", answer=2))
    finding = only(look(shelf, known, START, END))
    assert finding.judged == 1
    assert finding.figures["Accuracy"] == 0  # the first record of that id was compared, with 2


def test_what_is_no_class_of_the_model_is_counted_and_judges_nothing(shelf: Shelf, known: Known) -> None:
    lay(shelf, truth("a", "tulip"), truth("b", True), truth("x", "heavy"), iris("a"), iris("b"), baby("x", 118.0))
    found = look(shelf, known, START, END)
    assert found.unusable == 3
    assert [finding.judged for finding in found.findings] == [0, 0]


def test_numbers_are_judged_by_their_errors(shelf: Shelf, known: Known) -> None:
    lay(shelf, *[baby(f"b-{i}", 100.0 + i) for i in range(4)], *[truth(f"b-{i}", 102 + 2 * i) for i in range(4)])
    figures = only(look(shelf, known, START, END)).figures
    assert figures["MAE"] == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert figures["RMSE"] == pytest.approx((54 / 4) ** 0.5)
    assert figures["R2"] == pytest.approx(1 - 54 / 20)


def test_what_is_damaged_costs_itself_only(shelf: Shelf, known: Known) -> None:
    whole = gzip.compress(b"".join(encode(iris(f"a-{i}")) + b"\n" for i in range(5000)))
    shelf.write("2026/11/21/10/cut.gz", whole[: len(whole) // 2])
    shelf.write("2026/11/21/10/odd", b"garbage\n" + encode(iris("b"))[:-5] + b"\n" + encode(iris("c")) + b"\n")
    lay(shelf, iris("d", bins=[[1, 2]]), iris("e"))
    found = look(shelf, known, START, END)
    assert found.spoiled == ["2026/11/21/10/cut.gz"]
    assert found.unreadable == 3
    assert only(found).requests > 1000


def test_versions_that_are_gone_are_counted(shelf: Shelf, known: Known) -> None:
    lay(shelf, iris("a", version="0.9.0"), iris("b", model="nope"), iris("c"))
    assert look(shelf, known, START, END).unknown == 2


def test_a_version_without_a_reference_is_judged_all_the_same(shelf: Shelf, known: Known) -> None:
    lay(shelf, iris("a", bins=None, answer_bins=None), truth("a", 1))
    finding = only(look(shelf, lambda name, version: (known(name, version)[0], None), START, END))
    assert finding.drift is None
    assert finding.figures["Accuracy"] == 1
    assert "no reference" in finding.document()["reason"]


def test_feedback_beyond_what_is_held_is_counted_as_left_out(
    shelf: Shelf, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "FEEDBACK", 2)
    monkeypatch.setattr(window, "VERSIONS", 1)
    lay(shelf, *[truth(f"a-{i}", 1) for i in range(5)], *[iris(f"a-{i}") for i in range(5)], baby("b", 1.0))
    found = look(shelf, known, START, END)
    assert (found.left_out, only(found).judged, found.unknown) == (3, 2, 1)


def test_memory_does_not_grow_with_the_predictions(tmp_path: Path, known: Known) -> None:
    file = tmp_path / "log.gz"
    line = encode(iris("0123456789" * 10)) + b"\n"

    def peak(lines: int) -> int:
        with gzip.open(file, "wb", compresslevel=1) as writing:
            for _ in range(lines):
                writing.write(line)
        tracemalloc.start()
        assert only(look(OneFile(file), known)).requests == lines
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(40_000) < peak(4_000) + 1_000_000


def test_an_empty_window_says_nothing(shelf: Shelf, known: Known) -> None:
    shelf.write("x/y", b"")
    assert look(shelf, known, START, END).findings == []


def test_a_store_that_does_not_answer_is_an_error_that_may_heal(known: Known) -> None:
    quick = timedelta(milliseconds=200)
    with pytest.raises(ArtifactUnavailable):
        look(Store("s3://records/x", "http://127.0.0.1:9", Patience(quick, quick, 0, quick)), known, START, END)


def test_clusters_have_no_truth(packed: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415

    manifest = Registry(Store(packed.as_uri())).manifest("iris", "1.0.0")
    assert isinstance(quality(manifest), Classes)
    assert isinstance(quality(Registry(Store(packed.as_uri())).manifest("babies", "1.0.0")), Numbers)
    assert quality(replace(manifest, task="clustering")) is None


def test_calibration_is_how_sure_against_how_right(packed: Path) -> None:
    judge = quality(Registry(Store(packed.as_uri())).manifest("iris", "1.0.0"))
    assert judge is not None
    for right in (True, True, True, False):
        assert judge.add(0, 0 if right else 1, [0.95, 0.03, 0.02])
    assert judge.figures()["CalibrationError"] == pytest.approx(0.95 - 0.75)


def test_the_registry_says_what_it_does_not_know(known: Known) -> None:
    with pytest.raises(UnknownModel):
        known("iris", "9")
