"""What records, their way to S3 and the monitor consist of when a share is recorded; nothing of it otherwise."""

import json
import re
from typing import Any

import pytest

from model.records import FeedbackRecord, PredictionRecord, encode
from tests.infra.stack import deployed, of_type, packaged

RECORDED = {"RecordShare": "0.1"}
TYPES = {
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Logs::SubscriptionFilter",
    "AWS::Events::Rule",
    "AWS::CloudWatch::Alarm",
}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return deployed(RECORDED)


def test_without_a_share_nothing_is_made_and_nothing_runs() -> None:
    assert not {resource["Type"] for resource in deployed().values()} & TYPES


def test_the_functions_know_what_to_record_and_the_monitor_where_it_is() -> None:
    functions = of_type(deployed({**RECORDED, "Feedback": "on", "MonitorHours": "7"}), "AWS::Lambda::Function")
    assert (
        functions.pop("DeployHookFunction")["Environment"]["Variables"]
        .keys()
        .isdisjoint({"MODEL_RECORD_SHARE", "MODEL_FEEDBACK"})
    )
    for name, function in functions.items():
        variables = function["Environment"]["Variables"]
        assert (variables["MODEL_RECORD_SHARE"], variables["MODEL_FEEDBACK"]) == ("0.1", "on")
        place = "s3://<RecordsBucket>/records" if name == "MonitorFunction" else None
        assert variables.get("MODEL_RECORDS") == place
        assert variables.get("MODEL_MONITOR_HOURS") == ("7" if place else None)


def test_the_lines_of_every_function_that_predicts_go_to_the_stream(stack: dict[str, Any]) -> None:
    filters = of_type(stack, "AWS::Logs::SubscriptionFilter").values()
    assert {entry["LogGroupName"] for entry in filters} == {
        f"<{name}Logs>" for name in ("Api", "Invoke", "Queue", "Bus")
    }
    for entry in filters:
        assert (entry["DestinationArn"], entry["RoleArn"]) == ("<RecordStream.Arn>", "<RecordSubscriptionRole.Arn>")
        lines = [
            encode(PredictionRecord("t", "s", "i", "m", "v", [0])),
            encode(FeedbackRecord("t", "s", "i", 1)),
        ]
        messages = {json.loads(line)["message"] for line in lines}
        assert set(re.findall(r'\$\.message = "(\w+)"', entry["FilterPattern"])) == messages


def test_the_stream_unpacks_the_lines_and_lays_them_down_by_hour(stack: dict[str, Any]) -> None:
    (stream,) = of_type(stack, "AWS::KinesisFirehose::DeliveryStream").values()
    place = stream["ExtendedS3DestinationConfiguration"]
    processors = [processor["Type"] for processor in place["ProcessingConfiguration"]["Processors"]]
    assert processors == ["Decompression", "CloudWatchLogProcessing", "AppendDelimiterToRecord"]
    assert place["Prefix"] == "records/!{timestamp:yyyy/MM/dd/HH}/"
    assert not place["ErrorOutputPrefix"].startswith("records/")
    assert place["CompressionFormat"] == "GZIP"


def test_the_bucket_outlives_the_stack_closed_and_encrypted(stack: dict[str, Any]) -> None:
    bucket = stack["RecordsBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == "90"
    (statement,) = of_type(stack, "AWS::S3::BucketPolicy")["RecordsBucketPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_each_role_may_do_its_part_and_no_more(stack: dict[str, Any]) -> None:
    access = of_type(stack, "AWS::IAM::Policy")["MonitorAccess"]
    assert access["Roles"] == ["<MonitorRole>"]
    get, listing = access["PolicyDocument"]["Statement"]
    assert (get["Action"], get["Resource"]) == ("s3:GetObject", "<RecordsBucket.Arn>/records/*")
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "records/*"}}
    roles = of_type(stack, "AWS::IAM::Role")
    (put,) = roles["RecordSubscriptionRole"]["Policies"]
    assert put["PolicyDocument"]["Statement"][0]["Resource"] == "<RecordStream.Arn>"
    for name in ("RecordSubscriptionRole", "RecordStreamRole"):
        (trust,) = roles[name]["AssumeRolePolicyDocument"]["Statement"]
        assert "Condition" in trust  # nobody else's log group or stream may borrow it
        for policy in roles[name]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert "*" not in json.dumps(statement["Action"])
                assert "*" not in json.dumps(statement["Resource"]).replace("/records/*", "").replace("/failed/*", "")


def test_the_schedule_asks_the_alias(stack: dict[str, Any]) -> None:
    (rule,) = of_type(deployed({**RECORDED, "MonitorSchedule": "rate(6 hours)"}), "AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(6 hours)"
    assert [target["Arn"] for target in rule["Targets"]] == ["<MonitorFunctionAliaslive>"]
    permission = stack["MonitorPermission"]["Properties"]
    assert permission["FunctionName"] == "<MonitorFunctionAliaslive>"
    assert permission["SourceArn"] == "<MonitorRule.Arn>"


def test_the_alarm_watches_the_metric_that_the_monitor_writes(stack: dict[str, Any]) -> None:
    alarm = stack["DriftAlarm"]["Properties"]
    function = stack["MonitorFunction"]["Properties"]["Environment"]["Variables"]
    assert alarm["Namespace"] == function["POWERTOOLS_METRICS_NAMESPACE"]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": function["POWERTOOLS_SERVICE_NAME"]}]
    assert alarm["MetricName"] == "Drifted"


def test_feedback_without_recorded_answers_is_refused_before_anything_is_made() -> None:
    rule = packaged()["Rules"]["FeedbackNeedsAnswers"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "Feedback"}, "on"]}
    assert len(rule["Assertions"]) == 2


@pytest.mark.parametrize(
    ("share", "fits"),
    [("0", True), ("1", True), ("0.1", True), ("0.0", False), ("2", False), ("", False), (".5", False)],
)
def test_the_share_is_checked_before_anything_is_made(share: str, fits: bool) -> None:
    assert bool(re.fullmatch(packaged()["Parameters"]["RecordShare"]["AllowedPattern"], share)) is fits
