"""What the stack consists of, for models in the layer and on S3."""

import json
import re
from typing import Any

import pytest

from tests.infra.stack import ROOT, deployed, of_type, packaged

STORES = ["file:///opt/model", "s3://my.bucket/models", "s3://my.bucket/team/models", "s3://my.bucket/team/models/v1"]
FUNCTIONS = {
    "ApiFunction": ("handler.on_http.handler", 29),
    "InvokeFunction": ("handler.on_invoke.handler", 60),
    "QueueFunction": ("handler.on_queue.handler", 60),
    "BusFunction": ("handler.on_bus.handler", 60),
    "ObjectFunction": ("handler.on_object.handler", 900),
    "MapFunction": ("handler.on_map.handler", 900),
    "MonitorFunction": ("handler.on_schedule.handler", 300),
}
LOGS, ROLES = ({name: name.replace("Function", kind) for name in FUNCTIONS} for kind in ("Logs", "Role"))
# Where replies go: set by a trigger that is switched on (tests/infra/test_template_events.py).
DESTINATIONS = {"MODEL_RESULTS_QUEUE", "MODEL_ERRORS_QUEUE", "MODEL_RESULTS_BUS", "MODEL_RECORDS"}


# What moves the aliases: tests/infra/test_product.py.
DEPLOY_ROLES = {"DeployHookRole", "DeployRole"}


def serving(resources: dict[str, Any]) -> dict[str, Any]:
    """The functions that have versions."""
    functions = of_type(resources, "AWS::Lambda::Function")
    return {
        v["FunctionName"][1:-1]: functions[v["FunctionName"][1:-1]]
        for v in of_type(resources, "AWS::Lambda::Version").values()
    }


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return deployed()


def test_the_functions(stack: dict[str, Any]) -> None:
    found = serving(stack)
    assert {name: (f["Handler"], f["Timeout"]) for name, f in found.items()} == FUNCTIONS
    for name, function in found.items():
        assert (function["Runtime"], function["Architectures"], function["MemorySize"]) == (
            "python3.13",
            ["x86_64"],
            "1769",
        )
        assert [re.sub(r"\w{10}>$", ">", layer) for layer in function["Layers"]] == [
            "<DependenciesLayer>",
            "<ModelLayer>",
            *(["<BulkLayer>"] if name in {"ObjectFunction", "MapFunction"} else []),
        ]
        assert function["LoggingConfig"] == {"LogGroup": f"<{LOGS[name]}>"}
        assert function["Role"] == f"<{ROLES[name]}.Arn>"


def test_the_environment_of_each_function(stack: dict[str, Any]) -> None:
    for name, function in serving(stack).items():
        variables = function["Environment"]["Variables"]
        assert not any(variables.pop(destination, "") for destination in DESTINATIONS)
        assert variables.pop("MODEL_MONITOR_HOURS", "24") == "24"
        own = {"MODEL_CORS_ORIGIN": ""} if name == "ApiFunction" else {}
        assert {key: value for key, value in variables.items() if not key.startswith("MODEL_BULK_")} == own | {
            "MODEL_STORE": "file:///opt/model",
            "MODEL_DEFAULT": "iris",
            "MODEL_TRUST": "bundled",
            "MODEL_PINS": "",
            "MODEL_REFRESH_SECONDS": "",
            "MODEL_PUBLIC_KEYS": "",
            "MODEL_RECORD_SHARE": "0",
            "MODEL_RECORD_DETAIL": "answers",
            "MODEL_FEEDBACK": "off",
            "POWERTOOLS_SERVICE_NAME": "demo",
            "POWERTOOLS_METRICS_NAMESPACE": "demo",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "JOBLIB_MULTIPROCESSING": "0",
            "ORT_DISABLE_TELEMETRY": "1",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
        }


def test_parameters_reach_the_functions() -> None:
    given = {
        "ModelDefault": "babies",
        "ModelTrust": "pinned",
        "ModelPins": "x",
        "Architecture": "arm64",
        "MemorySize": "512",
    }
    for function in serving(deployed({**given, "ModelStore": STORES[1]})).values():
        variables = function["Environment"]["Variables"]
        assert [variables[f"MODEL_{name}"] for name in ("STORE", "DEFAULT", "TRUST", "PINS")] == [
            STORES[1],
            "babies",
            "pinned",
            "x",
        ]
        assert (function["Architectures"], function["MemorySize"]) == (["arm64"], "512")


