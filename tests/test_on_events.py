"""QueueFunction and BusFunction as a whole: real models, moto's SQS and EventBridge, real botocore calls."""

import importlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from model.errors import ArtifactError, InvalidRows
from tests.conftest import ROOT, LogLines
from tests.events import IRIS, Context, delivery, record, requested
from tests.infra.test_template_events import valid
from tests.misbehaving_s3 import Fault, faulty_s3
from tests.test_destinations import Endpoint, accepted, endpoint, error, receive  # noqa: F401  -- a fixture

Handler = Callable[[Any, Any], dict[str, Any]]
Start = Callable[..., Handler]
GOOD, BAD, UNKNOWN = {"features": IRIS}, {"features": [6.1, "2.8", 4.7, 1.2]}, {"model": "nope", "features": IRIS}


@pytest.fixture
def start(packed: Any, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return what imports an entry point as a new execution environment does."""

    def begin(name: str, **settings: str) -> Handler:
        for key, value in {"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", **settings}.items():
            monkeypatch.setenv(key, value)
        module = importlib.import_module(f"handler.{name}")
        found: Handler = importlib.reload(module).handler
        return found

    return begin


@dataclass
class Aws:
    """Queues and a bus on moto's server; `heard` is a queue that gets whatever is said on the bus."""

    sqs: Any
    results: str
    fifo: str
    errors: str
    heard: str
    bus: str = "garden"

    def got(self, url: str) -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in receive(self.sqs, url)]

    def said(self) -> list[dict[str, Any]]:
        """Return what was said on the bus; moto leaves the account out and writes the time as a number."""
        return [event | {"account": "123456789012", "time": "2026-11-21T09:30:02Z"} for event in self.got(self.heard)]


