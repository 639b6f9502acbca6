"""The object edge on moto's S3: events as AWS sends them, deliveries as they happen, a store that fails."""

import importlib
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import pytest

from handler import jobs, runtime
from handler.observe import Call
from handler.score_object import score_object
from handler.settings import Settings, SettingsError
from model.bulk.job import Job
from model.errors import AccessDenied, InputMissing, JobRefused, ModelError, OutOfTime, StoreUnavailable
from tests import faulty_s3
from tests.bulk_inputs import content, frame, read
from tests.conftest import BUCKET, ROOT, LogLines

KEY = "in/2026/söme rows+1.csv"
INPUTS, OUTPUTS = (f"s3://{BUCKET}/in/",), (f"s3://{BUCKET}/out/", "file:///tmp/")


def created(key: str, etag: str, version: str | None = None) -> dict[str, Any]:
    """EventBridge's event of S3, as the S3 user guide prints it."""
    found = {"key": key, "size": 5, "etag": etag, "sequencer": "617f08299329d189"}
    return {
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
        "source": "aws.s3", "account": "111122223333", "time": "2026-11-12T00:00:00Z", "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0", "bucket": {"name": BUCKET}, "object": found | ({"version-id": version} if version else {}),
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "reason": "PutObject",
        },
    }  # fmt: skip


def notification(key: str, etag: str) -> dict[str, Any]:
    """S3's own notification, whose key is encoded."""
    s3 = {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET}, "object": {"key": quote_plus(key, "/"), "eTag": etag}}
    return {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}


