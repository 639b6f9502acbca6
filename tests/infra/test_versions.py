"""The stale-model trap: an alias serves what it pointed to before, unless every change publishes a version."""

import json
from typing import Any
from unittest import mock

import pytest

from tests.infra.stack import Edit, of_type, packaged, translate

CHANGED = {
    "ModelStore": "s3://bucket/prefix",
    "ModelDefault": "babies",
    "ModelTrust": "pinned",
    "ModelPins": "iris=sha256:0",
    "ModelPublicKeys": "ed25519:0",
    "Architecture": "arm64",
    "MemorySize": "2048",
    "LogRetentionDays": "7",
    "ThrottleRate": "7",
    "ThrottleBurst": "7",
    "QueueTrigger": "fifo",
    "QueueConcurrency": "7",
    "BusTrigger": "own",
    "RecordShare": "0.5",
    "RecordDetail": "values",
    "Feedback": "on",
    "RecordRetentionDays": "7",
    "MonitorHours": "7",
    "MonitorSchedule": "rate(7 hours)",
    "AlarmTopic": "arn:aws:sns:us-east-1:123456789012:alarms",
}


def versions(parameters: dict[str, str] | None = None, edit: Edit | None = None) -> set[str]:
    """The logical ids of the published versions: CloudFormation publishes one whenever there is a new id."""
    found = set(of_type(translate(parameters, edit)["Resources"], "AWS::Lambda::Version"))
    assert len(found) == 5
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
    """The parameters that a function's properties refer to, by reading the translated template."""
    template = translate()
    text = json.dumps(of_type(template["Resources"], "AWS::Lambda::Function"))
    text += json.dumps([value for name, value in template["Conditions"].items() if f'"Fn::If": ["{name}"' in text])
    return {name for name in template["Parameters"] if f'"Ref": "{name}"' in text or f"${{{name}}}" in text}


def _changes_version(name: str, before: set[str]) -> bool:
    return not versions({name: CHANGED[name]}) & before


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
