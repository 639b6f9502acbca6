"""The stack of template.yaml: SAM's own translator, then as much of CloudFormation's evaluation as it uses."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
PSEUDO = {
    "AWS::StackName": "demo",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}
_NOTHING = {"Ref": "AWS::NoValue"}

Json = Any
Edit = Callable[[dict[str, Json]], None]


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def packaged() -> dict[str, Json]:
    """The template as `sam package` sends it: code and layers by their place on S3, named by content."""
    template: dict[str, Json] = yaml_parse((ROOT / "template.yaml").read_text())
    template["Globals"]["Function"]["CodeUri"] = "s3://deploy/code-0"
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = f"s3://deploy/{name}-0"
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = f"s3://deploy/{name}-0"
    return template


def translate(parameters: Mapping[str, str] | None = None, edit: Edit | None = None) -> dict[str, Json]:
    """What SAM hands to CloudFormation for these parameter values, after `edit` changed the packaged template."""
    template = packaged()
    if edit:
        edit(template)
    with mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
        translated: dict[str, Json] = transform(template, dict(parameters or {}), _NoManagedPolicies())
    return translated


class _Evaluation:
    """Strict: an intrinsic function that is not known here, or an index out of range, is an error."""

    def __init__(self, template: dict[str, Json], parameters: Mapping[str, str]) -> None:
        defaults = {name: entry.get("Default") for name, entry in template["Parameters"].items()}
        self.values = {**PSEUDO, **defaults, **parameters}
        self.conditions = template.get("Conditions", {})
        self.resources = template["Resources"]

    def ref(self, name: str, extra: Mapping[str, str] | None = None) -> str:
        known = {**self.values, **(extra or {})}
        if name in known:
            return str(known[name])
        resource, _, attribute = name.partition(".")
        assert resource in self.resources, f"no parameter or resource {name}"
        return f"<{resource}.{attribute}>" if attribute else f"<{resource}>"

    def holds(self, name: str) -> bool:
        return bool(self.value(self.conditions[name]))

    def value(self, node: Json) -> Json:
        if isinstance(node, list):
            return [self.value(item) for item in node if not self._absent(item)]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref":
                return self.ref(argument)
            if name.startswith("Fn::"):
                return getattr(self, name.removeprefix("Fn::").lower() + "_")(argument)
        return {key: self.value(item) for key, item in node.items() if not self._absent(item)}

    def _absent(self, node: Json) -> bool:
        if isinstance(node, dict) and set(node) == {"Fn::If"}:
            name, yes, no = node["Fn::If"]
            return self._absent(yes if self.holds(name) else no)
        return bool(node == _NOTHING)

    def if_(self, argument: Json) -> Json:
        name, yes, no = argument
        return self.value(yes if self.holds(name) else no)

    def equals_(self, argument: Json) -> bool:
        left, right = self.value(argument)
        return bool(left == right)

    def not_(self, argument: Json) -> bool:
        return not self.value(argument)[0]

    def and_(self, argument: Json) -> bool:
        return all(self.holds(c["Condition"]) if "Condition" in c else self.value(c) for c in argument)

    def select_(self, argument: Json) -> Json:
        index, options = argument
        return self.value(options)[int(index)]

    def split_(self, argument: Json) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(separator)

    def join_(self, argument: Json) -> str:
        separator, parts = argument
        return str(separator).join(map(str, self.value(parts)))

    def sub_(self, argument: Json) -> str:
        text, extra = (argument, {}) if isinstance(argument, str) else argument
        known = self.value(extra)
        return re.sub(r"\$\{([\w:.]+)\}", lambda match: self.ref(match[1], known), text)

    def getatt_(self, argument: Json) -> str:
        return self.ref(argument if isinstance(argument, str) else ".".join(argument))


def deployed(parameters: Mapping[str, str] | None = None) -> dict[str, Json]:
    """The resources that the stack would have, by logical id, values filled in; another resource is `<LogicalId>`."""
    template = translate(parameters)
    evaluation = _Evaluation(template, parameters or {})
    there = {
        name: resource
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or evaluation.holds(resource["Condition"])
    }
    return {name: evaluation.value(resource) for name, resource in there.items()}


def of_type(resources: Mapping[str, Json], kind: str) -> dict[str, Json]:
    """The properties of the resources of one type."""
    return {name: r.get("Properties", {}) for name, r in resources.items() if r["Type"] == kind}
