"""What will hurt in a template, as written and as SAM translated it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from model.doctor import examine_folder, template
from model.doctor.finding import Finding
from model.doctor.snap_start import together, when
from tests.conftest import ROOT
from tests.infra.stack import translate

Edit = Callable[[dict[str, Any]], None]
SNAP = {"ApplyOn": "PublishedVersions"}
PROVISIONED = {"ProvisionedConcurrentExecutions": 2}


def api(stack: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = stack["Resources"]["ApiFunction"]["Properties"]
    return properties


def examine(tmp_path: Path, edit: Edit) -> list[Finding]:
    """The findings of this project's own template after `edit`."""
    stack = yaml_parse((ROOT / "template.yaml").read_text())
    edit(stack)
    (file := tmp_path / "changed.json").write_text(json.dumps(stack))
    return template.examine(file)


def test_nothing_is_found_in_our_own_as_written_and_as_translated(tmp_path: Path) -> None:
    assert template.examine(ROOT / "template.yaml") == []
    (tmp_path / "translated.json").write_text(json.dumps(translate()))
    assert template.examine(tmp_path / "translated.json") == []


def test_snap_start_alone_and_provisioned_concurrency_alone_are_fine(tmp_path: Path) -> None:
    assert examine(tmp_path, lambda stack: api(stack).update(SnapStart=SNAP)) == []
    assert examine(tmp_path, lambda stack: api(stack).update(ProvisionedConcurrencyConfig=PROVISIONED)) == []


@pytest.mark.parametrize(
    ("excluded", "said"),
    [
        ({"ProvisionedConcurrencyConfig": PROVISIONED}, "provisioned concurrency"),
        ({"FileSystemConfigs": [{"Arn": "arn", "LocalMountPath": "/mnt/efs"}]}, "a file system"),
        ({"EphemeralStorage": {"Size": 1024}}, "more than 512 MB of /tmp"),
    ],
)
def test_what_lambda_refuses_beside_snap_start(tmp_path: Path, excluded: dict[str, Any], said: str) -> None:
    (finding,) = examine(tmp_path, lambda stack: api(stack).update(SnapStart=SNAP, **excluded))
    assert (finding.severity, finding.rule, finding.where) == ("error", "snap-start", "ApiFunction")
    assert finding.what == f"SnapStart together with {said}, which Lambda refuses at deployment"


def test_globals_count_for_each_function(tmp_path: Path) -> None:
    def edit(stack: dict[str, Any]) -> None:
        stack["Globals"]["Function"] |= {"SnapStart": SNAP, "ProvisionedConcurrencyConfig": PROVISIONED}

    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    functions = [name for name, found in resources.items() if found["Type"] == "AWS::Serverless::Function"]
    assert [finding.where for finding in examine(tmp_path, edit)] == functions


def test_the_alias_of_a_translated_template_counts(tmp_path: Path) -> None:
    def edit(stack: dict[str, Any]) -> None:
        api(stack).update(SnapStart=SNAP, ProvisionedConcurrencyConfig=PROVISIONED)

    (tmp_path / "translated.json").write_text(json.dumps(translate(edit=edit)))
    (finding,) = template.examine(tmp_path / "translated.json")
    assert (finding.rule, finding.where) == ("snap-start", "ApiFunction")


def test_snap_start_without_a_published_version_does_nothing(tmp_path: Path) -> None:
    def edit(stack: dict[str, Any]) -> None:
        api(stack)["SnapStart"] = SNAP
        del stack["Globals"]["Function"]["AutoPublishAlias"]

    (finding,) = examine(tmp_path, edit)
    assert (finding.severity, finding.rule) == ("warning", "snap-start")


NOTHING = {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (None, False),
        (NOTHING, False),
        ({"ApplyOn": "None"}, False),
        ({"ApplyOn": "PublishedVersions"}, True),
        ({"ApplyOn": {"Ref": "Snap"}}, ("Snap", True)),
        ({"ApplyOn": {"Fn::If": ["IsSnap", "PublishedVersions", "None"]}}, ("IsSnap", True)),
        ({"Fn::If": ["IsSnap", {"ApplyOn": "PublishedVersions"}, NOTHING]}, ("IsSnap", True)),
        ({"Fn::If": ["Warm", NOTHING, {"ApplyOn": "PublishedVersions"}]}, ("Warm", False)),
        ({"Fn::If": ["Warm", SNAP, SNAP]}, True),
        ({"Fn::If": ["Warm", NOTHING, NOTHING]}, False),
    ],
)
def test_when_something_is_there(node: Any, expected: Any) -> None:
    assert when(node, "ApplyOn") == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (True, True, ("error", "")),
        (True, False, None),
        (False, ("A", True), None),
        (True, ("A", True), ("error", " when A is set")),
        (("A", False), True, ("error", " when A is not set")),
        (("A", True), ("A", True), ("error", " when A is set")),
        (("A", True), ("A", False), None),
        (("A", True), ("B", True), ("warning", " when A is set and B is set")),
    ],
)
def test_when_two_things_meet(one: Any, other: Any, expected: Any) -> None:
    assert together(one, other) == expected


