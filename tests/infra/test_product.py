"""The template as a product: every combination of two values of its main parameters, and what must hold in each.

Pairwise, not all: the 14 parameters have 110,592 combinations, and a translation takes a quarter of a second.
Conditions of the template look at one parameter each, seldom at two, so that a fault needs two values at most.
"""

import importlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from handler.settings import VARIABLES
from tests.infra.stack import ROOT, deployed, of_type, packaged, translate

TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
MAIN = {
    "ModelStore": ["file:///opt/model", "s3://my.bucket/models"],
    "Architecture": ["x86_64", "arm64"],
    "QueueTrigger": ["none", "standard", "fifo"],
    "BusTrigger": ["none", "own"],
    "ObjectTrigger": ["none", "own"],
    "RecordShare": ["0", "0.1"],
    "Feedback": ["off", "on"],
    "DeploymentType": ["AllAtOnce", "Canary10Percent5Minutes", "Linear10PercentEvery1Minute"],
    "SnapStart": ["false", "true"],
    "Tracing": ["false", "true"],
    "Monitoring": ["none", "alarms", "dashboard"],
    "AuthMode": ["ApiKey", "Iam", "Jwt", "None"],
    "DailyBudget": ["0", "5"],
    "AlarmTopic": ["", TOPIC],
}
Stack = Mapping[str, Any]


