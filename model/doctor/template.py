"""A SAM or CloudFormation template: what deploys and then does not do what it says."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model.doctor import snap_start
from model.doctor.finding import Finding

FILE = "template.yaml"
SERVERLESS, PLAIN = "AWS::Serverless::Function", "AWS::Lambda::Function"
_SAM_LAYER, _PLAIN_LAYER = "AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion"

Json = Any


def read(file: Path) -> dict[str, Json] | Finding:
    """The template with its tags as functions (`!Ref X` is {"Ref": "X"}), or why it cannot be read."""
    try:
        from samtranslator.yaml_helper import yaml_parse  # noqa: PLC0415  -- on a developer's machine only
    except ImportError:
        what = "a template is read by aws-sam-translator, which is not installed"
        return Finding("error", "unreadable", str(file), what, "make dev, or pip install aws-sam-translator")
    cure = "Name a template in YAML or JSON, a tree that `sam build` wrote, or an artifact."
    try:
        template = yaml_parse(file.read_text())
    except Exception as error:  # the loader's own, PyYAML's and json's
        what = f"neither YAML nor JSON: {' '.join(str(error).split())[:160]}"
        return Finding("error", "unreadable", str(file), what, cure)
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        return Finding("error", "unreadable", str(file), "no template: it has no Resources", cure)
    return dict(template)


def functions(template: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """The properties of each function by logical id, with the Globals that SAM would give it."""
    common = _globals(template, "Function")
    found = {}
    for name, resource in template["Resources"].items():
        own = resource.get("Properties") or {}
        if resource.get("Type") == PLAIN:
            found[name] = own
        elif resource.get("Type") == SERVERLESS:
            layers = [*_list(common.get("Layers")), *_list(own.get("Layers"))]
            found[name] = {**common, **own, "Layers": layers}
    return found


def _globals(template: Mapping[str, Json], kind: str) -> dict[str, Json]:
    return (template.get("Globals") or {}).get(kind) or {}


def _list(node: Json) -> list[Json]:
    return node if isinstance(node, list) else [] if node is None else [node]


def refs(node: Json) -> list[str]:
    """Every logical id that `node` refers to, in whichever branch."""
    if isinstance(node, list):
        return [name for item in node for name in refs(item)]
    if not isinstance(node, dict):
        return []
    return [node["Ref"]] if set(node) == {"Ref"} else [name for item in node.values() for name in refs(item)]


def examine(file: Path) -> list[Finding]:
    """The findings of a template, as written or as SAM translated it."""
    template = read(file)
    if isinstance(template, Finding):
        return [template]
    found: list[Finding] = []
    for name, function in functions(template).items():
        found += snap_start.examine(template["Resources"], name, function)
        if template["Resources"][name]["Type"] == SERVERLESS and function.get("AutoPublishAlias"):
            found += _publishing(template, name, function)
    return found


def _publishing(template: Mapping[str, Json], name: str, function: Mapping[str, Json]) -> Iterator[Finding]:
    """SAM publishes a version for a changed layer only where the function and each layer say so, outside of !If."""
    layers = function["Layers"]
    stale = "a change of a layer alone publishes no version, and the alias goes on serving the old model"
    if layers and function.get("AutoPublishAliasAllProperties") is not True:
        yield Finding("error", "stale-alias", name, stale, f"Set AutoPublishAliasAllProperties: true on {name}.")
    for layer in dict.fromkeys(refs(layers)):
        resource = template["Resources"].get(layer, {})
        settings = {**_globals(template, "LayerVersion"), **resource.get("Properties", {})}
        if resource.get("Type") == _PLAIN_LAYER:
            yield Finding("error", "stale-alias", name, f"{layer}: {stale}", f"Make {layer} an {_SAM_LAYER}.")
        elif resource.get("Type") == _SAM_LAYER and settings.get("PublishLambdaVersion") is not True:
            cure = f"Set PublishLambdaVersion: true on {layer}."
            yield Finding("error", "stale-alias", name, f"{layer}: {stale}", cure)
    if any(isinstance(layer, dict) and "Fn::If" in layer for layer in layers):
        what = f"layers inside !If are not looked at: {stale}"
        yield Finding("error", "stale-alias", name, what, "Name the layers as plain !Ref, without !If.")
