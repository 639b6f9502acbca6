"""Queue and bus as built, on Lambda's real runtime client: sample events, the runtime's own SDK, a function cut off."""

import json
import os
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.built import functions
from infra.emulator import Emulator
from tests.events import IRIS, delivery, record, requested
from tests.infra.conftest import ROOT, Start
from tests.infra.test_emulator import probed
from tests.test_destinations import Endpoint, accepted, endpoint, receive  # noqa: F401  -- a fixture

pytestmark = pytest.mark.sam
RESULTS = "http://sqs.us-east-1.amazonaws.com/123456789012/results"
GOOD = {"features": IRIS}


def sample(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def credentials() -> dict[str, str]:
    return {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")}


def test_the_sample_events_answer_without_any_aws(start: Start, tree: Path, tmp_path: Path) -> None:
    queue = start(probed(functions(tree)["QueueFunction"], tmp_path))
    answer = queue.invoke(sample("queue"))
    assert [found.get("prediction", found.get("predictions")) for found in answer["results"][:2]] == [1, [0, 1]]
    assert len(answer["batchItemFailures"]) == len(answer["refused"]) == 1
    assert [found["prediction"] for found in queue.invoke(sample("queue-fifo"))["results"]] == [1, 0, 2]
    assert not {"boto3", "s3transfer", "fastapi", "starlette"} & set(queue.invoke("modules"))


def test_the_bus_and_the_batch_of_step_functions_answer(start: Start) -> None:
    bus = start("BusFunction")
    assert bus.invoke(sample("bus"))["results"][0]["prediction"] == 1
    assert bus.invoke(sample("bus-babies"))["results"][0]["unit"] == "oz"
    assert bus.invoke(requested({"features": [1]}))["errorType"] == "InvalidRows"
    direct = start("InvokeFunction")
    answer = direct.invoke(sample("invoke-batch"))
    assert (answer["failed"], len(answer["results"])) == (1, 3)
    assert direct.invoke({"Items": [IRIS], "BatchInput": {"model": "nope"}})["errorType"] == "UnknownModel"


def test_results_go_out_by_the_runtimes_own_sdk(start: Start, s3_endpoint: str) -> None:
    sqs = boto3.client("sqs", endpoint_url=s3_endpoint, region_name="us-east-1")
    results, errors = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("results", "errors"))
    queue = start("QueueFunction", MODEL_RESULTS_QUEUE=results, MODEL_ERRORS_QUEUE=errors, **credentials())
    event = delivery(record(GOOD, "m-1"), record({"features": [1]}, "m-2"), record({"model": "nope"}, "m-3"))
    for _ in range(2):  # delivered twice
        assert queue.invoke(event) == {"batchItemFailures": []}
    sent = [json.loads(message["Body"]) for message in receive(sqs, results)]
    assert [found["id"] for found in sent] == ["m-1", "m-1"]
    assert sent[0] == sent[1]
    assert {json.loads(m["Body"])["error"] for m in receive(sqs, errors)} == {"InvalidRows", "UnknownModel"}
    for url in (results, errors):
        sqs.delete_queue(QueueUrl=url)


def silent(asked: Any) -> Any:
    time.sleep(4)
    return accepted(asked)


def test_a_destination_that_is_silent_leaves_time_to_return_the_messages(
    start: Start,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    endpoint(silent)
    queue: Emulator = start(
        "QueueFunction", MODEL_RESULTS_QUEUE=RESULTS, AWS_LAMBDA_FUNCTION_TIMEOUT="20", **credentials()
    )
    answer = queue.invoke(delivery(*[record(GOOD, f"m-{i}") for i in range(30)]))
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [f"m-{i}" for i in range(30)]
    assert "ReadTimeoutError" in queue.log


def test_a_function_cut_off_in_the_middle_answers_the_same_when_the_message_comes_again(
    start: Start,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    asked = endpoint(silent, silent, silent, accepted)  # three attempts of 2 s and more are the 6 s of the function
    queue: Emulator = start(
        "QueueFunction", MODEL_RESULTS_QUEUE=RESULTS, AWS_LAMBDA_FUNCTION_TIMEOUT="6", **credentials()
    )
    event = delivery(record(GOOD, "m-1"))
    queue.invoke_raw(b'{"Records": []}')  # initialisation happens in the first invoke
    assert b"Task timed out" in queue.invoke_raw(json.dumps(event).encode())
    again = queue.invoke(event)
    assert again["batchItemFailures"] == []
    names = {json.loads(entry["MessageBody"])["result_id"] for call in asked.calls for entry in call["Entries"]}
    assert len(asked.calls) >= 2  # the one that was cut off, and the one that counts
    assert len(names) == 1
