"""Objects of rows on file://: every format, bad rows, ranges, and the outcomes of repeated and broken attempts."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from model.bulk.commit import Outcome, commit
from model.bulk.job import Job, format_of, loops, permit, place
from model.bulk.objects import Objects
from model.bulk.part import score_part
from model.bulk.plan import Plan, plan
from model.bulk.progress import Deadline, Progress
from model.bulk.run import columns, run
from model.errors import InputChanged, InputMalformed, InputMissing, JobRefused, OutOfTime
from model.scorer import Scorer
from tests import bulk_inputs
from tests.bulk_inputs import FORMATS, NAMES, content, errors, frame, read
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def iris(packed: Path) -> Scorer:
    return bulk_inputs.scorer(packed)


@pytest.fixture(scope="module")
def babies(packed: Path) -> Scorer:
    return bulk_inputs.scorer(packed, "babies")


def job(folder: Path, name: str, body: bytes | str) -> Job:
    (folder / name).write_bytes(body if isinstance(body, bytes) else body.encode())
    return Job((folder / name).as_uri(), (folder / "out" / name).as_uri())


def answer(outcome: Outcome) -> pd.DataFrame:
    assert outcome.result is not None
    return pd.concat([read(path(part.url).read_bytes(), part.url) for part in outcome.result.parts], ignore_index=True)


def path(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def bad_rows(outcome: Outcome) -> list[tuple[int, str | None, str]]:
    assert outcome.result is not None
    return errors(path(outcome.result.errors_url).read_bytes()) if outcome.result.errors_url else []


def visible(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", FORMATS)
def test_every_row_gets_its_answer_in_the_same_format_and_order(name: str, tmp_path: Path, iris: Scorer) -> None:
    data = frame(9_000)
    outcome = run(Objects(), job(tmp_path, name, content(data, name)), iris)
    result = outcome.result
    assert outcome.state == "committed"
    assert result is not None
    assert (result.rows, result.errors, result.errors_url) == (9_000, 0, None)
    found = answer(outcome)
    assert list(found.columns) == [*data.columns, *result.columns]
    assert result.columns[:2] == ("prediction", "label")
    pd.testing.assert_frame_equal(found[list(data.columns)], data)
    expected = iris.score([tuple(row) for row in data[list(NAMES)].to_numpy().tolist()])
    assert found["prediction"].tolist() == expected.values
    assert found["label"].tolist() == expected.labels
    assert expected.probabilities is not None
    for label in ("setosa", "versicolor", "virginica"):
        assert found[f"probability_{label}"].tolist() == [row[label] for row in expected.probabilities]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_ranges_scored_apart_are_the_same_rows_as_one(name: str, tmp_path: Path, iris: Scorer) -> None:
    objects, wanted = Objects(), job(tmp_path, name, content(frame(9_000), name))
    whole = answer(run(objects, wanted, iris))
    elsewhere = Job(wanted.input, (tmp_path / "apart").as_uri())
    made = plan(objects, elsewhere, objects.head(wanted.input), iris.manifest, 60_000)
    assert len(made.ranges) >= 3
    passed = msgspec.json.decode(msgspec.json.encode(made), type=Plan)  # as it reaches another function
    parts = [score_part(objects, passed, piece, iris, "run-1") for piece in reversed(passed.ranges)]
    again = score_part(objects, passed, passed.ranges[1], iris, "run-1")
    assert again in parts
    outcome = commit(objects, passed, parts, "run-1", columns(passed, iris), {})
    pd.testing.assert_frame_equal(answer(outcome), whole)


def test_bad_rows_of_csv_go_to_the_error_file_with_line_field_and_reason(tmp_path: Path, iris: Scorer) -> None:
    body = "id,sepal_length,sepal_width,petal_length,petal_width\n"
    body += 'a,1,2,3,4\nb,x,2,3,4\nc,1,2,3\n\nd,1,nan,3,4\n"e\n",1,2,3,4\nf,1e39,2,,4\ng, 1 ,2,3,4'
    outcome = run(Objects(), job(tmp_path, "rows.csv", body), iris)
    assert answer(outcome)["id"].tolist() == ["a", "e\n", "g"]
    assert bad_rows(outcome) == [
        (3, "sepal_length", "expected a number, got a string"),
        (4, None, "expected 5 cells, got 4"),
        (6, "sepal_width", "expected a finite number"),
        (9, "sepal_length", "expected a number within ±3.4e+38"),
        (9, "petal_length", "expected a number, got null"),
    ]


def test_bad_rows_of_json_lines(tmp_path: Path, iris: Scorer) -> None:
    good = dict(zip(NAMES, (1, 2, 3, 4), strict=True))
    rows: list[Any] = [good, good | {"petal_width": "4"}, [1, 2, 3, 4], {**good, "prediction": 1}, good | {"id": 7}]
    lines = [json.dumps(row) for row in rows]
    lines[2:2] = ["{broken", "", json.dumps({k: v for k, v in good.items() if k != "petal_width"})]
    body = "\n".join(lines).encode() + b'\n{"sepal_length": "\xff"}'
    outcome = run(Objects(), job(tmp_path, "rows.jsonl", body), iris)
    assert len(answer(outcome)) == 2
    found = bad_rows(outcome)
    assert [(line, field) for line, field, _ in found] == [
        (2, "petal_width"),
        (3, None),
        (5, "petal_width"),
        (6, None),
        (7, "prediction"),
        (9, None),
    ]
    assert found[0][2] == "expected a number, got a string"
    assert found[2][2] == "missing, expected a number"


def test_a_line_that_is_not_utf_8_is_a_bad_row_whatever_else_is_in_its_chunk(tmp_path: Path, iris: Scorer) -> None:
    """In a column that is carried through, too: the output would be no JSON, and another bad row raised what it met."""
    line = b'{"sepal_length":1,"sepal_width":2,"petal_length":3,"petal_width":4,"note":"%s"}\n'
    for others in (b"", b"{}\n"):
        wanted = job(tmp_path, "rows.jsonl", line % "é".encode() + line % b"\xff" + others)
        outcome = run(Objects(), wanted, iris)
        assert answer(outcome)["note"].tolist() == ["é"]
        assert bad_rows(outcome)[0] == (2, None, "expected UTF-8")


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path, iris: Scorer) -> None:
    line = b'{"sepal_length":1,"sepal_width":2,"petal_length":3,"petal_width":4}\n'
    outcome = run(Objects(), job(tmp_path, "rows.jsonl", b"\xef\xbb\xbf" + line + line), iris)
    assert len(answer(outcome)) == 2
    assert not bad_rows(outcome)


def test_bad_rows_of_parquet(tmp_path: Path, iris: Scorer) -> None:
    data = frame(30)
    data.loc[4, "sepal_width"] = None
    data.loc[20, "petal_width"] = float("inf")
    outcome = run(Objects(), job(tmp_path, "rows.parquet", content(data, "rows.parquet")), iris)
    assert [(line, field) for line, field, _ in bad_rows(outcome)] == [(5, "sepal_width"), (21, "petal_width")]
    assert answer(outcome)["id"].tolist() == data["id"].drop([4, 20]).tolist()


def test_error_lines_of_ranges_count_from_the_objects_first_line(tmp_path: Path, iris: Scorer) -> None:
    data = frame(3_000).astype({"petal_width": object})
    data.loc[2_500, "petal_width"] = "wide"
    data.loc[10, "petal_width"] = "wide"
    objects, wanted = Objects(), job(tmp_path, "rows.csv", content(data, "rows.csv"))
    made = plan(objects, wanted, objects.head(wanted.input), iris.manifest, 20_000)
    parts = [score_part(objects, made, piece, iris, "x") for piece in made.ranges]
    outcome = commit(objects, made, parts, "x", columns(made, iris), {})
    assert [line for line, _, _ in bad_rows(outcome)] == [12, 2_502]


def test_a_regressor_with_nulls_and_extra_columns_in_each_format(tmp_path: Path, babies: Scorer) -> None:
    data = pd.DataFrame({f.name: [f.example, f.example] for f in babies.manifest.features})
    for name in ("b.csv", "b.jsonl", "b.parquet"):
        outcome = run(Objects(), job(tmp_path, name, content(data, name)), babies)
        assert outcome.result is not None
        assert (outcome.result.rows, bad_rows(outcome)) == (2, [])
        row = tuple(f.example for f in babies.manifest.features)
        expected = babies.score([row]).values
        assert expected is not None
        assert answer(outcome)["prediction"].tolist() == pytest.approx([expected[0]] * 2)


def test_names_that_the_input_has_are_not_written_twice(tmp_path: Path, iris: Scorer) -> None:
    data = frame(3).assign(label="mine")
    for name in FORMATS:
        outcome = run(Objects(), job(tmp_path, name, content(data, name)), iris)
        found = answer(outcome)
        assert found["label"].tolist() == ["mine"] * 3
        assert outcome.result is not None
        assert {"model_prediction", "model_label", "model_probability_setosa"} < set(outcome.result.columns)
        assert list(found.columns)[-5:] == list(outcome.result.columns)
    with pytest.raises(InputMalformed, match="model_label"):
        run(Objects(), job(tmp_path, "rows.csv", content(data.assign(model_label=1), "rows.csv")), iris)


BROKEN = {
    "empty.csv": b"",
    "header.csv": b"sepal_length",
    "lacks.csv": b"sepal_length,sepal_width\n1,2\n",
    "quote.csv": b'sepal_length,sepal_width,petal_length,petal_width\n1,2,3,"4\n',
    "cut.csv.gz": gzip.compress(content(frame(5_000), "rows.csv"))[:-20_000],
    "damaged.csv.gz": gzip.compress(b"a,b\n1,2\n")[:12] + b"\xff" * 20,
    "none.parquet": b"PAR1 this is none",
    "cut.parquet": content(frame(100), "rows.parquet")[:-100],
    "lacks.parquet": content(frame(5).drop(columns="petal_width"), "x.parquet"),
    "text.parquet": content(frame(5).astype({"petal_width": str}), "x.parquet"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_object_that_is_not_what_its_name_says_is_refused_whole(name: str, tmp_path: Path, iris: Scorer) -> None:
    wanted = job(tmp_path, name, BROKEN[name])
    with pytest.raises(InputMalformed):
        run(Objects(), wanted, iris)
    assert not visible(tmp_path / "out")


def test_gzip_members_one_after_the_other_are_one_stream(tmp_path: Path, iris: Scorer) -> None:
    first, second = content(frame(3), "rows.csv").split(b"\n", 1)
    body = gzip.compress(first + b"\n") + gzip.compress(second)
    assert len(answer(run(Objects(), job(tmp_path, "rows.csv.gz", body), iris))) == 3


def test_a_line_break_between_quotes_is_one_record_and_is_never_cut(tmp_path: Path, iris: Scorer) -> None:
    data = frame(3_000).assign(remark="two\nlines")
    wanted = job(tmp_path, "rows.csv", content(data, "rows.csv"))
    objects = Objects()
    assert answer(run(objects, wanted, iris))["remark"].tolist() == ["two\nlines"] * 3_000
    made = plan(objects, wanted, objects.head(wanted.input), iris.manifest, 10_007)
    body = path(wanted.input).read_bytes()
    assert any(body[: piece.end].count(b'"') % 2 for piece in made.ranges), "no cut fell between quotes"
    with pytest.raises(InputMalformed, match="one range"):
        [score_part(objects, made, piece, iris, "x") for piece in made.ranges]


def test_the_same_event_twice_commits_once_and_is_answered_from_the_manifest(tmp_path: Path, iris: Scorer) -> None:
    wanted = job(tmp_path, "rows.csv", content(frame(50), "rows.csv"))
    first, second = run(Objects(), wanted, iris), run(Objects(), wanted, iris)
    assert (first.state, second.state) == ("committed", "already-committed")
    assert second.result == first.result
    assert len(visible(tmp_path / "out")) == 2


def test_a_new_version_is_an_output_of_its_own_and_a_late_event_is_superseded(tmp_path: Path, iris: Scorer) -> None:
    wanted = job(tmp_path, "rows.csv", content(frame(50), "rows.csv"))
    objects = Objects()
    old = objects.head(wanted.input).etag
    first = run(objects, wanted, iris)
    job(tmp_path, "rows.csv", content(frame(60), "rows.csv"))
    assert run(objects, Job(wanted.input, wanted.output, etag=old), iris).state == "superseded"
    second = run(objects, wanted, iris)
    assert second.state == "committed"
    assert second.manifest != first.manifest
    assert (len(answer(first)), len(answer(second))) == (50, 60)


def test_input_that_changes_or_goes_while_it_is_read_is_told_apart(tmp_path: Path, iris: Scorer) -> None:
    wanted, objects = job(tmp_path, "rows.csv", content(frame(50), "rows.csv")), Objects()
    made = plan(objects, wanted, objects.head(wanted.input), iris.manifest)
    job(tmp_path, "rows.csv", content(frame(60), "rows.csv"))
    with pytest.raises(InputChanged) as caught:
        score_part(objects, made, made.ranges[0], iris, "x")
    assert caught.value.retryable
    path(wanted.input).unlink()
    with pytest.raises(InputMissing):
        run(objects, wanted, iris)
    assert run(objects, Job(wanted.input, wanted.output, etag="gone"), iris).state == "superseded"


def test_a_loser_removes_its_own_and_answers_with_the_winners(tmp_path: Path, iris: Scorer) -> None:
    wanted, objects = job(tmp_path, "rows.csv", content(frame(50), "rows.csv")), Objects()
    made = plan(objects, wanted, objects.head(wanted.input), iris.manifest)
    one, two = (score_part(objects, made, made.ranges[0], iris, attempt) for attempt in ("one", "two"))
    assert one.digest == two.digest
    won = commit(objects, made, [one], "one", columns(made, iris), {})
    files = visible(tmp_path / "out")
    late = score_part(objects, made, made.ranges[0], iris, "three")
    lost = commit(objects, made, [late], "three", columns(made, iris), {})
    assert (won.state, lost.state) == ("committed", "already-committed")
    assert lost.result == won.result
    assert visible(tmp_path / "out") == files
    assert not [file for file in files if "/two/" in file]


def test_a_part_stops_as_soon_as_its_pace_says_that_it_will_not_fit(
    tmp_path: Path, iris: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.bulk.progress._SETTLED", 0.0)
    wanted = job(tmp_path, "rows.csv", content(frame(150_000), "rows.csv"))
    told: list[Progress] = []
    with pytest.raises(OutOfTime, match="in ranges"):
        run(Objects(), wanted, iris, progress=told.append, deadline=Deadline(lambda: 5.0))
    assert 0 < told[-1].done < told[-1].total
    assert not visible(tmp_path / "out")
    assert run(Objects(), wanted, iris, deadline=Deadline(lambda: 900.0)).state == "committed"


def test_rows_that_the_estimator_cannot_answer_are_bad_rows(tmp_path: Path, iris: Scorer) -> None:
    class Fussy:
        def predict(self, matrix: Any, outputs: Any) -> Any:
            if (matrix[:, 0] > 7).any():
                raise ValueError("too long")
            return iris.engine.predict(matrix, outputs)

    data = frame(40)
    data.loc[7, "sepal_length"] = 7.5
    data.loc[8:, "sepal_length"] = 1.0
    data.loc[:6, "sepal_length"] = 2.0
    outcome = run(Objects(), job(tmp_path, "rows.csv", content(data, "rows.csv")), Scorer(iris.manifest, Fussy()))
    assert bad_rows(outcome) == [(9, None, "the estimator cannot answer this row")]
    assert len(answer(outcome)) == 39


@pytest.mark.parametrize(
    ("inputs", "outputs", "loop"),
    [
        (["s3://b/in/"], ["s3://b/out/"], None),
        (["s3://b/in/"], ["s3://b/in/out/"], "s3://b/in/out/"),
        (["s3://b/in/"], ["s3://b/in/"], "s3://b/in/"),
        (["s3://b/in/"], ["s3://b/inner/"], None),
        (["s3://b/"], ["s3://b/out/"], "s3://b/out/"),
        (["s3://b/out/in/"], ["s3://b/out/"], None),
    ],
)
def test_output_inside_the_input_is_found(inputs: list[str], outputs: list[str], loop: str | None) -> None:
    assert loops(inputs, outputs) == loop


@pytest.mark.parametrize(
    "wanted",
    [
        Job("s3://b/in2/x.csv", "s3://b/out/x"),
        Job("s3://b/in/../secret/x.csv", "s3://b/out/x"),
        Job("s3://b/in/x.csv", "s3://other/out/x"),
        Job("file:///etc/passwd", "s3://b/out/x"),
        Job("https://b/in/x.csv", "s3://b/out/x"),
    ],
)
def test_a_job_names_only_prefixes_that_are_allowed(wanted: Job) -> None:
    with pytest.raises(JobRefused):
        permit(wanted, ["s3://b/in/"], ["s3://b/out/"])


def test_keys_say_their_format() -> None:
    assert format_of("a/b.CSV.gz") == ("csv", True)
    assert format_of("b.ndjson") == ("json-lines", False)
    assert place("s3://b/k é.csv").key == "k é.csv"
    for key in ("a.txt", "a", "a.parquet.gz"):
        with pytest.raises(JobRefused, match="expected"):
            format_of(key)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.csv.gz"])
def test_memory_does_not_grow_with_the_object(name: str, tmp_path: Path, packed: Path) -> None:
    """160 MB take little more than 32 MB do; had the object been held anywhere, it would be 128 MB more.

    Little: two blocks of 8 MB come in while one is worked on, four go out while one fills. By 32 MB, or on a machine at
    rest, they are not all there at once.
    """
    code = """
