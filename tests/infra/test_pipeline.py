"""The pipeline on GitHub: pinned, without keys, by a role that may deploy one stack."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from infra.deploy import stacks
from tests.infra.stack import ROOT, translate

WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"
ROLE = ROOT / "infra" / "github-role.yaml"
# Types of the template that the pipeline's role leaves to somebody else, and why.
BY_HAND = {
    "AWS::ApiGateway::DomainName": "a name may serve other stacks, too: add it where it is wanted",
    "AWS::ApiGateway::BasePathMapping": "as the domain",
    "AWS::Route53::RecordSet": "as the domain",
    "AWS::WAFv2::WebACLAssociation": "as the web ACL, which is not this stack's",
}
SERVICES = {
    "AWS::ApiGateway": "apigateway",
    "AWS::CloudWatch": "cloudwatch",
    "AWS::CodeDeploy": "codedeploy",
    "AWS::EventSchemas": "schemas",
    "AWS::Events": "events",
    "AWS::IAM": "iam",
    "AWS::KinesisFirehose": "firehose",
    "AWS::Lambda": "lambda",
    "AWS::Logs": "logs",
    "AWS::S3": "s3",
    "AWS::SQS": "sqs",
    "AWS::StepFunctions": "states",
}


def statements(role: str) -> Iterator[dict[str, Any]]:
    resource = yaml_parse(ROLE.read_text())["Resources"][role]["Properties"]
    for policy in resource["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def values(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]


def test_every_action_is_pinned_by_a_full_digest_and_named() -> None:
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_there_is_no_key_and_only_the_deployment_gets_a_token() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "test": {"contents": "read"},
        "deploy": {"contents": "read", "id-token": "write"},
    }
    assert workflow["jobs"]["deploy"]["needs"] == "test"
    assert workflow["jobs"]["deploy"]["if"] == "github.event_name == 'push'"  # never for a pull request
    assert not re.search(r"secrets\.|access-key|pull_request_target", WORKFLOW.read_text())
    assert all(name in WORKFLOW.read_text() for name in stacks((ROOT / "samconfig.toml").read_text()))


def test_the_workflow_passes_the_security_linter() -> None:
    command = [str(Path(sys.executable).parent / "zizmor"), "--offline", "--persona", "pedantic", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_role_is_for_one_environment_of_one_repository() -> None:
    role = yaml_parse(ROLE.read_text())["Resources"]["GitHubRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": {"Fn::Sub": "repo:${Repository}:environment:${Environment}"},
        }
    }


@pytest.mark.parametrize("role", ["GitHubRole", "CloudFormationRole"])
def test_a_role_reaches_nothing_but_its_stack(role: str) -> None:
    for statement in statements(role):
        assert not any("*" in action for action in values(statement["Action"]))
        for resource in map(json.dumps, values(statement["Resource"])):
            own = "${StackName}" in resource or "${SamBucket}" in resource or "CloudFormationRole" in resource
            shared = re.search(
                r"transform/Serverless|aws-sam-cli-managed|layer:\w+Layer\*|::/|CodeDeployDefault", resource
            )
            listed = all(re.search(r":(Describe|List)", action) for action in values(statement["Action"]))
            assert own or shared or listed or "lambda:FunctionArn" in json.dumps(statement["Condition"]), resource


def test_the_pipeline_makes_resources_through_cloudformation_only() -> None:
    actions = {action for statement in statements("GitHubRole") for action in values(statement["Action"])}
    assert {action.partition(":")[0] for action in actions} == {"cloudformation", "s3", "iam"}
    assert {action for action in actions if action.startswith("iam:")} == {"iam:PassRole"}


def test_no_policy_of_aws_can_be_attached() -> None:
    (attach,) = [s for s in statements("CloudFormationRole") if "iam:AttachRolePolicy" in values(s["Action"])]
    assert attach["Condition"]["ArnLike"]["iam:PolicyARN"]["Fn::Sub"].endswith(":policy/${StackName}-*")


def test_cloudformation_may_make_each_kind_of_resource_that_the_stack_has() -> None:
    kinds = {resource["Type"] for resource in translate()["Resources"].values()} - set(BY_HAND)
    actions = {action for statement in statements("CloudFormationRole") for action in values(statement["Action"])}
    may = {action.partition(":")[0] for action in actions}
    assert {SERVICES[kind.rpartition("::")[0]] for kind in kinds} <= may
    functions = {
        e["Properties"]["LayerName"] for e in translate()["Resources"].values() if e["Type"].endswith("LayerVersion")
    }
    layers = json.dumps(
        [s["Resource"] for s in statements("CloudFormationRole") if "lambda:PublishLayerVersion" in s["Action"]]
    )
    assert all(f"layer:{name}*" in layers for name in functions)
