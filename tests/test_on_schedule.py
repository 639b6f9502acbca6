"""MonitorFunction as a whole: records on moto's S3, models on S3 or in the layer, metrics in the log."""

import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from model.errors import ArtifactError
from model.records import encode
from model.registry import Registry
from tests.conftest import ROOT, LogLines
from tests.events import Context
from tests.test_on_events import Start, start  # noqa: F401  -- a fixture
from tests.test_window import END, baby, iris, truth

EVENT = json.loads((ROOT / "events/schedule.json").read_text()) | {"time": END.isoformat()}
PLACE = "s3://watched/records"


@pytest.fixture
def bucket(s3_endpoint: str) -> Iterator[Any]:
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="watched")
    yield client
    for entry in client.list_objects_v2(Bucket="watched").get("Contents", []):
        client.delete_object(Bucket="watched", Key=entry["Key"])
    client.delete_bucket(Bucket="watched")


def put(client: Any, *records: Any, hour: str = "2026/11/21/11") -> None:
    text = b"".join(encode(record) + b"\n" for record in records)
    client.put_object(Bucket="watched", Key=f"records/{hour}/part-1.gz", Body=gzip.compress(text))


def by(lines: list[dict[str, Any]], message: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["message"] == message]


def metrics(line: dict[str, Any]) -> dict[str, float]:
    """The metrics of a line by EMF's own rules: each is declared, and is a number at its top."""
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    names = [metric["Name"] for metric in declared["Metrics"]]
    assert all(isinstance(line[name], int | float) for name in names)
    (dimensions,) = declared["Dimensions"]
    assert all(isinstance(line[name], str) for name in dimensions)
    return {name: line[name] for name in names}


def usual(i: int) -> Any:
    """A record whose bins are drawn as evenly as those of training nearly are."""
    chance = random.Random(i)
    return iris(f"a-{i}", bins=[[chance.randrange(n) for n in (10, 10, 10, 9)]], answer=chance.randrange(3))


@pytest.mark.parametrize("models", ["layer", "s3"])
def test_a_window_that_drifted_is_told_by_metrics_and_by_the_answer(
    start: Start,  # noqa: F811
    bucket: Any,
    s3: Any,
    log_lines: LogLines,
    models: str,
) -> None:
    put(bucket, *[iris(f"a-{i}") for i in range(500)], *[truth(f"a-{i}", 1 if i < 90 else 2) for i in range(100)])
    store = {} if models == "layer" else {"MODEL_STORE": "s3://models/prefix", "MODEL_TRUST": "bundled"}
    answer = start("on_schedule", MODEL_RECORDS=PLACE, **store)(EVENT, Context())
    assert answer["drifted"] == ["iris/1.0.0"]
    assert answer["models"][0]["quality"]["Accuracy"] == 0.9
    (version,) = by(log_lines(), "window")
    found = metrics(version)
    assert (found["Drifted"], found["RecordedRows"], found["JudgedRows"], found["Accuracy"]) == (1, 500, 100, 0.9)
    assert found["DriftOverLimit"] > 1
    (directive,) = version["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["service", "model", "version"]]  # a canary's are its own
    assert (version["model"], version["version"]) == ("iris", "1.0.0")
    assert version["columns"]["sepal_length"]["psi"] > 0.25
    (whole,) = by(log_lines(), "windows")
    assert metrics(whole)["Drifted"] == 1
    assert whole["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    (call,) = by(log_lines(), "request")
    assert (call["entry"], call["error"]) == ("schedule", None)


def test_a_small_window_and_one_without_records_raise_no_alarm(
    start: Start,  # noqa: F811
    bucket: Any,
    log_lines: LogLines,
) -> None:
    handler = start("on_schedule", MODEL_RECORDS=PLACE)
    assert handler(EVENT, Context())["models"] == []
    put(bucket, *[iris(f"a-{i}") for i in range(100)])
    assert handler(EVENT, Context())["models"][0]["small"] is True
    assert [metrics(line)["Drifted"] for line in by(log_lines(), "windows")] == [0, 0]


def test_a_repeat_of_the_event_looks_at_the_same_window(start: Start, bucket: Any) -> None:  # noqa: F811
    put(bucket, *[baby(f"b-{i}", 118.0) for i in range(10)])
    handler = start("on_schedule", MODEL_RECORDS=PLACE, MODEL_MONITOR_HOURS="2")
    first, second = handler(EVENT, Context()), handler(EVENT, Context())
    assert first == second
    assert (first["from"], first["to"]) == ("2026-11-21T10:00:00+00:00", "2026-11-21T12:00:00+00:00")


def test_no_value_is_in_the_lines(start: Start, bucket: Any, log_lines: LogLines) -> None:  # noqa: F811
    put(bucket, *[iris(f"a-{i}", values=[[6.125, 2.8, 4.7, 1.2]]) for i in range(300)])
    start("on_schedule", MODEL_RECORDS=PLACE)(EVENT, Context())
    assert "6.125" not in json.dumps(log_lines())


def test_records_that_cannot_be_read_are_an_error_that_lambda_tries_again(
    start: Start,  # noqa: F811
    s3_endpoint: str,
    log_lines: LogLines,
) -> None:
    with pytest.raises(ArtifactError) as raised:
        start("on_schedule", MODEL_RECORDS="s3://nowhere/records")(EVENT, Context())
    assert type(raised.value).__name__ in {"ArtifactMissing", "ArtifactUnavailable"}
    (call,) = by(log_lines(), "request")
    assert call["Errors"] == 1


def test_without_a_place_it_says_so(start: Start) -> None:  # noqa: F811
    assert "MODEL_RECORDS" in start("on_schedule")(EVENT, Context())["reason"]


def test_a_model_that_cannot_be_read_is_counted_and_the_others_are_looked_at(
    start: Start,  # noqa: F811
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Registry.manifest

    def manifest(self: Registry, name: str, version: str) -> Any:
        if name == "babies":
            raise ArtifactError("gone")
        return own(self, name, version)

    monkeypatch.setattr(Registry, "manifest", manifest)
    put(bucket, baby("b", 118.0), *[usual(i) for i in range(300)])
    answer = start("on_schedule", MODEL_RECORDS=PLACE)(EVENT, Context())
    assert answer["unknown"] == 1
    assert [model["model"] for model in answer["models"]] == ["iris"]
