"""The state machine in the stack: its function, its rights and no more, its alarm, and no circle of references."""

import json
import re
from typing import Any

import pytest

from handler.settings import Settings
from tests.infra.stack import deployed, of_type, translate

BUCKET = "arn:aws:s3:::<BulkBucket>"
ARN = "arn:aws:states:us-east-1:123456789012"


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return deployed({"ObjectTrigger": "own", "InputPrefix": "rows/", "OutputPrefix": "scored/", "BulkConcurrency": "7"})


def statements(stack: dict[str, Any], role: str) -> list[tuple[Any, Any]]:
    policies = list(of_type(stack, "AWS::IAM::Role")[role]["Policies"])
    policies += [found for found in of_type(stack, "AWS::IAM::Policy").values() if f"<{role}>" in found["Roles"]]
    return [(s["Action"], s["Resource"]) for policy in policies for s in policy["PolicyDocument"]["Statement"]]


def test_the_machine_is_of_the_standard_type_and_calls_the_alias(stack: dict[str, Any]) -> None:
    ((_, machine),) = of_type(stack, "AWS::StepFunctions::StateMachine").items()
    assert (machine["StateMachineType"], machine["StateMachineName"]) == ("STANDARD", "demo-bulk")
    assert machine["RoleArn"] == "<BulkStateMachineRole.Arn>"
    assert machine["DefinitionSubstitutions"] == {
        "Partition": "aws",
        "MapFunction": "<MapFunctionAliaslive>",
        "Bucket": "<BulkBucket>",
        "OutputPrefix": "scored/",
        "PartBytes": "134217728",
        "MaxConcurrency": "7",
        "ToleratedFailurePercentage": "0",
    }


def test_its_role_starts_itself_calls_the_alias_and_touches_the_output_only(stack: dict[str, Any]) -> None:
    assert statements(stack, "BulkStateMachineRole") == [
        ("lambda:InvokeFunction", "<MapFunctionAliaslive>"),
        ("states:StartExecution", f"{ARN}:stateMachine:demo-bulk"),
        (
            ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"],
            f"{ARN}:execution:demo-bulk/*",
        ),
        (
            ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"],
            f"{BUCKET}/scored/*",
        ),
    ]
    trust = of_type(stack, "AWS::IAM::Role")["BulkStateMachineRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert [s["Principal"] for s in trust] == [{"Service": "states.amazonaws.com"}]
    assert trust[0]["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_its_function_reads_the_input_and_writes_the_output_and_nothing_else(stack: dict[str, Any]) -> None:
    functions = of_type(stack, "AWS::Lambda::Function")
    variables = functions["MapFunction"]["Environment"]["Variables"]
    assert variables["MODEL_BULK_INPUTS"] == "s3://<BulkBucket>/rows/"
    assert variables["MODEL_BULK_OUTPUTS"] == "s3://<BulkBucket>/scored/"
    assert statements(stack, "MapRole") == [
        (["logs:CreateLogStream", "logs:PutLogEvents"], "<MapLogs.Arn>"),
        (["s3:GetObject", "s3:GetObjectVersion"], f"{BUCKET}/rows/*"),
        (["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], f"{BUCKET}/scored/*"),
        ("s3:ListBucket", BUCKET),
    ]


def test_the_object_function_hands_over_to_the_machine(stack: dict[str, Any]) -> None:
    variables = of_type(stack, "AWS::Lambda::Function")["ObjectFunction"]["Environment"]["Variables"]
    assert variables["MODEL_BULK_STATE_MACHINE"] == "<BulkStateMachine>"
    assert ("states:StartExecution", "<BulkStateMachine>") in statements(stack, "ObjectRole")
    arn = f"{ARN}:stateMachine:demo-bulk"
    assert Settings.from_env({"MODEL_BULK_STATE_MACHINE": arn}).bulk_state_machine == arn


def test_a_run_that_fails_late_or_stopped_raises_an_alarm() -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:topic"
    alarm = of_type(deployed({"ObjectTrigger": "own", "AlarmTopic": topic}), "AWS::CloudWatch::Alarm")[
        "BulkFailedAlarm"
    ]
    assert alarm["AlarmActions"] == [topic]
    watched = [entry["MetricStat"]["Metric"] for entry in alarm["Metrics"] if "MetricStat" in entry]
    assert [metric["MetricName"] for metric in watched] == [
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
    ]
    assert all(m["Dimensions"] == [{"Name": "StateMachineArn", "Value": "<BulkStateMachine>"}] for m in watched)
    (total,) = [entry for entry in alarm["Metrics"] if "Expression" in entry]
    ids = {entry["Id"] for entry in alarm["Metrics"]} - {total["Id"]}
    assert set(re.findall(r"FILL\((\w+), 0\)", total["Expression"])) == ids
    assert (
        "AlarmActions" not in of_type(deployed({"ObjectTrigger": "own"}), "AWS::CloudWatch::Alarm")["BulkFailedAlarm"]
    )


def test_no_resource_waits_for_itself() -> None:
    """CloudFormation refuses a circle: the role names the machine by text, the machine its role by reference."""
    resources = translate()["Resources"]

    def needs(name: str) -> set[str]:
        text = json.dumps(resources[name])
        found = set(re.findall(r'"(?:Ref|DependsOn)": "(\w+)"', text)) | set(re.findall(r"\$\{(\w+)[.}]", text))
        found |= set(re.findall(r'"Fn::GetAtt": \["(\w+)"', text))
        return (found & set(resources)) - {name}

    waiting = {name: needs(name) for name in resources}
    assert "MapFunctionAliaslive" in waiting["BulkStateMachine"]
    while waiting:
        ready = {name for name, wanted in waiting.items() if not wanted & set(waiting)}
        assert ready, f"a circle among {sorted(waiting)}"
        waiting = {name: wanted for name, wanted in waiting.items() if name not in ready}