def pairwise(values: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Rows in which each two values of two parameters meet at least once: greedy."""
    names = list(values)
    missing = {
        frozenset({(a, x), (b, y)}) for a, b in itertools.combinations(names, 2) for x in values[a] for y in values[b]
    }
    rows = []
    while missing:
        row = dict(sorted(min(missing, key=sorted)))  # a pair that must be met, whatever else is
        for name in (name for name in names if name not in row):
            gain = {v: sum(frozenset({(name, v), pair}) in missing for pair in row.items()) for v in values[name]}
            row[name] = max(values[name], key=lambda value: gain[value])
        missing -= {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
        rows.append(row)
    return rows


ROWS = pairwise(MAIN)


@cache
def stack(row: int) -> Stack:
    return deployed(ROWS[row])


each = pytest.mark.parametrize("row", range(len(ROWS)))


def test_every_two_values_meet() -> None:
    assert len(ROWS) < 30
    for a, b in itertools.combinations(MAIN, 2):
        assert {(row[a], row[b]) for row in ROWS} == set(itertools.product(MAIN[a], MAIN[b]))


def test_every_choice_is_among_the_main_parameters() -> None:
    choices = {n for n, p in packaged()["Parameters"].items() if len(p.get("AllowedValues", [])) > 1}
    assert choices - set(MAIN) == {
        "ModelTrust",
        "LogRetentionDays",
        "PublicPage",
        "AccessLogs",
        "RecordDetail",
    }  # plain values


@each
def test_every_reference_is_to_something_that_is_there(row: int) -> None:
    """A condition on one side only: CloudFormation would refuse the stack with `Unresolved resource dependencies`."""
    found = stack(row)
    named = set(re.findall(r"<([A-Za-z0-9]+)(?:\.[\w.]+)?>", json.dumps(found)))
    assert named <= set(found)


def _versioned(found: Stack) -> set[str]:
    return {version["FunctionName"].strip("<>") for version in of_type(found, "AWS::Lambda::Version").values()}


@each
def test_each_alias_moves_by_a_deployment_that_asks_the_hook_first(row: int) -> None:
    found = stack(row)
    aliases = {name: r for name, r in found.items() if r["Type"] == "AWS::Lambda::Alias"}
    assert {alias["Properties"]["FunctionName"].strip("<>") for alias in aliases.values()} == _versioned(found)
    for alias in aliases.values():
        function = alias["Properties"]["FunctionName"].strip("<>")
        assert alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"] == {
            "ApplicationName": "<ServerlessDeploymentApplication>",
            "DeploymentGroupName": f"<{function}DeploymentGroup>",
            "BeforeAllowTrafficHook": "<DeployHookFunction>",
        }
        group = found[f"{function}DeploymentGroup"]["Properties"]
        assert group["DeploymentConfigName"] == f"CodeDeployDefault.Lambda{ROWS[row]['DeploymentType']}"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


@each
def test_a_canary_is_watched_by_alarms_that_exist(row: int) -> None:
    found, wanted = stack(row), ROWS[row]
    watched = ROWS[row]["DeploymentType"] != "AllAtOnce" or wanted["Monitoring"] != "none"
    for group in of_type(found, "AWS::CodeDeploy::DeploymentGroup").values():
        alarms = {alarm["Name"].strip("<>") for alarm in group["AlarmConfiguration"].get("Alarms", [])}
        assert alarms == ({"ApiErrorAlarm", "InvokeErrorAlarm", "ApiLatencyAlarm"} if watched else set())
    assert ("Dashboard" in found) is (wanted["Monitoring"] == "dashboard")
    assert ("BudgetAlarm" in found) is (wanted["DailyBudget"] != "0")
    for alarm in of_type(found, "AWS::CloudWatch::Alarm").values():
        assert alarm.get("AlarmActions") == ([TOPIC] if wanted["AlarmTopic"] else None)
        # Between two looks of the monitor nothing is known anew: a daily one would be an alarm for an hour only.
        assert alarm["TreatMissingData"] == ("ignore" if alarm.get("MetricName") == "Drifted" else "notBreaching")


@each
def test_who_deploys_may_move_these_aliases_and_no_other(row: int) -> None:
    found = stack(row)
    ((_, role),) = [(n, r) for n, r in of_type(found, "AWS::IAM::Role").items() if n == "DeployRole"]
    move, ask, _ = role["Policies"][0]["PolicyDocument"]["Statement"]
    functions = sorted(_versioned(found))
    assert sorted(move["Resource"]) == sorted(f"<{f}.Arn>{suffix}" for f in functions for suffix in ("", ":live"))
    assert (ask["Action"], ask["Resource"]) == ("lambda:InvokeFunction", "<DeployHookFunction.Arn>")


@each
def test_snap_start_tracing_and_nothing_beside(row: int) -> None:
    found, wanted = stack(row), ROWS[row]
    for name, function in of_type(found, "AWS::Lambda::Function").items():
        snaps = wanted["SnapStart"] == "true" and name in {"ApiFunction", "InvokeFunction"}
        assert (function.get("SnapStart", {"ApplyOn": "None"})["ApplyOn"] == "PublishedVersions") is snaps
        if name in _versioned(found):
            assert function["TracingConfig"]["Mode"] == ("Active" if wanted["Tracing"] == "true" else "PassThrough")
            role = found[function["Role"].strip("<>").removesuffix(".Arn")]["Properties"]
            assert role.get("ManagedPolicyArns") == (["<TracePolicy>"] if wanted["Tracing"] == "true" else None)
    (stage,) = of_type(found, "AWS::ApiGateway::Stage").values()
    assert stage["TracingEnabled"] is (wanted["Tracing"] == "true")


def test_provisioned_concurrency_is_never_there_with_a_snapshot() -> None:
    both = deployed({"SnapStart": "true", "ProvisionedConcurrency": "3"})
    alone = deployed({"ProvisionedConcurrency": "3"})
    assert "ProvisionedConcurrencyConfig" not in both["ApiFunctionAliaslive"]["Properties"]
    alias = alone["ApiFunctionAliaslive"]["Properties"]
    assert alias["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": "3"}


@pytest.mark.parametrize(
    ("parameters", "broken"),
    [
        ({}, set()),
        ({"SnapStart": "true"}, set()),
        ({"ProvisionedConcurrency": "1"}, set()),
        ({"SnapStart": "true", "ProvisionedConcurrency": "1"}, {"SnapshotOrProvisioned"}),
        ({"DeploymentType": "Canary10Percent5Minutes", "ProvisionedConcurrency": "1"}, {"ProvisionedAtOnce"}),
    ],
)
def test_the_rules_refuse_what_lambda_would(parameters: dict[str, str], broken: set[str]) -> None:
    from tests.infra.stack import _Evaluation  # noqa: PLC0415  -- rules are conditions by another name

    template = translate(parameters)
    evaluation = _Evaluation(template, parameters)

    def fails(rule: Any) -> bool:
        applies = "RuleCondition" not in rule or evaluation.value(rule["RuleCondition"])
        return applies and not all(evaluation.value(assertion["Assert"]) for assertion in rule["Assertions"])

    assert {name for name, rule in template["Rules"].items() if fails(rule)} == broken


# --- permissions

# A statement that allows with a wildcard, by role or policy and action, and why.
WILDCARDS = {
    (
        "DeployHookRole",
        "lambda:InvokeFunction",
    ): "any version: a policy that named the new one would not be known in time",
    ("DeployHookRole", "lambda:GetFunctionConfiguration"): "any version of the two",
    ("DeployHookRole", "codedeploy:PutLifecycleEventHookExecutionStatus"): "the groups of this stack's application",
    ("DeployRole", "cloudwatch:DescribeAlarms"): "reads states, and lists before it looks",
    ("TracePolicy", "xray:PutTraceSegments"): "X-Ray knows no resources for it",
    ("TracePolicy", "xray:PutTelemetryRecords"): "X-Ray knows no resources for it",
    ("ReadModels", "s3:GetObject"): "objects below the models' prefix",
    ("ObjectAccess", "s3:GetObject"): "objects below the prefixes",
    ("ObjectAccess", "s3:GetObjectVersion"): "objects below the input prefix",
    ("ObjectAccess", "s3:PutObject"): "objects below the output prefix",
    ("ObjectAccess", "s3:DeleteObject"): "objects below the output prefix",
    ("ObjectAccess", "s3:AbortMultipartUpload"): "objects below the output prefix",
    ("MonitorAccess", "s3:GetObject"): "objects below the records' prefix",
    ("RecordStreamRole", "s3:PutObject"): "objects of the records' bucket",
    ("RecordStreamRole", "s3:GetObject"): "objects of the records' bucket",
    ("RecordStreamRole", "s3:AbortMultipartUpload"): "objects of the records' bucket",
    ("BulkStateMachineRole", "states:DescribeExecution"): "executions of this machine",
    ("BulkStateMachineRole", "states:StopExecution"): "executions of this machine",
    ("BulkStateMachineRole", "states:RedriveExecution"): "executions of this machine",
    ("BulkStateMachineRole", "s3:GetObject"): "objects below the output prefix",
    ("BulkStateMachineRole", "s3:PutObject"): "objects below the output prefix",
    ("BulkStateMachineRole", "s3:ListMultipartUploadParts"): "objects below the output prefix",
    ("BulkStateMachineRole", "s3:AbortMultipartUpload"): "objects below the output prefix",
}


def _statements(name: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        for item in node:
            yield from _statements(name, item)
    elif isinstance(node, dict):
        if "Effect" in node:
            yield name, node
        for item in node.values():
            yield from _statements(name, item)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_each_wildcard_of_a_permission_has_a_reason() -> None:
    seen = set()
    for row in range(len(ROWS)):
        for name, entry in stack(row).items():
            if not entry["Type"].startswith("AWS::IAM::"):
                continue
            for _, statement in _statements(name, entry["Properties"]):
                assert statement["Effect"] == "Allow"
                actions = _list(statement["Action"])
                assert not any("*" in action for action in actions)
                if any("*" in resource for resource in _list(statement.get("Resource", ""))):
                    seen |= {(name, action) for action in actions}
    assert seen == set(WILDCARDS)


@each
def test_whoever_is_let_in_from_outside_is_one_service_and_one_source(row: int) -> None:
    for permission in of_type(stack(row), "AWS::Lambda::Permission").values():
        assert permission["Principal"].endswith(".amazonaws.com")
        assert "SourceArn" in permission or "SourceAccount" in permission
    for kind in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
        for policy in of_type(stack(row), kind).values():
            for _, statement in _statements("", policy):
                assert statement["Effect"] == "Deny" or statement["Condition"]


# --- what must fit together


@each
def test_time_is_consistent_across_the_stack(row: int) -> None:
    """Whoever waits for a function waits longer than it may take, and what is tried again is kept for longer."""
    found = stack(row)
    timeouts = {name: int(f["Timeout"]) for name, f in of_type(found, "AWS::Lambda::Function").items()}
    assert timeouts["ApiFunction"] == 29  # the API gives up then; more would be paid for nobody
    assert all(timeout <= 900 for timeout in timeouts.values())
    queues = of_type(found, "AWS::SQS::Queue")
    for source in of_type(found, "AWS::Lambda::EventSourceMapping").values():
        if "EventSourceArn" not in source or ".Arn>" not in source["EventSourceArn"]:
            continue
        queue = queues[source["EventSourceArn"].strip("<>").removesuffix(".Arn")]
        timeout = timeouts[source["FunctionName"].strip("<>").removesuffix("Aliaslive")]
        window = int(source.get("MaximumBatchingWindowInSeconds", 0))
        assert int(queue["VisibilityTimeout"]) >= 6 * timeout + window - 1  # Lambda's advice, by FACTS of its docs
        redrive = queue["RedrivePolicy"]
        dead = queues[redrive["deadLetterTargetArn"].strip("<>").removesuffix(".Arn")]
        tries = int(queue["VisibilityTimeout"]) * int(redrive["maxReceiveCount"])
        assert tries < int(queue["MessageRetentionPeriod"]) <= int(dead["MessageRetentionPeriod"])
    for rule in of_type(found, "AWS::Events::Rule").values():
        if "ScheduleExpression" in rule:
            continue  # the next run looks at what a lost one would have; MonitorErrorAlarm tells
        for target in rule["Targets"]:
            name = target["Arn"].strip("<>").removesuffix("Aliaslive")
            assert target["RetryPolicy"]["MaximumEventAgeInSeconds"] >= timeouts[name]
            kept = queues[target["DeadLetterConfig"]["Arn"].strip("<>").removesuffix(".Arn")]
            assert int(kept["MessageRetentionPeriod"]) > target["RetryPolicy"]["MaximumEventAgeInSeconds"]
    for config in of_type(found, "AWS::Lambda::EventInvokeConfig").values():
        assert config["DestinationConfig"]["OnFailure"]["Destination"]


@each
def test_each_variable_is_a_setting_and_each_function_logs_to_its_own_group(row: int) -> None:
    known = {*VARIABLES, "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "OPENBLAS_NUM_THREADS"}
    known |= {"OMP_NUM_THREADS", "JOBLIB_MULTIPROCESSING", "ORT_DISABLE_TELEMETRY", "PYDANTIC_DISABLE_PLUGINS"}
    known |= {"JWT_ISSUER", "JWT_AUDIENCE", "JWT_KEYS_URL", "JWT_SCOPES"}  # tests/test_authorizer.py
    functions = of_type(stack(row), "AWS::Lambda::Function")
    for name, function in functions.items():
        assert set(function["Environment"]["Variables"]) <= known
        assert function["LoggingConfig"] == {"LogGroup": f"<{name.replace('Function', 'Logs')}>"}
    handlers = {function["Handler"] for function in functions.values()}
    for handler in handlers:
        module, _, attribute = handler.rpartition(".")
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
        assert re.search(rf"^def {attribute}\(event", source, re.M), handler


@pytest.mark.parametrize(
    "handler", sorted({f["Handler"] for f in of_type(deployed({"AuthMode": "Jwt"}), "AWS::Lambda::Function").values()})
)
def test_each_handler_imports(handler: str, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MODEL_STORE": packed.as_uri(),
        "MODEL_DEFAULT": "iris",
        "JWT_ISSUER": "https://i",
        "JWT_AUDIENCE": "a",
    }.items():
        monkeypatch.setenv(name, value)
    module, _, attribute = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_buckets_keep_their_data_and_let_nobody_else_in() -> None:
    found = deployed({"ObjectTrigger": "own", "RecordShare": "0.1"})
    buckets = {name: r for name, r in found.items() if r["Type"] == "AWS::S3::Bucket"}
    policies = of_type(found, "AWS::S3::BucketPolicy").values()
    assert len(buckets) == 2
    for name, bucket in buckets.items():
        assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
        properties = bucket["Properties"]
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        (denied,) = [s for p in policies if p["Bucket"] == f"<{name}>" for s in p["PolicyDocument"]["Statement"]]
        assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_queues_are_encrypted() -> None:
    found = deployed({"QueueTrigger": "fifo", "BusTrigger": "own", "ObjectTrigger": "own"})
    assert all(queue["SqsManagedSseEnabled"] is True for queue in of_type(found, "AWS::SQS::Queue").values())


# The triggers' and conditions' alarms and widgets: all, or none but those of every watched stack.
WATCHED = {
    "QueueTrigger": "standard",
    "BusTrigger": "own",
    "ObjectTrigger": "own",
    "RecordShare": "0.1",
    "DailyBudget": "5",
}


@pytest.mark.parametrize("parameters", [{}, WATCHED])
def test_the_dashboard_shows_every_alarm_and_every_metric_by_dimensions_that_we_write(
    parameters: dict[str, str],
) -> None:
    from handler.observe import DIMENSIONS, METRICS  # noqa: PLC0415

    found = deployed({"Monitoring": "dashboard", **parameters})
    body = json.loads(found["Dashboard"]["Properties"]["DashboardBody"])
    searched = re.findall(r"SEARCH\('\{([^}]+)\} (.*?)', '", json.dumps(body).replace("\\", ""))
    shown: dict[str, set[str]] = {}
    for schema, condition in searched:
        shown.setdefault(schema, set()).update(re.findall(r'MetricName="(\w+)"', condition))
    calls, versions = ("demo," + ",".join(names) for names in DIMENSIONS)
    rollouts = {"Degraded", "Swaps", "ShadowDisagreements", "ShadowErrors", "RefreshTime", "ColdStartTime"}
    assert shown[calls] | shown[versions] == {metric["Name"] for metric in METRICS} | rollouts
    (table,) = re.findall(r"^\| metric .*?\n\n", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE | re.DOTALL)
    monitored = {
        name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1] if line else "")
    }
    drift = shown.get("demo,model,service,version", set()) | shown.get("demo,service", set())
    assert drift == (monitored if parameters else set())
    (alarms,) = [set(w["properties"]["alarms"]) for w in body["widgets"] if w["type"] == "alarm"]
    assert alarms == {f"<{name}.Arn>" for name in of_type(found, "AWS::CloudWatch::Alarm")}
    cells = {(w["x"] + i, w["y"] + j) for w in body["widgets"] for i in range(w["width"]) for j in range(w["height"])}
    assert len(cells) == sum(w["width"] * w["height"] for w in body["widgets"])  # none on top of another


def test_every_function_whose_lines_have_a_price_or_are_degraded_is_in_the_sum() -> None:
    """A search would find them all, but an alarm takes none."""
    found = deployed({**WATCHED, "Monitoring": "alarms"})
    ours = _versioned(found)
    for alarm, left_out in (("BudgetAlarm", set[str]()), ("DegradedAlarm", {"MonitorFunction"})):  # it loads no model
        metrics = found[alarm]["Properties"]["Metrics"]
        named = {
            d["Value"].strip("<>")
            for m in metrics
            if "MetricStat" in m
            for d in m["MetricStat"]["Metric"]["Dimensions"]
        }
        assert named == ours - left_out
        assert all(f"FILL({m['Id']}, 0)" in metrics[0]["Expression"] for m in metrics[1:])
        assert len(metrics) <= 10  # CloudWatch takes no more


# --- moto

UNKNOWN_TO_MOTO = {
    "AWS::ApiGateway::ApiKey",
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::Stage",
    "AWS::ApiGateway::UsagePlan",
    "AWS::ApiGateway::UsagePlanKey",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::EventSchemas::Registry",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Logs::SubscriptionFilter",
    "AWS::EventSchemas::Schema",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::S3::BucketPolicy",
    "AWS::Scheduler::Schedule",
}


def reduced(template: dict[str, Any]) -> dict[str, Any]:
    """What moto's CloudFormation can make: an alias becomes its function, a stage its name, the rest goes."""
    resources = template["Resources"]
    instead: dict[str, Any] = {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Alias":
            instead[name] = {"Fn::GetAtt": [resource["Properties"]["FunctionName"]["Ref"], "Arn"]}
        elif resource["Type"] in UNKNOWN_TO_MOTO:
            instead[name] = name
    kept = {name: resource for name, resource in resources.items() if name not in instead}
    for name, resource in kept.items():
        if resource["Type"] == "AWS::ApiGateway::RestApi":  # moto ignores the body and wants a name
            resource["Properties"] = {"Name": name}
        if "EventBusName" in resource["Properties"]:  # moto hands the bus on as an object
            resource["Properties"]["EventBusName"] = {"Fn::GetAtt": ["Bus", "Name"]}
        waits = [other for other in _list(resource.pop("DependsOn", [])) if other in kept]
        resource.update({"DependsOn": waits} if waits else {})

    def rewritten(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get("Ref") in instead or (node.get("Fn::GetAtt") or [""])[0] in instead:
                return instead[node["Ref"] if "Ref" in node else node["Fn::GetAtt"][0]]
            return {key: rewritten(value) for key, value in node.items()}
        if isinstance(node, list):
            return [rewritten(item) for item in node]
        return (
            re.sub(r"\$\{(\w+)", lambda m: m[0] if m[1] not in instead else "${AWS::StackName", node)
            if isinstance(node, str)
            else node
        )

    return {**template, "Resources": rewritten(kept), "Outputs": {}}


@pytest.mark.filterwarnings("ignore:Tried to parse")  # what else it does not know, it leaves out with a warning
@pytest.mark.parametrize("auth", ["ApiKey", "Jwt"])
def test_a_reduced_stack_can_be_made(auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smoke test of references, conditions and names: moto resolves them as CloudFormation does."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    parameters = {
        "AuthMode": auth,
        "QueueTrigger": "fifo",
        "BusTrigger": "own",
        "ObjectTrigger": "own",
        "Tracing": "true",
        "RecordShare": "0.1",
        "Feedback": "on",
    }
    parameters |= {"ModelStore": "s3://my.bucket/models", "Monitoring": "dashboard", "DailyBudget": "5"}
    parameters |= {"JwtIssuer": "https://issuer.example", "JwtAudience": "models"}
    template = reduced(json.loads(json.dumps(translate(parameters))))
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client("cloudformation", endpoint_url=f"http://{host}:{port}")
        storage = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        storage.create_bucket(Bucket="deploy")
        for key in re.findall(r'"S3Key": "([^"]+)"', json.dumps(template)):
            storage.put_object(Bucket="deploy", Key=key, Body=b"PK\x05\x06" + bytes(18))
        client.create_stack(
            StackName=f"smoke-{auth}",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        made = client.describe_stack_resources(StackName=f"smoke-{auth}")["StackResources"]
        assert client.describe_stacks(StackName=f"smoke-{auth}")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    finally:
        server.stop()
    names = {resource["LogicalResourceId"] for resource in made if "LogicalResourceId" in resource}
    assert {"ApiFunction", "DeployHookFunction", "RequestQueue", "Bus", "BulkBucket", "ReadModels"} <= names