@dataclass
class Service:
    """The edge's own parts over moto, or over a proxy of it."""

    packed: Path

    def __call__(self, event: Any, seconds: float = 900.0, **env: str) -> list[dict[str, Any]]:
        values = {"MODEL_STORE": self.packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_BULK_INPUTS": ",".join(INPUTS)}
        import os  # noqa: PLC0415

        endpoint = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
        started = runtime.start(values | {"MODEL_BULK_OUTPUTS": ",".join(OUTPUTS)} | endpoint | env)
        call = Call("object", "1")
        found = jobs.from_object(event, started.settings.bulk_inputs, started.settings.bulk_outputs)
        return [score_object(job, started, call, lambda: seconds) for job in found]


@pytest.fixture
def service(packed: Path, s3: Any) -> Service:
    return Service(packed)


def put(s3: Any, key: str = KEY, rows: int = 500) -> str:
    etag: str = s3.put_object(Bucket=BUCKET, Key=key, Body=content(frame(rows), key))["ETag"]
    return etag.strip('"')


def listed(s3: Any, prefix: str = "out/") -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


@pytest.mark.parametrize("shape", [created, notification])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl.gz", ".parquet"])
def test_both_of_s3s_events_score_the_object(shape: Any, suffix: str, service: Service, s3: Any) -> None:
    key = KEY.replace(".csv", suffix)
    etag = put(s3, key)
    (answer,) = service(shape(key, etag))
    assert (answer["state"], answer["rows"], answer["errors"]) == ("committed", 500, 0)
    below = f"out/{key.removeprefix('in/')}/{etag}"
    assert answer["manifest"] == f"s3://{BUCKET}/{below}/_manifest.json"
    (part,) = [found for found in listed(s3) if "/part-" in found]
    assert answer["output"] == [f"s3://{BUCKET}/{part}"]
    found = read(s3.get_object(Bucket=BUCKET, Key=part)["Body"].read(), part)
    assert found["id"].tolist() == frame(500)["id"].tolist()
    assert set(found["label"]) <= {"setosa", "versicolor", "virginica"}
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{below}/_manifest.json")["Body"].read())
    assert manifest["input"]["etag"] == etag
    assert manifest["model"]["name"] == "iris"


def test_a_duplicate_is_answered_from_the_manifest(service: Service, s3: Any) -> None:
    event = created(KEY, put(s3))
    (first,), (second,) = service(event), service(event)
    assert (first["state"], second["state"]) == ("committed", "already-committed")
    assert second["digest"] == first["digest"]
    assert len(listed(s3)) == 2


def test_concurrent_deliveries_commit_once_and_leave_one_output(service: Service, s3: Any) -> None:
    event = created(KEY, put(s3, rows=4_000))
    with ThreadPoolExecutor(4) as pool:
        answers = [answer for (answer,) in pool.map(service, [event] * 4)]
    assert sorted(answer["state"] for answer in answers) == ["already-committed"] * 3 + ["committed"]
    assert len({answer["digest"] for answer in answers}) == 1
    assert len(listed(s3)) == 2


def test_a_late_event_of_an_overwritten_object_is_superseded(service: Service, s3: Any) -> None:
    old, new = put(s3, rows=10), put(s3, rows=20)
    assert service(created(KEY, old))[0]["state"] == "superseded"
    assert service(created(KEY, new))[0]["rows"] == 20


def test_in_a_versioned_bucket_each_event_scores_its_own_version(service: Service, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    puts = [s3.put_object(Bucket=BUCKET, Key=KEY, Body=content(frame(rows), KEY)) for rows in (10, 20)]
    events = [created(KEY, done["ETag"].strip('"'), done["VersionId"]) for done in puts]
    assert [service(event)[0]["rows"] for event in reversed(events)] == [20, 10]
    for found in s3.list_object_versions(Bucket=BUCKET)["Versions"]:
        s3.delete_object(Bucket=BUCKET, Key=found["Key"], VersionId=found["VersionId"])


def test_s3s_test_event_and_other_events(service: Service) -> None:
    assert service({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}) == []
    others: list[Any] = [{}, [], {"input": "s3://b/x.csv"}, {"input": 1, "output": "s3://b/x"}]
    for event in others:
        with pytest.raises(JobRefused):
            service(event)


def test_only_allowed_prefixes_are_read_and_written(service: Service, s3: Any) -> None:
    key = KEY.replace("in/", "secret/")
    with pytest.raises(JobRefused, match="not below"):
        service(created(key, put(s3, key)))
    with pytest.raises(JobRefused, match="output"):
        service({"input": f"s3://{BUCKET}/{KEY}", "output": f"s3://{BUCKET}/prefix/x"})
    assert not listed(s3)


def test_an_object_that_does_not_fit_is_handed_over_or_told(
    service: Service, s3: Any, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.bulk.progress._SETTLED", 0.0)
    event = created(KEY, put(s3, rows=150_000))
    with pytest.raises(OutOfTime):
        service(event, seconds=9.0)
    assert not listed(s3)
    env = {"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_BULK_INPUTS": INPUTS[0]}
    env |= {"MODEL_BULK_OUTPUTS": OUTPUTS[0], "AWS_ENDPOINT_URL": s3.meta.endpoint_url}
    (job,) = jobs.from_object(event, INPUTS, OUTPUTS)
    taken: list[Job] = []

    def hand_over(given: Job) -> dict[str, Any]:
        taken.append(given)
        return {"execution": "arn"}

    answer = score_object(job, runtime.start(env), Call("object", "1"), lambda: 9.0, hand_over)
    assert (answer["state"], answer["execution"], taken) == ("handed-over", "arn", [job])


def test_a_store_that_throttles_now_and_then_costs_time_only(service: Service, s3: Any) -> None:
    event, count = created(KEY, put(s3)), iter(range(1_000))
    with faulty_s3.faulty(
        s3.meta.endpoint_url, lambda *_: (503, "SlowDown") if next(count) % 3 == 0 else None
    ) as address:
        assert service(event, AWS_ENDPOINT_URL=address)[0]["state"] == "committed"


@pytest.mark.parametrize(
    ("method", "fault", "error"),
    [
        ("GET", (503, "SlowDown"), StoreUnavailable),
        ("PUT", (503, "SlowDown"), StoreUnavailable),
        ("GET", (403, "AccessDenied"), AccessDenied),
        ("PUT", (403, "AccessDenied"), AccessDenied),
        ("GET", (404, "NoSuchKey"), InputMissing),
    ],
)
def test_what_a_failing_store_means(
    method: str, fault: tuple[int, str], error: type[Exception], service: Service, s3: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("model.bulk.objects._RETRIES", 1)
    put(s3)
    event = {"input": f"s3://{BUCKET}/{KEY}", "output": f"s3://{BUCKET}/out/x"}

    def fail(command: str, path: str) -> tuple[int, str] | None:
        return fault if command.replace("HEAD", "GET") == method and "list-type" not in path else None

    with faulty_s3.faulty(s3.meta.endpoint_url, fail) as address, pytest.raises(error):
        service(event, AWS_ENDPOINT_URL=address)
    assert not [key for key in listed(s3) if key.endswith("_manifest.json")]


@pytest.mark.parametrize(
    ("what", "fault", "times", "states"),
    [
        ("PUT .*_manifest", "lost", 1, ["committed", "already-committed"]),
        ("PUT .*_manifest", "lost", 9, ["committed", "already-committed"]),
        ("(PUT|GET) .*_manifest", "lost", 99, ["StoreUnavailable", "already-committed"]),
        ("PUT .*_manifest", (503, "SlowDown"), 99, ["StoreUnavailable", "committed"]),
        ("PUT .*_manifest", (409, "ConditionalRequestConflict"), 1, ["StoreUnavailable", "committed"]),
        ("POST .*delete", (503, "SlowDown"), 99, ["StoreUnavailable", "already-committed"]),
        ("GET .*list-type", (403, "AccessDenied"), 1, ["AccessDenied", "already-committed"]),
    ],
)
def test_a_fault_while_it_commits_never_takes_the_rows_of_a_manifest(
    what: str, fault: Any, times: int, states: list[str], service: Service, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was heard of the commit: once a manifest is there, so are its parts, and the next delivery says so."""
    monkeypatch.setattr("model.bulk.objects._RETRIES", 1)
    event = created(KEY, put(s3))
    left, begun = [times], []

    def fail(method: str, path: str) -> Any:
        begun.extend([True] if method == "PUT" and "_manifest" in path else [])
        strikes = bool(begun) and left[0] > 0 and re.match(what, f"{method} {path}") is not None
        left[0] -= strikes
        return fault if strikes else None

    s3.put_object(Bucket=BUCKET, Key=listed_folder(event) + "attempt-killed/part-00000.csv", Body=b"left")
    found = []
    with faulty_s3.faulty(s3.meta.endpoint_url, fail) as address:
        try:
            found += service(event, AWS_ENDPOINT_URL=address)
        except ModelError as error:
            found.append({"state": type(error).__name__})
    (again,) = service(event)
    assert [found[0]["state"], again["state"]] == states
    rows = read(body(s3, again["output"][0]), KEY)
    assert len(rows) == again["rows"] == 500
    if states[0] == "committed" or states[1] == "committed":
        assert len(listed(s3)) == 2  # the manifest and its part: what the killed attempt had left is gone


def listed_folder(event: Any) -> str:
    found = event["detail"]["object"]
    return f"out/{found['key'].removeprefix('in/')}/{found['etag']}/"


def body(s3: Any, url: str) -> bytes:
    content: bytes = s3.get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
    return content


def test_the_edge_answers_a_job_and_writes_its_line(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines
) -> None:
    (tmp_path / "rows.csv").write_bytes(content(frame(30), "rows.csv"))
    monkeypatch.setenv("MODEL_STORE", packed.as_uri())
    monkeypatch.setenv("MODEL_DEFAULT", "iris")
    monkeypatch.setenv("MODEL_BULK_INPUTS", f"{tmp_path.as_uri()}/")
    monkeypatch.delitem(sys.modules, "handler.on_object", raising=False)
    on_object = importlib.import_module("handler.on_object")  # anew: it reads the environment when it is imported
    context = SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 900_000)
    event = {"input": f"{tmp_path.as_uri()}/rows.csv", "output": "file:///tmp/pytest-object"}
    (answer,) = on_object.handler(event, context)["objects"]
    assert answer["rows"] == 30
    with pytest.raises(JobRefused):
        on_object.handler({"input": "file:///etc/passwd.csv", "output": "file:///tmp/x"}, context)
    first, second = [line for line in log_lines() if line["message"] == "request"]
    assert (first["entry"], first["Predictions"], first["error"]) == ("object", 30, None)
    assert second["error"] == "JobRefused"


def test_progress_is_in_lines_and_metrics_that_add_up(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines
) -> None:
    data = frame(60_000).astype({"petal_width": object})  # more than one chunk
    data.loc[[7, 59_000], "petal_width"] = "wide"
    (tmp_path / "rows.csv").write_bytes(content(data, "rows.csv"))
    env = {"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_BULK_INPUTS": f"{tmp_path.as_uri()}/"}
    started = runtime.start(env | {"MODEL_BULK_OUTPUTS": "file:///tmp/"})
    call = Call("object", "1")
    monkeypatch.setattr("handler.progress_lines.LINE_SECONDS", 0.0)
    job = Job((tmp_path / "rows.csv").as_uri(), f"file:///tmp/pytest-progress-{tmp_path.name}")
    answer = score_object(job, started, call, lambda: 900.0)
    started.observer.finish(call)
    lines = log_lines()
    told, (request,) = ([line for line in lines if line["message"] == kind] for kind in ("scoring", "request"))
    assert len(told) > 1
    assert [line["share"] for line in told] == sorted(line["share"] for line in told)
    assert (told[-1]["share"], told[-1]["rows"], told[-1]["bad_rows"]) == (1.0, answer["rows"], 2)
    for line in (*told, request):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert {"ObjectRows", "ObjectBadRows"} <= {metric["Name"] for metric in directive["Metrics"]}
        assert all(name in line for dimensions in directive["Dimensions"] for name in dimensions)
    for name, total in (("ObjectRows", 59_998), ("ObjectBadRows", 2)):
        assert sum(line[name] for line in (*told, request)) == total


@pytest.mark.parametrize("shape", [created, notification])
def test_a_folder_made_in_the_console_is_nothing_to_score(shape: Any, service: Service, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="in/2026/", Body=b"")
    event = shape("in/2026/", "d41d8cd98f00b204e9800998ecf8427e")
    told = event["Records"][0]["s3"] if "Records" in event else event["detail"]
    told["object"]["size"] = 0
    assert service(event) == []
    told["object"]["size"] = 7  # somebody's data under a strange name is not passed over in silence
    with pytest.raises(JobRefused):
        service(event)


@pytest.mark.parametrize("key", ["in/a//rows.csv", "in/./rows.csv", "in/rows.csv/", "in/a\trows.csv", "in/../rows.csv"])
def test_a_key_that_cannot_be_read_is_refused_by_name(key: str, service: Service, s3: Any) -> None:
    """It may exist in S3, so silence would lose it: "rows.csv/" would have been taken for "rows.csv"."""
    with pytest.raises(JobRefused, match="without //"):
        service(created(key, "617f08299329d189"))


@pytest.mark.parametrize(
    "key", ["in/a%20b%2F.csv", "in/a#b?c.csv", "in/a*b~[1]{2}.csv", "in/ü&=<>'\".csv", "in/a:b|c^`.csv"]
)
def test_a_key_of_any_other_characters_is_scored(key: str, service: Service, s3: Any) -> None:
    assert service(created(key, put(s3, key, 5)))[0]["rows"] == 5


def test_settings_refuse_prefixes_that_loop_or_are_none() -> None:
    for inputs, outputs in (("s3://b/in/", "s3://b/in/out/"), ("s3://b/", "s3://b/out/"), ("b/in", "s3://b/out/")):
        with pytest.raises(SettingsError, match="MODEL_BULK_"):
            Settings.from_env({"MODEL_BULK_INPUTS": inputs, "MODEL_BULK_OUTPUTS": outputs})


def test_twenty_kills_leave_every_row_once(packed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.crash", str(packed), str(tmp_path / "crash"), "--kills", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout)
    assert figures["kills"] == 20
    assert figures["ended_before"] < 10, "most kills came too late to hit anything"
