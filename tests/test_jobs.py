"""Events as AWS publishes them → messages, without any I/O."""

import json
import uuid
from typing import Any

import pytest

from handler import jobs
from handler.jobs import Job, Message
from model.errors import InvalidRows, TooLarge
from tests.conftest import ROOT
from tests.events import IRIS, delivery, record, requested

LIMIT = 1000


def one(body: Any, **more: Any) -> Message:
    (message,) = jobs.from_queue(delivery(record(body, **more)), LIMIT)
    return message


def test_a_message_is_a_request_with_model_version_and_id_beside_it() -> None:
    message = one({"id": "mine", "model": "iris", "version": "1.0.0", "features": IRIS}, name="m-1")
    assert message.job == Job({"features": IRIS}, "iris", "1.0.0")
    assert (message.identifier, message.correlation, message.group) == ("m-1", "mine", None)


def test_without_an_id_the_message_is_called_as_sqs_calls_it() -> None:
    assert one({"features": IRIS}, name="m-1").correlation == "m-1"


def test_only_a_fifo_queue_orders_its_groups() -> None:
    assert one({"features": IRIS}, group="g").group == "g"
    assert one({"features": IRIS}, fair="g").group is None


def test_a_repeat_has_the_name_of_the_first_and_another_question_has_not() -> None:
    assert one({"features": IRIS}, name="m-1").result == one({"features": IRIS}, name="m-1").result
    assert one({"features": IRIS}, name="m-1").result != one({"features": IRIS}, name="m-2").result
    asked = {"id": "mine", "features": IRIS}
    assert one(asked, name="m-1").result == one(asked, name="m-2").result  # sent twice by its author
    assert one(asked).result != one({"id": "mine", "features": [1, 2, 3, 4]}).result  # an id used for two questions
    assert uuid.UUID(one(asked).result).version == 5


def test_the_names_of_results_stay_from_version_to_version() -> None:
    """A consumer drops repeats by them, over a deployment too."""
    assert one({"features": IRIS}, name="m-1").result == "fe2491c9-cd92-5dbb-979e-4d092d26db96"


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ("not json", "", "expected JSON in UTF-8"),
        ("", "", "expected JSON in UTF-8"),
        ('{"features": [NaN]}', "", "expected JSON in UTF-8"),
        ('"\ud800"', "", "expected JSON in UTF-8"),
        ("[" * 900, "", "expected JSON in UTF-8"),
        ("[1]", "", "expected an object"),
        ('{"model": 1}', "/model", "expected a string"),
        ('{"id": 1}', "/id", "expected a string of 1 to 256 printable characters"),
        ('{"id": ""}', "/id", "expected a string of 1 to 256 printable characters"),
        ('{"id": "a\\u0000"}', "/id", "expected a string of 1 to 256 printable characters"),
        (json.dumps({"id": "a" * 257}), "/id", "expected a string of 1 to 256 printable characters"),
    ],
)
def test_what_is_no_question_is_an_error_in_its_place(body: str, pointer: str, detail: str) -> None:
    message = one(body, name="m-1")
    assert isinstance(message.job, InvalidRows)
    assert [(fault.pointer, fault.detail) for fault in message.job.faults] == [(pointer, detail)]
    assert (message.correlation, message.original) == ("m-1", body)


def test_a_long_body_is_too_large() -> None:
    error = one("é" * 501).job
    assert isinstance(error, TooLarge)
    assert "1002 bytes, at most 1000" in str(error)


def test_a_deep_body_is_no_crash() -> None:
    depth = 400
    message = one(json.dumps({"id": "x"})[:-1] + ', "features": ' + "[" * depth + "]" * depth + "}")
    assert isinstance(message.job, Job)


def test_an_event_asks_by_its_detail() -> None:
    message = jobs.from_bus(requested({"id": "mine", "model": "iris", "features": IRIS}))
    assert (message.job, message.correlation) == (Job({"features": IRIS}, "iris"), "mine")
    assert jobs.from_bus(requested({"features": IRIS})).correlation == requested({})["id"]


@pytest.mark.parametrize("kind", ["Prediction Made", "Prediction Refused", None])
def test_no_other_event_is_answered_least_of_all_our_own(kind: str | None) -> None:
    with pytest.raises(InvalidRows, match="/detail-type"):
        jobs.from_bus(requested({"features": IRIS}, **{"detail-type": kind}))


@pytest.mark.parametrize(
    ("event", "batch"),
    [
        ({"Items": []}, True),
        ({"Items": [IRIS], "BatchInput": {}}, True),
        ({"Items": 1}, False),
        ({"Items": [], "other": 1}, False),
        ({"instances": []}, False),
        ([], False),
    ],
)
def test_a_batch_of_step_functions_is_known_by_its_keys(event: Any, batch: bool) -> None:
    assert jobs.is_batch(event) is batch


def test_items_are_rows_or_requests_over_what_is_said_of_all() -> None:
    event = {"Items": [IRIS, {"id": "b", "features": IRIS, "model": "other"}, 7], "BatchInput": {"model": "iris"}}
    first, second, third = jobs.from_items(event, "request")
    assert (first.job, first.correlation) == (Job({"features": IRIS}, "iris"), "request/0")
    assert (second.job, second.correlation) == (Job({"features": IRIS}, "other"), "b")
    assert isinstance(third.job, InvalidRows)
    (named,) = jobs.from_items({"Items": [IRIS], "BatchInput": {"id": "run"}}, "request")
    assert named.correlation == "run/0"


@pytest.mark.parametrize(("common", "pointer"), [([], "/BatchInput"), ({"id": 3}, "/BatchInput/id")])
def test_what_is_said_of_all_is_checked(common: Any, pointer: str) -> None:
    with pytest.raises(InvalidRows, match=f"{pointer}: expected"):
        jobs.from_items({"Items": [IRIS], "BatchInput": common or [1]}, "request")


def test_the_sample_events_are_what_aws_sends() -> None:
    samples = {path.stem: json.loads(path.read_text()) for path in (ROOT / "events").glob("*.json")}
    for name in ("queue", "queue-fifo"):
        shape = record({}, group="g" if name == "queue-fifo" else None)
        for each in samples[name]["Records"]:
            assert each.keys() == shape.keys()
            assert each["attributes"].keys() == shape["attributes"].keys()
    for name in ("bus", "bus-babies"):
        assert samples[name].keys() == requested({}).keys()