def test_each_function_has_a_live_alias(stack: dict[str, Any]) -> None:
    aliases = of_type(stack, "AWS::Lambda::Alias")
    assert {alias["FunctionName"] for alias in aliases.values()} == {f"<{name}>" for name in FUNCTIONS}
    assert {alias["Name"] for alias in aliases.values()} == {"live"}


def test_the_api_calls_the_alias_on_every_path(stack: dict[str, Any]) -> None:
    ((_, api),) = of_type(stack, "AWS::ApiGateway::RestApi").items()
    paths = api["Body"]["paths"]
    for (method,) in (methods.values() for methods in paths.values()):
        integration = method["x-amazon-apigateway-integration"]
        assert integration["type"] == "aws_proxy"
        assert integration["uri"].endswith("/functions/<ApiFunction.Arn>:live/invocations")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert "BinaryMediaTypes" not in api
    assert api["MinimumCompressionSize"] == 1024
    permissions: Any = of_type(stack, "AWS::Lambda::Permission").values()
    permissions = [found for found in permissions if found["Principal"] == "apigateway.amazonaws.com"]
    assert {permission["FunctionName"] for permission in permissions} == {"<ApiFunctionAliaslive>"}
    assert {permission["SourceArn"].rpartition("<Api>/")[2] for permission in permissions} == {"prod/*"}


def test_the_stage_is_throttled() -> None:
    ((_, stage),) = of_type(deployed({"ThrottleRate": "7", "ThrottleBurst": "9"}), "AWS::ApiGateway::Stage").items()
    assert stage["StageName"] == "prod"
    settings = stage["MethodSettings"][0]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("7", "9")


def test_logs_are_kept_for_as_long_as_said() -> None:
    groups = of_type(deployed({"LogRetentionDays": "7"}), "AWS::Logs::LogGroup")
    assert {name: (g["LogGroupName"], g["RetentionInDays"]) for name, g in groups.items()} == {
        name.replace("Function", "Logs"): (f"/aws/lambda/demo-{name}", "7")
        for name in {*FUNCTIONS, "DeployHookFunction"}
    }


@pytest.mark.parametrize("store", STORES)
def test_a_role_may_write_its_own_logs_and_nothing_else(store: str) -> None:
    roles = of_type(deployed({"ModelStore": store}), "AWS::IAM::Role")
    assert set(roles) == set(ROLES.values()) | DEPLOY_ROLES
    for name, role in ((name, role) for name, role in roles.items() if name not in DEPLOY_ROLES):
        assert "ManagedPolicyArns" not in role
        assert [policy["PolicyDocument"]["Statement"] for policy in role["Policies"]] == [
            [
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": f"<{name.replace('Role', 'Logs')}.Arn>",
                }
            ]
        ]


def test_models_in_the_layer_need_no_further_permission(stack: dict[str, Any]) -> None:
    assert not of_type(stack, "AWS::IAM::Policy")


@pytest.mark.parametrize("store", STORES[1:])
def test_models_on_s3_are_readable_below_their_prefix_only(store: str) -> None:
    bucket, _, prefix = store.removeprefix("s3://").partition("/")
    ((_, policy),) = of_type(deployed({"ModelStore": store}), "AWS::IAM::Policy").items()
    assert set(policy["Roles"]) == {f"<{role}>" for role in {*ROLES.values(), "DeployHookRole"}}
    assert policy["PolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/{prefix}/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringLike": {"s3:prefix": f"{prefix}/*"}},
        },
    ]