import sys
from pathlib import Path
from bench.bulk import peak_memory
from bench.crash import scorer
from model.bulk.job import Job
from model.bulk.objects import Objects
from model.bulk.run import run
result = run(Objects(), Job(sys.argv[2], sys.argv[3]), scorer(Path(sys.argv[1]))).result
print(result.rows, peak_memory())
"""
    peaks = []
    for times in (1, 5):
        block = content(frame(8_000).assign(remark="x" * 4_000), name.removesuffix(".gz"))
        head, _, rows = block.partition(b"\n") if ".csv" in name else (b"", b"", block)
        body = (head + b"\n" if head else b"") + rows * times
        wanted = job(tmp_path, name, gzip.compress(body, 1) if name.endswith(".gz") else body)
        command = [sys.executable, "-c", code, str(packed), wanted.input, (tmp_path / f"out{times}").as_uri()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-1000:]
        count, peak = map(int, done.stdout.split())
        assert count == 8_000 * times
        peaks.append(peak / 1e6)
    assert peaks[1] < peaks[0] + 80
    assert peaks[1] < 400


def test_the_command_line_scores_a_file_of_any_size_into_another(packed: Path, tmp_path: Path) -> None:
    data = frame(2_000).astype({"petal_width": object})
    data.loc[1, "petal_width"] = "wide"
    file, out = tmp_path / "big rows.csv", tmp_path / "scored.csv"
    file.write_bytes(content(data, "x.csv"))
    env = os.environ | {"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"}
    command = [sys.executable, "-m", "model", "score", str(file), "--out", str(out)]
    done = subprocess.run([*command, "--json"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["rows"], json.loads(done.stdout)["errors"]) == (1_999, 1)
    assert "100%" in done.stderr
    assert read(out.read_bytes(), "x.csv")["id"].tolist() == data["id"].drop(1).tolist()
    assert errors((tmp_path / "scored.csv_errors.jsonl").read_bytes())[0][:2] == (3, "petal_width")
    assert {path.name for path in tmp_path.iterdir()} == {"big rows.csv", "scored.csv", "scored.csv_errors.jsonl"}
    refused = [*command[:-1], str(tmp_path / "scored.parquet")]
    done = subprocess.run(refused, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "JobRefused" in done.stderr


def test_without_arrow_csv_gives_the_same_rows_and_parquet_is_refused(
    tmp_path: Path, iris: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = job(tmp_path, "rows.csv", content(frame(300), "rows.csv"))
    with_arrow = run(Objects(), wanted, iris).result
    monkeypatch.setattr("model.codec.csv_lines.HAS_ARROW", False)
    without = run(Objects(), Job(wanted.input, (tmp_path / "slow").as_uri()), iris).result
    assert with_arrow is not None
    assert without is not None
    assert with_arrow.digest == without.digest
    monkeypatch.setattr("model.bulk.plan.find_spec", lambda _: None)
    with pytest.raises(JobRefused, match="Parquet"):
        run(Objects(), job(tmp_path, "rows.parquet", content(frame(3), "rows.parquet")), iris)
