"""The state machine's three steps without it, on file:// and moto's S3: one outcome, however they are called."""

import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from model.bulk import partial, steps
from model.bulk.commit import Outcome
from model.bulk.job import Job
from model.bulk.ledger import SILENT, Ledger, reason
from model.bulk.objects import Objects
from model.bulk.part import score_part
from model.bulk.plan import Plan, Range
from model.bulk.run import run
from model.errors import InputMissing, JobRefused, TooManyFailed
from model.scorer import Scorer
from tests import bulk_inputs
from tests.bulk_inputs import content, errors, frame, read
from tests.conftest import BUCKET, ROOT

ROWS = 3_000
PART = {"rows.csv": 20_000, "rows.jsonl": 60_000, "rows.parquet": 20_000}


@pytest.fixture(scope="module")
def iris(packed: Path) -> Scorer:
    return bulk_inputs.scorer(packed)


@dataclass
class Place:
    """Where a test's objects are."""

    root: str
    objects: Objects

    def put(self, name: str, body: bytes) -> Job:
        writer = self.objects.writer(f"{self.root}/in/{name}")
        writer.write(body)
        writer.close()
        return Job(f"{self.root}/in/{name}", f"{self.root}/out/{name}")

    def listed(self) -> list[str]:
        return sorted(self.objects.list(f"{self.root}/out"))


