"""Records from a built function's log, through S3, to the built MonitorFunction, on Lambda's real runtime client."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.built import functions
from infra.emulator import Emulator
from tests.infra.conftest import ROOT, Start, event
from tests.infra.test_emulator import probed
from tests.infra.test_emulator_events import credentials

pytestmark = pytest.mark.sam
SCHEDULE = json.loads((ROOT / "events/schedule.json").read_text())
NEVER = {"numpy", "onnxruntime", "sklearn", "joblib", "fastapi", "starlette", "boto3", "s3transfer"}


@pytest.fixture
def bucket(s3_endpoint: str) -> Iterator[Any]:
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="carried")
    yield client
    for entry in client.list_objects_v2(Bucket="carried").get("Contents", []):
        client.delete_object(Bucket="carried", Key=entry["Key"])
    client.delete_bucket(Bucket="carried")


def lines(function: Emulator) -> list[dict[str, Any]]:
    return [json.loads(line) for line in function.log.splitlines() if line.startswith("{")]


def text(answer: dict[str, Any]) -> Any:
    body = answer["body"]
    return json.loads(base64.b64decode(body) if answer.get("isBase64Encoded") else body)


def test_the_sample_event_answers_without_any_aws_and_without_an_engine(
    start: Start, tree: Path, tmp_path: Path
) -> None:
    monitor = start(probed(functions(tree)["MonitorFunction"], tmp_path))
    answer = monitor.invoke(SCHEDULE)
    assert answer["models"] == []
    assert "MODEL_RECORDS" in answer["reason"]
    assert not NEVER & set(monitor.invoke("modules"))


def test_what_one_function_logs_the_other_finds(start: Start, bucket: Any) -> None:
    api = start("ApiFunction", MODEL_RECORD_SHARE="1", MODEL_FEEDBACK="on")
    base = event("apigateway-v1")
    asked = {**base, "body": json.dumps({"features": [6.1, 2.8, 4.7, 1.2]})}
    identifier = text(api.invoke(asked))["id"]
    told = {**base, "path": "/feedback", "body": json.dumps({"id": identifier, "actual": "versicolor"})}
    answer = api.invoke(told)
    assert (answer["statusCode"], text(answer)["status"]) == (202, "accepted")
    records = [line for line in lines(api) if line["message"] in {"prediction", "feedback"}]
    assert [record["message"] for record in records] == ["prediction", "feedback"]
    assert [len(row) for row in records[0]["bins"]] == [4]
    moment = records[0]["timestamp"]
    # As Firehose lays them down: unpacked, one after the other, by hour.
    body = gzip.compress("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records).encode())
    key = f"records/{moment[:4]}/{moment[5:7]}/{moment[8:10]}/{moment[11:13]}/part-1.gz"
    bucket.put_object(Bucket="carried", Key=key, Body=body)
    monitor = start("MonitorFunction", MODEL_RECORDS="s3://carried/records", **credentials())
    now = records[1]["timestamp"]
    (found,) = monitor.invoke({**SCHEDULE, "time": f"{now[:19]}.999+00:00"})["models"]
    assert (found["model"], found["rows"], found["small"], found["judged"]) == ("iris", 1, True, 1)
    assert found["quality"]["Accuracy"] == 1
    (window,) = [line for line in lines(monitor) if line["message"] == "window"]
    assert window["Accuracy"] == 1
    assert window["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service", "model", "version"]]