@pytest.fixture
def aws(s3_endpoint: str) -> Iterator[Aws]:
    made: dict[str, Any] = {"endpoint_url": s3_endpoint, "region_name": "us-east-1"}
    sqs, events = boto3.client("sqs", **made), boto3.client("events", **made)
    urls = [
        sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if name.endswith(".fifo") else {})["QueueUrl"]
        for name in ("results", "results.fifo", "errors", "heard")
    ]
    events.create_event_bus(Name="garden")
    events.put_rule(Name="all", EventBusName="garden", EventPattern='{"source": ["sklearn-on-lambda"]}')
    arn = sqs.get_queue_attributes(QueueUrl=urls[3], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_targets(Rule="all", EventBusName="garden", Targets=[{"Id": "heard", "Arn": arn}])
    yield Aws(sqs, *urls)
    events.remove_targets(Rule="all", EventBusName="garden", Ids=["heard"])
    events.delete_rule(Name="all", EventBusName="garden")
    events.delete_event_bus(Name="garden")
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def back(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def sample(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def test_the_sample_events_answer_without_any_aws(start: Start) -> None:
    queue = start("on_queue")
    answer = queue(sample("queue"), Context())
    assert [found.get("prediction", found.get("predictions")) for found in answer["results"][:2]] == [1, [0, 1]]
    assert answer["results"][1]["id"] == "flower-2"
    assert answer["results"][2]["unit"] == "oz"
    assert back(answer) == [sample("queue")["Records"][3]["messageId"]]
    assert [reason["error"] for reason in answer["refused"]] == ["InvalidRows"]
    answer = queue(sample("queue-fifo"), Context())
    assert (back(answer), [found["prediction"] for found in answer["results"]]) == ([], [1, 0, 2])
    bus = start("on_bus")
    assert bus(sample("bus"), Context())["results"][0]["prediction"] == 1
    assert bus(sample("bus-babies"), Context())["results"][0]["unit"] == "oz"
    direct = start("on_invoke")
    answer = direct(sample("invoke-batch"), Context())
    assert (answer["failed"], [r.get("prediction", r.get("error")) for r in answer["results"]]) == (
        1,
        [1, 0, "InvalidRows"],
    )


@pytest.fixture
def queue(start: Start, aws: Aws) -> Handler:
    return start("on_queue", MODEL_RESULTS_QUEUE=aws.results, MODEL_ERRORS_QUEUE=aws.errors)


def test_good_ones_are_answered_and_bad_ones_refused_with_the_reason(queue: Handler, aws: Aws) -> None:
    records = [record(GOOD, "m-1"), record(BAD, "m-2"), record(UNKNOWN, "m-3"), record("no json", "m-4")]
    assert queue(delivery(*records), Context()) == {"batchItemFailures": []}
    (result,) = aws.got(aws.results)
    assert (result["id"], result["prediction"], result["model"]["version"]) == ("m-1", 1, "1.0.0")
    refused = {told["id"]: told for told in aws.got(aws.errors)}
    assert {name: told["error"] for name, told in refused.items()} == {
        "m-2": "InvalidRows",
        "m-3": "UnknownModel",
        "m-4": "InvalidRows",
    }
    assert refused["m-2"]["errors"] == [{"pointer": "/features/1", "detail": "expected a number, got a string"}]
    assert refused["m-2"]["original"] == json.dumps(BAD)


def test_a_bad_message_comes_back_while_the_error_queue_is_gone(start: Start, aws: Aws) -> None:
    queue = start("on_queue", MODEL_RESULTS_QUEUE=aws.results, MODEL_ERRORS_QUEUE=aws.errors + "-gone")
    assert back(queue(delivery(record(BAD, "m-1"), record(GOOD, "m-2")), Context())) == ["m-1"]
    assert len(aws.got(aws.results)) == 1


def test_duplicates_have_one_name_and_a_fifo_queue_drops_them(start: Start, aws: Aws) -> None:
    event = delivery(record(GOOD, "m-1", "g"), record({"id": "mine", **GOOD}, "m-2", "g"))
    again = delivery(*event["Records"], record({"id": "mine", **GOOD}, "m-3", "g"))  # its author sent it twice
    standard = start("on_queue", MODEL_RESULTS_QUEUE=aws.results)
    assert (back(standard(event, Context())), back(standard(again, Context()))) == ([], [])
    found = aws.got(aws.results)
    assert (len(found), len({result["result_id"] for result in found})) == (5, 2)
    fifo = start("on_queue", MODEL_RESULTS_QUEUE=aws.fifo)
    assert (back(fifo(event, Context())), back(fifo(again, Context()))) == ([], [])
    assert [result["id"] for result in aws.got(aws.fifo)] == ["m-1", "mine"]


def test_reordered_and_late_messages_have_the_answers_that_they_would_have_had(queue: Handler, aws: Aws) -> None:
    rows = [[5.1, 3.5, 1.4, 0.2], IRIS, [7.7, 3.0, 6.1, 2.3]]
    records = [record({"features": row}, f"m-{i}") for i, row in enumerate(rows)]
    for each in records:  # sent four days ago, received for the fifth time
        each["attributes"] |= {"SentTimestamp": "1794900000000", "ApproximateReceiveCount": "5"}
    queue(delivery(*reversed(records)), Context())
    found = sorted(aws.got(aws.results), key=lambda result: result["id"])
    assert [result["prediction"] for result in found] == [0, 1, 2]


def test_two_environments_with_the_same_messages_at_once_name_their_results_alike(queue: Handler, aws: Aws) -> None:
    event = delivery(*[record(GOOD, f"m-{i}") for i in range(30)])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: queue(event, Context()), range(4)))
    assert answers == [{"batchItemFailures": []}] * 4
    found = aws.got(aws.results)
    names = {result["id"]: result["result_id"] for result in found}
    assert (len(found), len(names), len(set(names.values()))) == (120, 30, 30)


def test_a_store_that_is_down_sends_back_and_the_other_models_answer(start: Start, aws: Aws) -> None:
    places = {"MODEL_RESULTS_QUEUE": aws.results, "MODEL_ERRORS_QUEUE": aws.errors}
    queue = start("on_queue", **places, MODEL_STORE="s3://no-such-bucket/prefix")
    assert back(queue(delivery(record(GOOD, "m-1"), record("no json", "m-2")), Context())) == ["m-1"]
    assert [told["id"] for told in aws.got(aws.errors)] == ["m-2"]


def test_what_cannot_be_done_in_time_goes_back(queue: Handler, aws: Aws) -> None:
    assert back(queue(delivery(record(GOOD, "m-1"), record(BAD, "m-2")), Context(left=0))) == ["m-1", "m-2"]
    assert aws.got(aws.results) == aws.got(aws.errors) == []


def test_a_model_that_loads_slowly_leaves_time_to_give_the_messages_back(
    start: Start, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first load may take 6 s; of a function that has 3 s it gets what is left, less than what sending takes."""
    with faulty_s3(s3.meta.endpoint_url) as proxy:
        queue = start("on_queue", MODEL_STORE="s3://models/prefix", MODEL_DEFAULT="", AWS_ENDPOINT_URL=proxy.url)
        proxy.faults = [Fault("slow", seconds=5.0)]
        before = time.monotonic()
        answer = queue(delivery(record(GOOD | {"model": "iris"}, "m-1")), Context(left=3_000))
        assert time.monotonic() - before < 3.0
    assert back(answer) == ["m-1"]


URLS = {
    f"MODEL_{kind}_QUEUE": f"http://sqs.us-east-1.amazonaws.com/123456789012/{kind}" for kind in ("RESULTS", "ERRORS")
}


def test_a_throttled_queue_is_asked_again_and_then_the_messages_go_back(
    start: Start,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    endpoint(error("ThrottlingException"), error("ThrottlingException"), accepted)
    assert back(start("on_queue", **URLS)(delivery(record(GOOD, "m-1")), Context())) == []
    endpoint(error("ThrottlingException"))
    assert back(start("on_queue", **URLS)(delivery(record(GOOD, "m-1")), Context())) == ["m-1"]


def test_a_missing_permission_sends_everything_back_and_says_so(
    start: Start,
    endpoint: Endpoint,  # noqa: F811
    log_lines: LogLines,
) -> None:
    endpoint(error("AccessDenied", 403))
    answer = start("on_queue", **URLS)(delivery(record(GOOD, "m-1"), record(BAD, "m-2")), Context())
    assert back(answer) == ["m-1", "m-2"]
    told = {line["message_id"]: line["reason"] for line in log_lines() if "reason" in line}
    assert told == {"m-1": "AccessDenied", "m-2": "AccessDenied"}


def test_the_bus_answers_each_request_with_an_event_that_fits_its_schema(start: Start, aws: Aws) -> None:
    bus = start("on_bus", MODEL_RESULTS_BUS=aws.bus, MODEL_ERRORS_QUEUE=aws.errors)
    for detail in (GOOD | {"id": "mine"}, {"instances": [IRIS]}, GOOD | {"id": "mine"}):
        assert set(bus(requested(detail), Context())) == {"id", "result_id"}
    first, second, repeat = heard = aws.said()
    for event in heard:
        valid(event)
        assert event["detail-type"] == "Prediction Made"
    assert (first["detail"]["id"], first["detail"]["prediction"]) == ("mine", 1)
    assert (second["detail"]["id"], second["detail"]["predictions"]) == (requested({})["id"], [1])
    assert repeat["detail"] == first["detail"]


def test_the_bus_refuses_in_public_and_keeps_the_event_with_the_reason(start: Start, aws: Aws) -> None:
    bus = start("on_bus", MODEL_RESULTS_BUS=aws.bus, MODEL_ERRORS_QUEUE=aws.errors)
    event = requested(BAD | {"id": "mine"})
    bus(event, Context())
    (heard,) = aws.said()
    valid(heard)
    assert (heard["detail-type"], heard["detail"]["id"]) == ("Prediction Refused", "mine")
    assert "2.8" not in json.dumps(heard)
    (kept,) = aws.got(aws.errors)
    assert (kept["original"], kept["error"]) == (event, "InvalidRows")


def test_what_a_retry_may_mend_is_raised_to_lambda(
    start: Start,
    aws: Aws,
    endpoint: Endpoint,  # noqa: F811
) -> None:
    with pytest.raises(InvalidRows, match="/features/1"):  # nowhere to refuse it to, so to the dead letters
        start("on_bus")(requested(BAD), Context())
    with pytest.raises(InvalidRows, match="/detail-type"):
        start("on_bus")(requested(GOOD, **{"detail-type": "Prediction Made"}), Context())
    with pytest.raises(ArtifactError):
        start("on_bus", MODEL_STORE="s3://no-such-bucket/prefix")(requested(GOOD), Context())
    endpoint(error("AccessDeniedException"))
    with pytest.raises(Exception, match="AccessDeniedException") as failed:
        start("on_bus", MODEL_RESULTS_BUS="garden")(requested(GOOD), Context())
    assert type(failed.value).__name__ == "DeliveryFailed"


def test_one_line_a_delivery(queue: Handler, log_lines: LogLines) -> None:
    queue(delivery(record(GOOD, "m-1"), record({"features": ["6.123456"]}, "m-2")), Context())
    (line,) = [line for line in log_lines() if line["message"] == "request"]
    assert (line["entry"], line["messages"], line["answered"], line["refused"]) == ("queue", 2, 1, 1)
    assert (line["model"], line["Predictions"], line["causes"]) == ("iris", 1, {"InvalidRows": 1})
    assert "6.123456" not in json.dumps(log_lines())


@pytest.mark.parametrize("common", [{"model": "nope"}, {"version": "9.9.9"}])
def test_a_batch_of_step_functions_raises_what_all_its_items_share(start: Start, common: Any) -> None:
    direct = start("on_invoke")
    with pytest.raises(Exception, match="no ") as failed:
        direct({"Items": [IRIS], "BatchInput": common}, Context())
    assert type(failed.value).__name__ == "UnknownModel"
    answer = direct({"Items": [{"features": IRIS, **common}, IRIS]}, Context())
    assert [result.get("error") for result in answer["results"]] == ["UnknownModel", None]
    with pytest.raises(ArtifactError):
        start("on_invoke", MODEL_STORE="s3://no-such-bucket/prefix")({"Items": [IRIS]}, Context())