@pytest.fixture(params=["file", "s3"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "file":
        return Place(tmp_path.as_uri(), Objects())
    request.getfixturevalue("s3")
    return Place(f"s3://{BUCKET}", Objects(request.getfixturevalue("s3_endpoint")))


@dataclass
class Run:
    """A run whose steps a test calls as it likes."""

    place: Place
    job: Job
    scorer: Scorer
    attempt: str = "run-1"

    def begin(self) -> tuple[Ledger, Plan]:
        size = PART[self.job.input.rpartition("/")[2]]
        found = steps.begin(self.place.objects, self.job, self.scorer, self.attempt, size)
        assert not isinstance(found, Outcome)
        return found

    def score(self, ledger: Ledger, *indexes: int) -> None:
        made = ledger.plan(whole=True)
        for piece in made.ranges:
            if piece.index in indexes or not indexes:
                steps.score(ledger, ledger.plan(), piece, self.scorer)

    def fail(self, ledger: Ledger, index: int, error: str = "AccessDenied", cause: str | None = None) -> None:
        """As the state machine writes it."""
        told = cause if cause is not None else json.dumps({"errorMessage": "denied", "stackTrace": ["secret"]})
        ledger._put(f"ledger/{index}.failed.json", json.dumps({"Error": error, "Cause": told}).encode())

    def finish(self, ledger: Ledger, tolerated: float = 0.0) -> Outcome:
        return steps.finish(ledger, lambda _: self.scorer, tolerated, datetime.now(UTC))

    def rows(self, outcome: Outcome) -> pd.DataFrame:
        assert outcome.result is not None
        objects = self.place.objects
        return pd.concat([read(objects.get(p.url), p.url) for p in outcome.result.parts], ignore_index=True)


Begin = Callable[..., Run]


@pytest.fixture
def begin(there: Place, iris: Scorer) -> Begin:
    def make(name: str = "rows.csv", data: pd.DataFrame | None = None) -> Run:
        return Run(there, there.put(name, content(frame(ROWS) if data is None else data, name)), iris)

    return make


def others(ledger: Ledger, *missing: int) -> list[int]:
    return [piece.index for piece in ledger.plan(whole=True).ranges if piece.index not in missing]


@pytest.mark.parametrize("name", PART)
def test_a_real_file_goes_through_the_three_steps(name: str, begin: Begin) -> None:
    case = begin(name)
    ledger, made = case.begin()
    assert len(made.ranges) >= 5
    assert ledger.plan().ranges == ()
    assert ledger.plan(whole=True) == made
    with ThreadPoolExecutor(4) as pool:  # children beside each other, and each of them twice
        list(pool.map(lambda i: case.score(ledger, i), [*reversed(range(len(made.ranges))), *range(len(made.ranges))]))
    outcome = case.finish(ledger)
    assert (outcome.state, outcome.result and outcome.result.rows) == ("committed", ROWS)
    one = run(case.place.objects, replace(case.job, output=case.job.output + "-one"), case.scorer)
    pd.testing.assert_frame_equal(case.rows(outcome), case.rows(one))
    assert outcome.result is not None
    assert outcome.result.failed == ()
    assert {outcome.manifest, *(part.url for part in outcome.result.parts)} <= set(case.place.listed())
    assert not [url for url in case.place.listed() if url.endswith((".json",)) and "_manifest" not in url]


def test_planning_again_is_the_same_plan_and_after_the_commit_its_answer(begin: Begin) -> None:
    case = begin()
    ledger, made = case.begin()
    case.score(ledger, 0)
    assert case.begin()[1] == made
    case.score(ledger, *others(ledger, 0))
    done = case.finish(ledger)
    again = steps.begin(case.place.objects, case.job, case.scorer, "run-2", 20_000)
    assert isinstance(again, Outcome)
    assert (again.state, again.result) == ("already-committed", done.result)
    late = steps.begin(case.place.objects, replace(case.job, etag="another"), case.scorer, "run-3", 20_000)
    assert late == Outcome("superseded")


def test_closing_twice_leaves_the_output_of_the_first(begin: Begin) -> None:
    case = begin()
    ledger, _ = case.begin()
    case.score(ledger)
    first = case.finish(ledger)
    before = case.place.listed()
    second = case.finish(ledger)
    assert (first.state, second.state) == ("committed", "already-committed")
    assert second.result == first.result
    assert case.place.listed() == before
    assert len(case.rows(second)) == ROWS


def test_closing_twice_at_once_leaves_the_output_too(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that its caller gave up on goes on: both have read the ledger when the first one commits."""
    case = begin()
    ledger, _ = case.begin()
    case.score(ledger)
    real, answers = partial.settle, list[Outcome]()

    def settled(*arguments: Any) -> Outcome:
        if not answers:
            answers.append(real(*arguments))
        return real(*arguments)

    monkeypatch.setattr(steps, "settle", settled)
    second = case.finish(ledger)
    assert (answers[0].state, second.state) == ("committed", "already-committed")
    assert len(case.rows(second)) == ROWS


def test_a_part_retried_after_a_crash_is_the_same_part(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    case = begin()
    ledger, made = case.begin()
    written = score_part(case.place.objects, made, made.ranges[1], case.scorer, case.attempt)  # then it is killed
    assert ledger.entries()[0] == {}
    case.score(ledger)
    assert ledger.entries()[0][1] == written
    outcome = case.finish(ledger)
    assert outcome.result is not None
    assert outcome.result.rows == ROWS


def test_a_range_without_an_entry_is_no_part_of_a_whole(begin: Begin) -> None:
    case = begin()
    ledger, made = case.begin()
    case.score(ledger, *others(ledger, 1, 3))
    case.fail(ledger, 3)
    with pytest.raises(TooManyFailed, match=f"2 of {len(made.ranges)} ranges failed, 10 % may; range 1: no answer"):
        case.finish(ledger, tolerated=10)
    assert not [url for url in case.place.listed() if "/_" in url]
    case.score(ledger, 1, 3)  # driven again: what was done is still there, and what failed is done now
    outcome = case.finish(ledger)
    assert (outcome.state, outcome.result and outcome.result.rows) == ("committed", ROWS)


@pytest.mark.parametrize("name", PART)
def test_a_tolerated_failure_is_listed_and_looks_like_nothing_whole(name: str, begin: Begin) -> None:
    data = frame(ROWS)
    if name != "rows.parquet":
        data = data.astype({"petal_width": object})
        data.loc[ROWS - 5, "petal_width"] = "wide"
    else:
        data.loc[ROWS - 5, "petal_width"] = None
    case = begin(name, data)
    ledger, made = case.begin()
    case.score(ledger, *others(ledger, 0, 2))
    case.fail(ledger, 2)
    outcome = case.finish(ledger, tolerated=50)
    result = outcome.result
    assert result is not None
    assert (outcome.state, outcome.manifest) == ("partial", f"{made.folder}/_partial.json")
    gaps = [made.ranges[i] for i in (0, 2)]
    assert [(gap.index, gap.start, gap.end) for gap in result.failed] == [(g.index, g.start, g.end) for g in gaps]
    assert [gap.reason for gap in result.failed] == [SILENT, "AccessDenied: denied"]
    assert [part.index for part in result.parts] == others_of(made, 0, 2)
    assert f"{made.folder}/_manifest.json" not in case.place.listed()
    assert set(case.place.listed()) == {outcome.manifest, result.errors_url, *(part.url for part in result.parts)}
    # The number of a bad row counts the lines that are missing.
    header = 1 if name == "rows.csv" else 0
    assert result.errors_url is not None
    found = errors(case.place.objects.get(result.errors_url))
    assert [line for line, _, _ in found] == [header + ROWS - 4]
    assert case.finish(ledger, tolerated=50).result == result
    # Scored again and whole, it is committed, and nothing partial is left.
    again = replace_attempt(case, "run-2")
    ledger, _ = again.begin()
    again.score(ledger)
    whole = again.finish(ledger)
    assert (whole.state, whole.result and whole.result.rows) == ("committed", ROWS - 1)
    assert not [url for url in again.place.listed() if "run-1" in url or "/_partial" in url]


def test_errors_of_ranges_are_put_together_in_bounded_memory(tmp_path: Path, iris: Scorer) -> None:
    """Where each row is bad in each field, the error files are many times the object."""
    data = frame(ROWS).astype({"petal_width": object})
    data.loc[ROWS - 5, "petal_width"] = "wide"
    place = Place(tmp_path.as_uri(), Objects())  # moto would hold it in this process
    case = Run(place, place.put("rows.csv", content(data, "rows.csv")), iris)
    ledger, made = case.begin()
    case.score(ledger)
    last = ledger.entries()[0][made.ranges[-1].index]
    assert last.errors_url is not None
    many = 300_000
    writer = case.place.objects.writer(last.errors_url)
    writer.write(case.place.objects.get(last.errors_url) * many)
    writer.close()
    tracemalloc.start()
    outcome = case.finish(ledger)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.result is not None
    assert outcome.result.errors_url is not None
    found = case.place.objects.get(outcome.result.errors_url)
    assert (found.count(b"\n"), len(found) > 20_000_000, peak < 60_000_000) == (many, True, True), peak
    assert set(found.splitlines()) == {found[: found.index(b"\n")]}
    assert json.loads(found[: found.index(b"\n")])["line"] == ROWS - 3


def others_of(made: Plan, *missing: int) -> list[int]:
    return [piece.index for piece in made.ranges if piece.index not in missing]


def replace_attempt(case: Run, attempt: str) -> Run:
    return replace(case, attempt=attempt)


def test_a_second_partial_run_removes_its_own_and_answers_with_the_first(begin: Begin) -> None:
    case, other = begin(), None
    other = replace_attempt(case, "run-2")
    outcomes = []
    for each, missing in ((case, 1), (other, 2)):
        ledger, _ = each.begin()
        each.score(ledger, *others(ledger, missing))
        outcomes.append(each.finish(ledger, tolerated=50))
    assert outcomes[0] == outcomes[1]
    assert not [url for url in case.place.listed() if "run-2" in url]


def test_a_partial_run_that_ends_after_a_whole_one_gives_way(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    case = begin()
    other = replace_attempt(case, "run-2")
    ledger, _ = case.begin()
    case.score(ledger, *others(ledger, 1))
    real = partial.settle

    def settled(*arguments: Any) -> Outcome:
        monkeypatch.setattr(steps, "settle", real)
        mine, _ = other.begin()  # the other one begins, scores and commits in between
        other.score(mine)
        kept = case.place.objects.get(ledger.url + "/ledger/0.done.json")
        assert other.finish(mine).state == "committed"
        assert kept
        return real(*arguments)

    monkeypatch.setattr(steps, "settle", settled)
    outcome = case.finish(ledger, tolerated=50)
    assert outcome.state == "already-committed"
    assert len(case.rows(outcome)) == ROWS
    assert not [url for url in case.place.listed() if "run-1" in url or "/_partial" in url]


def test_the_loser_of_two_whole_runs_removes_its_own(begin: Begin) -> None:
    case = begin()
    other = replace_attempt(case, "run-2")
    (one, _), (two, _) = case.begin(), other.begin()
    case.score(one)
    other.score(two)
    first = case.finish(one)
    assert first.state == "committed"
    assert case.finish(two).result == first.result  # its ledger is swept; the winner's manifest answers
    assert not [url for url in case.place.listed() if "run-2" in url]
    assert len(case.rows(first)) == ROWS


def test_nothing_scored_is_never_tolerated(begin: Begin) -> None:
    case = begin()
    ledger, _ = case.begin()
    with pytest.raises(TooManyFailed):
        case.finish(ledger, tolerated=100)


def test_a_run_that_never_began_is_missing_and_a_name_that_climbs_is_refused(begin: Begin, there: Place) -> None:
    case = begin()
    with pytest.raises(InputMissing):
        case.finish(Ledger(there.objects, f"{there.root}/out/rows.csv/version/none"))
    for attempt in ("../x", "", "a/b", "x" * 81):
        with pytest.raises(JobRefused):
            replace_attempt(case, attempt).begin()


def test_a_plan_is_read_below_its_own_folder_only(begin: Begin, there: Place) -> None:
    case = begin()
    ledger, _ = case.begin()
    elsewhere = Ledger(there.objects, f"{there.root}/out/elsewhere/run-1")
    elsewhere._put("plan.json", there.objects.get(f"{ledger.url}/plan.json"))
    with pytest.raises(JobRefused):
        elsewhere.plan()


@pytest.mark.parametrize(
    ("caught", "told"),
    [
        ({"Error": "OutOfTime", "Cause": '{"errorMessage": "9 s", "stackTrace": ["x"]}'}, "OutOfTime: 9 s"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout"),
        ({"Error": "Lambda.Unknown", "Cause": "No cause was found\nx"}, "Lambda.Unknown: No cause was found"),
        ('{"Error": "States.Timeout", "Cause": ""}', "States.Timeout"),
        ({}, SILENT),
        ([], SILENT),
    ],
)  # fmt: skip
def test_the_reason_is_name_and_message_without_a_trace(caught: Any, told: str) -> None:
    assert reason(json.dumps(caught).encode()) == told
    assert reason(b"none") == SILENT


def test_ranges_cover_the_input_without_a_gap(begin: Begin) -> None:
    case = begin()
    _, made = case.begin()
    assert all(a.end == b.start for a, b in zip(made.ranges, made.ranges[1:], strict=False))
    assert made.ranges[0] == Range(0, len(made.header), made.ranges[0].end)
    assert made.ranges[-1].end == made.input.size


def test_the_function_takes_the_steps_one_after_the_other(packed: Path, tmp_path: Path) -> None:
    """The edge in a process of its own, with what it answers passed on as the definition does."""
    body = content(frame(ROWS), "rows.csv")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.csv").write_bytes(body)
    begun = {"step": "plan", "attempt": "run-1", "part_bytes": 20_000, "tolerated": 0, "concurrency": 4}
    begun |= {"job": {"input": f"{tmp_path.as_uri()}/in/rows.csv", "output": f"{tmp_path.as_uri()}/out/rows.csv"}}
    code = f"""
import json, types
from handler.on_map import handler
context = types.SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 900_000)
made = handler({json.dumps(begun)}, context)
from pathlib import Path
for piece in json.loads(Path("/" + made["ranges"]).read_text()):
    handler({{"step": "score", "run": made["run"], "range": piece}}, context)
done = handler({{"step": "commit", "run": made["run"], "started": "2026-11-21T00:00:00Z", "tolerated": 0}}, context)
wrong = [{{}}, {{"step": "score", "run": "file:///etc/passwd/x", "range": {{"index": 0, "start": 0, "end": 1}}}}]
for event in wrong + [{{"step": "score", "run": made["run"] + "/..", "range": {{"index": 0, "start": 0, "end": 1}}}}]:
    try:
        handler(event, context)
    except Exception as error:
        assert type(error).__name__ == "JobRefused", error
    else:
        raise AssertionError(event)
print(json.dumps(done))
"""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"}
    env |= {"MODEL_BULK_INPUTS": f"{tmp_path.as_uri()}/in/", "MODEL_BULK_OUTPUTS": f"{tmp_path.as_uri()}/out/"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *lines, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert (last["state"], last["rows"], last["failed"]) == ("committed", ROWS, 0)
    calls = [line for line in lines if line.get("entry") == "map"]
    assert sum(line["Predictions"] for line in calls) == ROWS
    assert [line["error"] for line in calls[-3:]] == ["JobRefused"] * 3
