"""Sends with real botocore: to moto's SQS and EventBridge, and to an endpoint that throttles, refuses or is silent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from handler import destinations, exchange
from handler.destinations import Bus, Queue
from handler.replies import BYTES, MADE, Reply

Answer = tuple[int, dict[str, Any]]


def replies(count: int, size: int = 10, group: str = "g") -> list[Reply]:
    return [Reply(MADE, f"r-{i}", group, json.dumps({"i": i, "pad": "x" * size})) for i in range(count)]


def never() -> bool:
    return False


class Scripted:
    """An AWS endpoint that answers as it is told: (status, body) for each call, the last one again and again."""

    def __init__(self, script: list[Answer | Callable[[dict[str, Any]], Answer]]) -> None:
        self.calls: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.calls.append(asked)
                step = script[min(len(outer.calls), len(script)) - 1]
                status, body = step(asked) if callable(step) else step
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                self.send_header("content-length", str(len(data)))
                with suppress(OSError):  # whoever asked may have been cut off meanwhile
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


Endpoint = Callable[..., Scripted]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Return what starts an endpoint and points every client made afterwards at it."""
    started = []

    def begin(*script: Any) -> Scripted:
        started.append(Scripted(list(script)))
        for name, value in {"ENDPOINT_URL": started[-1].url, "DEFAULT_REGION": "us-east-1"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        return started[-1]

    yield begin
    for each in started:
        each.server.shutdown()
        each.server.server_close()


def error(code: str, status: int = 400) -> Answer:
    return status, {"__type": f"com.amazonaws.sqs#{code}", "message": "no"}


def accepted(asked: dict[str, Any]) -> Answer:
    done = [{"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": _md5(entry)} for entry in asked["Entries"]]
    return 200, {"Successful": done}


def _md5(entry: dict[str, Any]) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.md5(entry["MessageBody"].encode()).hexdigest()


URL = "http://sqs.us-east-1.amazonaws.com/123456789012/results"


def test_a_throttled_send_is_tried_again_until_it_is_taken(endpoint: Endpoint) -> None:
    asked = endpoint(error("ThrottlingException"), error("ThrottlingException"), accepted)
    assert Queue(URL).send(replies(3), never) == {}
    assert len(asked.calls) == 3


@pytest.mark.parametrize(("code", "calls"), [("ThrottlingException", 3), ("AccessDenied", 1)])
def test_what_goes_on_failing_fails_for_each_message_and_spares_the_service(
    endpoint: Endpoint, code: str, calls: int
) -> None:
    asked = endpoint(error(code))
    failures = Queue(URL).send(replies(25), never)
    assert {i: str(why) for i, why in failures.items()} == dict.fromkeys(range(25), code)
    assert len(asked.calls) == calls  # of the first shipment; the other two are not even tried


def test_a_shipment_that_went_stays_sent_when_the_next_one_fails(endpoint: Endpoint) -> None:
    endpoint(accepted, error("AccessDenied"))
    assert set(Queue(URL).send(replies(15), never)) == set(range(10, 15))


def test_a_partly_failed_send_names_the_entries(endpoint: Endpoint) -> None:
    failed = [{"Id": "1", "SenderFault": False, "Code": "InternalError"}]
    endpoint((200, {"Successful": [], "Failed": failed}))
    assert {i: str(why) for i, why in Queue(URL).send(replies(3), never).items()} == {1: "InternalError"}
    entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "no"}, {"EventId": "3"}]
    endpoint((200, {"FailedEntryCount": 1, "Entries": entries}))
    assert {i: str(why) for i, why in Bus("bus", "test").send(replies(3), never).items()} == {1: "ThrottlingException"}


def test_an_endpoint_that_is_not_there_is_a_failed_delivery(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(accepted)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert {str(why) for why in Queue(URL).send(replies(2), never).values()} == {"EndpointConnectionError"}


def test_when_time_is_over_nothing_more_is_sent(endpoint: Endpoint) -> None:
    asked = endpoint(accepted)
    late = iter([False, True, True])
    failures = Queue(URL).send(replies(25), lambda: next(late))
    assert set(failures) == set(range(10, 25))
    assert len(asked.calls) == 1


def test_one_call_takes_no_longer_than_the_time_that_is_kept_for_it() -> None:
    config: Any = destinations._CONFIG
    attempts = config.retries["total_max_attempts"]
    waits = sum(min(2**i, 20) for i in range(attempts - 1))  # botocore's standard mode: at most 2^i seconds
    assert (
        attempts * (config.connect_timeout + config.read_timeout) + waits
        <= destinations.CALL_SECONDS
        == exchange.RESERVE_SECONDS
    )


@pytest.fixture
def sqs(s3_endpoint: str) -> Any:
    return boto3.client("sqs", endpoint_url=s3_endpoint, region_name="us-east-1")


@pytest.fixture
def queue(sqs: Any) -> Iterator[str]:
    url: str = sqs.create_queue(QueueName="results")["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def fifo(sqs: Any) -> Iterator[str]:
    url: str = sqs.create_queue(QueueName="results.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def receive(sqs: Any, url: str) -> list[dict[str, Any]]:
    found = []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages"):
        found += got
        for each in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return found


def test_a_queue_takes_any_number_of_replies(sqs: Any, queue: str) -> None:
    assert Queue(queue).send(replies(25), never) == {}
    assert sorted(json.loads(each["Body"])["i"] for each in receive(sqs, queue)) == list(range(25))


def test_large_replies_go_in_as_many_calls_as_they_need(sqs: Any, queue: str) -> None:
    large = replies(3, BYTES - 100)
    assert all(reply.size <= BYTES for reply in large)
    assert Queue(queue).send(large, never) == {}
    assert len(receive(sqs, queue)) == 3


def test_a_fifo_queue_keeps_the_groups_order_and_drops_repeats(sqs: Any, fifo: str) -> None:
    destination = Queue(fifo)
    assert destination.ordered
    for _ in range(2):
        assert destination.send(replies(12), never) == {}
    got = receive(sqs, fifo)
    assert [json.loads(each["Body"])["i"] for each in got] == list(range(12))
    assert {each["Attributes"]["MessageGroupId"] for each in got} == {"g"}


def test_a_queue_that_is_gone_fails_each_reply(sqs: Any, queue: str) -> None:
    failures = Queue(queue + "-gone").send(replies(2), never)
    assert {str(why) for why in failures.values()} == {"AWS.SimpleQueueService.NonExistentQueue"}


def test_a_bus_gets_events_of_our_kinds(sqs: Any, queue: str, s3_endpoint: str) -> None:
    events = boto3.client("events", endpoint_url=s3_endpoint, region_name="us-east-1")
    events.create_event_bus(Name="bus")
    events.put_rule(Name="all", EventBusName="bus", EventPattern='{"source": ["demo"]}')
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_targets(Rule="all", EventBusName="bus", Targets=[{"Id": "q", "Arn": arn}])
    assert Bus("bus", "demo").send(replies(12), never) == {}
    got = [json.loads(each["Body"]) for each in receive(sqs, queue)]
    assert sorted(event["detail"]["i"] for event in got) == list(range(12))
    assert {event["detail-type"] for event in got} == {"Prediction Made"}
    events.remove_targets(Rule="all", EventBusName="bus", Ids=["q"])
    events.delete_rule(Name="all", EventBusName="bus")
    events.delete_event_bus(Name="bus")