def _statements(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [statement for item in node for statement in _statements(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if "Effect" in node else []
    return own + [statement for item in node.values() for statement in _statements(item)]


@pytest.mark.parametrize("store", STORES)
def test_no_policy_has_a_wildcard_for_an_action_or_a_whole_resource(store: str) -> None:
    statements = _statements(deployed({"ModelStore": store}))
    assert len(statements) >= 4
    for statement in statements:
        assert "*" not in json.dumps(statement.get("Action"))
        assert statement.get("Resource") != "*"


@pytest.mark.parametrize(
    ("store", "fits"),
    [
        *((store, True) for store in STORES),
        ("s3://bucket", False),
        ("s3://bucket/", False),
        ("s3://bucket/a/b/c/d", False),
        ("s3://bucket/a/", False),
        ("s3://bucket/a/../b", False),
        ("s3://bucket/*", False),
        ("s3://Bucket/a", False),
        ("file:///opt/other", False),
        ("https://bucket/a", False),
    ],
)
def test_the_store_is_checked_before_anything_is_made(store: str, fits: bool) -> None:
    pattern = packaged()["Parameters"]["ModelStore"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, store)) is fits


def test_the_outputs_name_the_url_and_the_aliases() -> None:
    always = {name for name, output in packaged()["Outputs"].items() if "Condition" not in output}
    assert always == {"Url", "ApiFunctionAlias", "InvokeFunctionAlias", "ObjectFunctionAlias", "MapFunctionAlias"}


def test_each_sample_event_is_read_by_a_function() -> None:
    names = {path.stem.partition("-")[0] for path in (ROOT / "events").glob("*.json")}
    found = of_type(deployed({"AuthMode": "Jwt"}), "AWS::Lambda::Function").values()
    assert {f"handler.on_{name}.handler" for name in names} == {function["Handler"] for function in found}


def test_the_object_function_reads_its_input_and_writes_its_output_and_nothing_else() -> None:
    given = {"ObjectTrigger": "own", "InputPrefix": "rows/", "OutputPrefix": "scored/"}
    stack = deployed(given)
    variables = of_type(stack, "AWS::Lambda::Function")["ObjectFunction"]["Environment"]["Variables"]
    assert variables["MODEL_BULK_INPUTS"] == "s3://<BulkBucket>/rows/"
    assert variables["MODEL_BULK_OUTPUTS"] == "s3://<BulkBucket>/scored/"
    policy = of_type(stack, "AWS::IAM::Policy")["ObjectAccess"]
    bucket = "arn:aws:s3:::<BulkBucket>"
    assert [(s["Action"], s["Resource"]) for s in policy["PolicyDocument"]["Statement"]] == [
        (["s3:GetObject", "s3:GetObjectVersion"], f"{bucket}/rows/*"),
        (["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], f"{bucket}/scored/*"),
        ("s3:ListBucket", bucket),
    ]
    handover = of_type(stack, "AWS::IAM::Policy")["ObjectHandover"]["PolicyDocument"]["Statement"]
    assert [(s["Action"], s["Resource"]) for s in handover] == [
        ("sqs:SendMessage", "<ObjectFailures.Arn>"),
        ("states:StartExecution", "<BulkStateMachine>"),
    ]
    assert policy["PolicyDocument"]["Statement"][2]["Condition"] == {
        "StringLike": {"s3:prefix": ["rows/*", "scored/*"]}
    }


def test_objects_below_the_input_prefix_start_the_alias_and_failures_are_kept() -> None:
    stack = deployed({"ObjectTrigger": "own"})
    ((_, rule),) = of_type(stack, "AWS::Events::Rule").items()
    assert rule["EventPattern"]["detail"] == {
        "bucket": {"name": ["<BulkBucket>"]},
        "object": {"key": [{"prefix": "in/"}]},
    }
    (target,) = rule["Targets"]
    assert target["Arn"] == "<ObjectFunctionAliaslive>"
    assert target["DeadLetterConfig"] == {"Arn": "<ObjectFailures.Arn>"}
    ((_, invoke),) = of_type(stack, "AWS::Lambda::EventInvokeConfig").items()
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"] == "<ObjectFailures.Arn>"
    ((_, bucket),) = of_type(stack, "AWS::S3::Bucket").items()
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"] == {"EventBridgeEnabled": True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    stale, runs, _ = bucket["LifecycleConfiguration"]["Rules"]
    assert stale["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert (runs["Prefix"], runs["ExpirationInDays"]) == ("out/_runs/", 15)
    (statement,) = of_type(stack, "AWS::S3::BucketPolicy")["BulkBucketPolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_output_cannot_be_input_again() -> None:
    """Each prefix is one whole segment, so that unequal ones are apart, and a rule refuses equal ones."""
    template = packaged()
    for name in ("InputPrefix", "OutputPrefix"):
        pattern = template["Parameters"][name]["AllowedPattern"]
        assert [bool(re.fullmatch(pattern, text)) for text in ("in/", "in", "in/out/", "/", "")] == [True] + [False] * 4
    (assertion,) = template["Rules"]["OutputIsNoInput"]["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "InputPrefix"}, {"Ref": "OutputPrefix"}]}]}