def without_all_properties(stack: dict[str, Any]) -> None:
    del api(stack)["AutoPublishAliasAllProperties"]


def without_published_layer(stack: dict[str, Any]) -> None:
    del stack["Resources"]["ModelLayer"]["Properties"]["PublishLambdaVersion"]
    api(stack)["Layers"] = [{"Ref": "ModelLayer"}]


def plain_layer(stack: dict[str, Any]) -> None:
    stack["Resources"]["Plain"] = {"Type": "AWS::Lambda::LayerVersion", "Properties": {"Content": {"S3Key": "k"}}}
    api(stack)["Layers"] = [{"Ref": "Plain"}]


def layer_in_if(stack: dict[str, Any]) -> None:
    del stack["Globals"]["Function"]["Layers"]
    api(stack)["Layers"] = [{"Fn::If": ["ModelsOnS3", NOTHING, {"Ref": "ModelLayer"}]}]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (without_all_properties, "AutoPublishAliasAllProperties: true on ApiFunction"),
        (without_published_layer, "PublishLambdaVersion: true on ModelLayer"),
        (plain_layer, "Make Plain an AWS::Serverless::LayerVersion"),
        (layer_in_if, "plain !Ref, without !If"),
    ],
)
def test_a_layer_change_that_would_publish_nothing(tmp_path: Path, edit: Edit, said: str) -> None:
    found = [finding for finding in examine(tmp_path, edit) if finding.where == "ApiFunction"]
    assert {(finding.severity, finding.rule) for finding in found} == {("error", "stale-alias")}
    assert said in found[0].cure
    assert "the alias goes on serving the old model" in found[0].what


@pytest.mark.parametrize("edit", [without_all_properties, without_published_layer, layer_in_if])
def test_the_translator_agrees_that_nothing_is_published(edit: Edit) -> None:
    """A new bundle of models, and the version's logical id is the old one's."""

    def changed(stack: dict[str, Any]) -> None:
        edit(stack)
        stack["Resources"]["ModelLayer"]["Properties"]["ContentUri"] = "s3://deploy/ModelLayer-1"

    def versions(how: Edit) -> set[str]:
        resources = translate(edit=how)["Resources"]
        return {name for name, r in resources.items() if r["Type"] == "AWS::Lambda::Version" and name.startswith("Api")}

    assert versions(edit) == versions(changed)


def test_a_layer_published_by_the_globals_is_fine(tmp_path: Path) -> None:
    def edit(stack: dict[str, Any]) -> None:
        stack["Globals"]["LayerVersion"] = {"PublishLambdaVersion": True}
        del stack["Resources"]["ModelLayer"]["Properties"]["PublishLambdaVersion"]

    assert examine(tmp_path, edit) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a: [", "neither YAML nor JSON"), (b"\x80\x04", "neither YAML nor JSON"), (b"a: 1", "it has no Resources")],
)
def test_what_is_no_template_is_said_to_be_none(tmp_path: Path, content: bytes, said: str) -> None:
    (file := tmp_path / "template.yaml").write_bytes(content)
    (finding,) = examine_folder(file, {}) or []
    assert (finding.severity, finding.rule) == ("error", "unreadable")
    assert said in finding.what


def test_without_the_translator_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "samtranslator.yaml_helper", None)
    (finding,) = template.examine(ROOT / "template.yaml")
    assert finding.cure == "make dev, or pip install aws-sam-translator"


def test_a_project_is_its_template_its_build_and_its_artifacts(store: Path, tmp_path: Path) -> None:
    stack = yaml_parse((ROOT / "template.yaml").read_text())
    without_all_properties(stack)
    (project := tmp_path / "project").mkdir()
    (project / "template.yaml").write_text(json.dumps(stack))
    (project / "handler").mkdir()
    (store / "iris/1.0.0/golden.json").unlink()
    store.rename(project / "artifacts")
    (build := project / ".aws-sam" / "build").mkdir(parents=True)
    (build / "template.yaml").write_text("a: 1")
    found = [(finding.where, finding.rule) for finding in examine_folder(project, {}) or []]
    built = (str(build / "template.yaml"), "unreadable")
    assert found == [("ApiFunction", "stale-alias"), built, ("iris/1.0.0", "missing-file")]
    assert examine_folder(project / "artifacts" / "iris" / "1.0.0", {}) is None
