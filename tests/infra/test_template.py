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
    "MonitorFunction": ("handler.on_schedule.handler", 300),
}
LOGS, ROLES = ({name: name.replace("Function", kind) for name in FUNCTIONS} for kind in ("Logs", "Role"))
# Where replies go: set by a trigger that is switched on (tests/infra/test_template_events.py).
DESTINATIONS = {"MODEL_RESULTS_QUEUE", "MODEL_ERRORS_QUEUE", "MODEL_RESULTS_BUS", "MODEL_RECORDS"}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    return deployed()


def test_the_functions(stack: dict[str, Any]) -> None:
    found = of_type(stack, "AWS::Lambda::Function")
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
        ]
        assert function["LoggingConfig"] == {"LogGroup": f"<{LOGS[name]}>"}
        assert function["Role"] == f"<{ROLES[name]}.Arn>"


def test_the_environment_of_each_function(stack: dict[str, Any]) -> None:
    for function in of_type(stack, "AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert not any(variables.pop(name, "") for name in DESTINATIONS)
        assert variables.pop("MODEL_MONITOR_HOURS", "24") == "24"
        assert variables == {
            "MODEL_STORE": "file:///opt/model",
            "MODEL_DEFAULT": "iris",
            "MODEL_TRUST": "bundled",
            "MODEL_PINS": "",
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
    for function in of_type(deployed({**given, "ModelStore": STORES[1]}), "AWS::Lambda::Function").values():
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
    assert set(paths) == {"/", "/{proxy+}"}
    for methods in paths.values():
        integration = methods["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
        assert integration["type"] == "aws_proxy"
        assert integration["uri"].endswith("/functions/<ApiFunction.Arn>:live/invocations")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert "BinaryMediaTypes" not in api
    assert api["MinimumCompressionSize"] == 1024
    permissions = of_type(stack, "AWS::Lambda::Permission").values()
    assert {permission["FunctionName"] for permission in permissions} == {"<ApiFunctionAliaslive>"}
    assert {permission["SourceArn"].rpartition("<Api>/")[2] for permission in permissions} == {"*/*/", "*/*/*"}


def test_the_stage_is_throttled() -> None:
    ((_, stage),) = of_type(deployed({"ThrottleRate": "7", "ThrottleBurst": "9"}), "AWS::ApiGateway::Stage").items()
    assert stage["StageName"] == "prod"
    (settings,) = stage["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("7", "9")


def test_logs_are_kept_for_as_long_as_said() -> None:
    groups = of_type(deployed({"LogRetentionDays": "7"}), "AWS::Logs::LogGroup")
    assert {name: (g["LogGroupName"], g["RetentionInDays"]) for name, g in groups.items()} == {
        LOGS[name]: (f"/aws/lambda/demo-{name}", "7") for name in FUNCTIONS
    }


@pytest.mark.parametrize("store", STORES)
def test_a_role_may_write_its_own_logs_and_nothing_else(store: str) -> None:
    roles = of_type(deployed({"ModelStore": store}), "AWS::IAM::Role")
    assert set(roles) == set(ROLES.values())
    for name, role in roles.items():
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
    assert set(policy["Roles"]) == {f"<{role}>" for role in ROLES.values()}
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
    assert always == {"Url", "ApiFunctionAlias", "InvokeFunctionAlias"}


def test_each_sample_event_is_read_by_a_function() -> None:
    names = {path.stem.partition("-")[0] for path in (ROOT / "events").glob("*.json")}
    assert {f"handler.on_{name}.handler" for name in names} == {handler for handler, _ in FUNCTIONS.values()}
