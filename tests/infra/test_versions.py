"""The stale-model trap: an alias serves what it pointed to before, unless every change publishes a version."""

import json
from typing import Any
from unittest import mock

import pytest

from tests.infra.stack import Edit, of_type, packaged, translate

VERSION = "AWS::Lambda::Version"
CHANGED = {
    "ModelStore": "s3://bucket/prefix",
    "ModelDefault": "babies",
    "ModelTrust": "pinned",
    "ModelPins": "iris=sha256:0",
    "ModelPublicKeys": "ed25519:0",
    "Architecture": "arm64",
    "MemorySize": "2048",
    "RefreshSeconds": "10",
    "LogRetentionDays": "7",
    "ThrottleRate": "7",
    "ThrottleBurst": "7",
    "AuthMode": "Iam",
    "JwtIssuer": "https://issuer.example",
    "JwtAudience": "a",
    "JwtKeysUrl": "https://issuer.example/keys",
    "JwtScopes": "predict=POST/*",
    "JwtCacheSeconds": "7",
    "KeyRate": "7",
    "KeyBurst": "7",
    "KeyQuotaPerDay": "7",
    "PublicPage": "false",
    "PublicRate": "7",
    "PublicBurst": "7",
    "ReservedConcurrency": "7",
    "CorsOrigin": "https://app.example",
    "DomainName": "models.example",
    "CertificateArn": "arn:aws:acm:x",
    "HostedZoneId": "Z1",
    "AccessLogs": "true",
    "WebAclArn": "arn:aws:wafv2:x",
    "QueueTrigger": "fifo",
    "QueueConcurrency": "7",
    "BusTrigger": "own",
    "DeploymentType": "Canary10Percent5Minutes",
    "SnapStart": "true",
    "ProvisionedConcurrency": "7",
    "Tracing": "true",
    "Monitoring": "dashboard",
    "LatencyAlarmMs": "7",
    "ConcurrencyAlarmAt": "7",
    "DailyBudget": "7",
    "RecordShare": "0.5",
    "RecordDetail": "values",
    "Feedback": "on",
    "RecordRetentionDays": "7",
    "MonitorHours": "7",
    "MonitorSchedule": "rate(7 hours)",
    "AlarmTopic": "arn:aws:sns:us-east-1:123456789012:alarms",
    "ObjectTrigger": "own",
    "InputPrefix": "here/",
    "OutputPrefix": "there/",
    "BulkPartBytes": "8388608",
    "BulkConcurrency": "7",
    "BulkToleratedPercent": "7",
}


def versions(parameters: dict[str, str] | None = None, edit: Edit | None = None) -> set[str]:
    """The logical ids of the published versions: CloudFormation publishes one whenever there is a new id."""
    found = set(of_type(translate(parameters, edit)["Resources"], VERSION))
    assert len(found) == 7
    return found


@pytest.fixture(scope="module")
def before() -> set[str]:
    return versions()


def set_property(resource: str, name: str, value: Any) -> Edit:
    def edit(template: dict[str, Any]) -> None:
        template["Resources"][resource]["Properties"][name] = value

    return edit


def new_code(template: dict[str, Any]) -> None:
    template["Globals"]["Function"]["CodeUri"] = "s3://deploy/code-1"


def new_variable(template: dict[str, Any]) -> None:
    template["Globals"]["Function"]["Environment"]["Variables"]["MODEL_MAX_ROWS"] = "10"


@pytest.mark.parametrize(
    "edit",
    [
        new_code,
        new_variable,
        set_property("ModelLayer", "ContentUri", "s3://deploy/ModelLayer-1"),
        set_property("DependenciesLayer", "ContentUri", "s3://deploy/DependenciesLayer-1"),
    ],
    ids=["code", "setting", "models", "dependencies"],
)
def test_a_change_of_what_is_deployed_publishes_every_function(edit: Edit, before: set[str]) -> None:
    assert not versions(edit=edit) & before


def test_the_same_again_publishes_nothing(before: set[str]) -> None:
    assert versions() == before


def _used_by_functions() -> set[str]:
    """The parameters that the functions with an alias refer to; the authorizer has none, a change of it is live."""
    template = translate()
    functions = of_type(template["Resources"], "AWS::Lambda::Function")
    published = {version["FunctionName"]["Ref"] for version in of_type(template["Resources"], VERSION).values()}
    assert functions.keys() - published == {"AuthorizerFunction", "DeployHookFunction"}
    text = json.dumps([functions[name] for name in published])
    text += json.dumps([value for name, value in template["Conditions"].items() if f'"Fn::If": ["{name}"' in text])
    return {name for name in template["Parameters"] if f'"Ref": "{name}"' in text or f"${{{name}}}" in text}


def _changes_version(name: str, before: set[str]) -> bool:
    return not before <= versions({name: CHANGED[name]})


def test_every_parameter_that_a_function_uses_publishes_and_no_other(before: set[str]) -> None:
    parameters = set(packaged()["Parameters"]) - {"NoDigest"}
    assert parameters == set(CHANGED)
    assert {name for name in parameters if _changes_version(name, before)} == _used_by_functions()


def test_the_digest_can_only_be_empty() -> None:
    """A digest would replace the hash of all the rest and, kept from one deploy to the next, freeze the alias."""
    digest = packaged()["Parameters"]["NoDigest"]
    assert (digest["Default"], digest["AllowedValues"]) == ("", [""])


def test_the_api_is_deployed_anew_each_time() -> None:
    def deployments(now: float) -> set[str]:
        with mock.patch("time.time", return_value=now):
            return set(of_type(translate()["Resources"], "AWS::ApiGateway::Deployment"))

    assert not deployments(1e9) & deployments(1e9 + 1)
