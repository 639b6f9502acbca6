"""What queue and bus consist of when a parameter asks for them, and that nothing of them is there otherwise."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.infra.stack import deployed, of_type, packaged

QUEUE_TYPES = {"AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Lambda::EventSourceMapping", "AWS::CloudWatch::Alarm"}
BUS_TYPES = {"AWS::Events::EventBus", "AWS::Events::Rule", "AWS::EventSchemas::Registry", "AWS::EventSchemas::Schema"}
OBJECT_TYPES = {"AWS::S3::Bucket", "AWS::S3::BucketPolicy"}
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
STANDARD, FIFO, OWN = {"QueueTrigger": "standard"}, {"QueueTrigger": "fifo"}, {"BusTrigger": "own"}


def statements(resources: dict[str, Any], policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of_type(resources, "AWS::IAM::Policy")[policy]["PolicyDocument"]["Statement"]
    return found


def test_by_default_nothing_is_made_that_costs_when_idle() -> None:
    kinds = {resource["Type"] for resource in deployed().values()}
    assert not kinds & (QUEUE_TYPES | BUS_TYPES | OBJECT_TYPES | {"AWS::Lambda::EventInvokeConfig", "AWS::IAM::Policy"})


@pytest.mark.parametrize("trigger", [STANDARD, FIFO], ids=["standard", "fifo"])
def test_the_queue_hides_a_message_for_six_timeouts_and_gives_it_up_to_the_dead_letters(
    trigger: dict[str, str],
) -> None:
    stack = deployed(trigger)
    queues = of_type(stack, "AWS::SQS::Queue")
    assert set(queues) == {"RequestQueue", "RequestDeadLetterQueue", "ResultQueue", "RefusedQueue"}
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    request = queues["RequestQueue"]
    assert request["VisibilityTimeout"] == 6 * stack["QueueFunction"]["Properties"]["Timeout"]
    assert request["RedrivePolicy"] == {"deadLetterTargetArn": "<RequestDeadLetterQueue.Arn>", "maxReceiveCount": 5}


def test_a_fifo_queue_has_fifo_dead_letters_and_results() -> None:
    queues = of_type(deployed(FIFO), "AWS::SQS::Queue")
    names = {name: queue["QueueName"] for name, queue in queues.items() if queue.get("FifoQueue") is True}
    assert names == {name: f"demo-{name}.fifo" for name in ("RequestQueue", "RequestDeadLetterQueue", "ResultQueue")}
    assert not [queue for queue in of_type(deployed(STANDARD), "AWS::SQS::Queue").values() if "FifoQueue" in queue]


@pytest.mark.parametrize(
    ("trigger", "size", "window"), [(STANDARD, 100, 1), (FIFO, 10, None)], ids=["standard", "fifo"]
)
def test_the_queue_asks_the_alias_in_batches_and_takes_back_parts(
    trigger: dict[str, str], size: int, window: int | None
) -> None:
    (source,) = of_type(deployed({**trigger, "QueueConcurrency": "7"}), "AWS::Lambda::EventSourceMapping").values()
    assert source["FunctionName"] == "<QueueFunctionAliaslive>"
    assert source["EventSourceArn"] == "<RequestQueue.Arn>"
    assert (source["BatchSize"], source.get("MaximumBatchingWindowInSeconds")) == (size, window)
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": "7"}


def test_the_queue_function_may_read_its_queue_and_send_to_two_others() -> None:
    assert statements(deployed(STANDARD), "QueueAccess") == [
        {
            "Effect": "Allow",
            "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            "Resource": "<RequestQueue.Arn>",
        },
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": ["<ResultQueue.Arn>", "<RefusedQueue.Arn>"]},
    ]


def test_the_functions_know_their_destinations_and_no_other_does() -> None:
    functions = of_type(deployed({**STANDARD, **OWN}), "AWS::Lambda::Function")
    found = {
        name: {k: v for k, v in f["Environment"]["Variables"].items() if k.rpartition("_")[2] in {"QUEUE", "BUS"}}
        for name, f in functions.items()
    }
    assert {name: places for name, places in found.items() if places} == {
        "QueueFunction": {"MODEL_RESULTS_QUEUE": "<ResultQueue>", "MODEL_ERRORS_QUEUE": "<RefusedQueue>"},
        "BusFunction": {"MODEL_RESULTS_BUS": "<Bus>", "MODEL_ERRORS_QUEUE": "<BusDeadLetterQueue>"},
    }


def test_alarms_watch_dead_letters_and_age_and_tell_the_topic() -> None:
    alarms = of_type(deployed({**STANDARD, **OWN, "AlarmTopic": TOPIC}), "AWS::CloudWatch::Alarm")
    watched = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for alarm in alarms.values()}
    assert watched == {
        ("ApproximateNumberOfMessagesVisible", "<RequestDeadLetterQueue.QueueName>"),
        ("ApproximateAgeOfOldestMessage", "<RequestQueue.QueueName>"),
        ("ApproximateNumberOfMessagesVisible", "<BusDeadLetterQueue.QueueName>"),
    }
    assert all(alarm["AlarmActions"] == [TOPIC] for alarm in alarms.values())
    silent = of_type(deployed(STANDARD), "AWS::CloudWatch::Alarm").values()
    assert not any("AlarmActions" in alarm for alarm in silent)


def test_the_bus_asks_for_requests_only_and_keeps_what_it_cannot_deliver() -> None:
    stack = deployed(OWN)
    (rule,) = of_type(stack, "AWS::Events::Rule").values()
    assert rule["EventBusName"] == "<Bus>"
    assert rule["EventPattern"] == {"detail-type": ["Prediction Requested"]}
    (target,) = rule["Targets"]
    assert target["Arn"] == "<BusFunctionAliaslive>"
    assert target["RetryPolicy"] == {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600}
    assert target["DeadLetterConfig"] == {"Arn": "<BusDeadLetterQueue.Arn>"}
    permission = stack["BusPermission"]["Properties"]
    assert permission["FunctionName"] == "<BusFunctionAliaslive>"
    assert (permission["Principal"], permission["SourceArn"]) == ("events.amazonaws.com", "<BusRule.Arn>")


def test_the_dead_letters_take_from_this_rule_only() -> None:
    (policy,) = of_type(deployed(OWN), "AWS::SQS::QueuePolicy").values()
    assert policy["Queues"] == ["<BusDeadLetterQueue>"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "<BusRule.Arn>"}}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", "<BusDeadLetterQueue.Arn>")


def test_what_fails_three_times_on_the_bus_goes_to_the_dead_letters() -> None:
    stack = deployed(OWN)
    ((name, _),) = of_type(stack, "AWS::Lambda::EventInvokeConfig").items()
    assert stack[name]["Properties"] == {
        "FunctionName": "<BusFunction>",
        "Qualifier": "live",
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": 3600,
        "DestinationConfig": {"OnFailure": {"Destination": "<BusDeadLetterQueue.Arn>"}},
    }
    assert "BusFunctionAliaslive" in stack[name]["DependsOn"]
    assert "BusFunctionAliaslive" in stack
    assert statements(stack, "BusAccess") == [
        {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "<Bus.Arn>"},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "<BusDeadLetterQueue.Arn>"},
    ]


@pytest.mark.parametrize("trigger", [STANDARD, FIFO, OWN, {**FIFO, **OWN}])
def test_no_policy_of_a_trigger_has_a_wildcard(trigger: dict[str, str]) -> None:
    for kind in ("AWS::IAM::Policy", "AWS::SQS::QueuePolicy"):
        for policy in of_type(deployed(trigger), kind).values():
            assert "*" not in json.dumps(policy["PolicyDocument"]["Statement"])


def schemas() -> dict[str, Any]:
    """The registered schemas by the detail type that they describe."""
    found = {}
    for entry in of_type(deployed(OWN), "AWS::EventSchemas::Schema").values():
        content = json.loads(entry["Content"])
        assert (entry["Type"], entry["SchemaName"]) == ("OpenApi3", content["info"]["title"])
        found[content["components"]["schemas"]["AWSEvent"]["x-amazon-events-detail-type"]] = content
    return found


def valid(event: dict[str, Any]) -> None:
    """Check an event against the registered schema of its kind; raises jsonschema.ValidationError."""
    content = schemas()[event["detail-type"]]
    jsonschema.validate(event, {**content, "$ref": "#/components/schemas/AWSEvent"}, jsonschema.Draft4Validator)


def test_the_three_kinds_of_events_are_registered() -> None:
    assert set(schemas()) == {"Prediction Requested", "Prediction Made", "Prediction Refused"}


@pytest.mark.parametrize("name", ["bus", "bus-babies"])
def test_the_sample_events_fit_their_schema(name: str) -> None:
    valid(json.loads((Path("events") / f"{name}.json").read_text()))


@pytest.mark.parametrize("detail", [{"id": 1}, {"id": ""}, {"features": 1}, {"instances": {}}, {"outputs": ["x"]}, []])
def test_a_wrong_request_does_not_fit_the_schema(detail: Any) -> None:
    event = json.loads((Path("events") / "bus.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        valid({**event, "detail": detail})


def test_the_outputs_of_a_trigger_go_with_it() -> None:
    conditions = {name: output.get("Condition") for name, output in packaged()["Outputs"].items()}
    assert {name for name, condition in conditions.items() if condition == "HasQueue"} == {
        "RequestQueueUrl",
        "ResultQueueUrl",
        "RefusedQueueUrl",
    }
    assert conditions["BusName"] == "HasBus"
