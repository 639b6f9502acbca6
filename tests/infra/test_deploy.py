"""`make deploy` and `make destroy`: what they say, what they hand to SAM, and what stays."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from infra import deploy
from tests.infra.stack import ROOT, deployed, of_type

STACKS = deploy.stacks((ROOT / "samconfig.toml").read_text())
KNOWN = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What SAM is asked."""
    commands: list[list[str]] = []

    def run(command: list[str]) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(deploy, "_run", run)
    return commands


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["deploy", *arguments])
    with pytest.raises(SystemExit) as ended:
        deploy.main()
    return ended.value.code


def test_there_is_a_small_stack_and_one_that_is_watched() -> None:
    assert set(STACKS) == {"dev", "prod"}
    assert len({stack["stack_name"] for stack in STACKS.values()}) == 2
    kinds = {
        name: of_type(deployed(deploy.overrides(s, [], KNOWN)), "AWS::CloudWatch::Alarm") for name, s in STACKS.items()
    }
    assert not kinds["dev"]
    assert {"ApiErrorAlarm", "ApiLatencyAlarm"} <= set(kinds["prod"])
    assert all(stack["confirm_changeset"] for stack in STACKS.values())


def test_deploy_says_what_happens_and_keeps_the_stacks_parameters(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "deploy", "prod", "Architecture=arm64", "Monitoring=alarms") == 0
    said = capsys.readouterr().out
    assert "Stack sklearn-on-lambda " in said
    assert "moves by Canary10Percent10Minutes; an alarm takes it back" in said
    (command,) = asked
    assert command[:4] == ["sam", "deploy", "--config-env", "prod"]
    given = dict(pair.split("=") for pair in command[command.index("--parameter-overrides") + 1 :])
    assert given == {
        "DeploymentType": "Canary10Percent10Minutes",
        "Monitoring": "alarms",
        "LogRetentionDays": "90",
        "Architecture": "arm64",
    }
    assert "before you say yes" in said
    run(monkeypatch, "deploy", "dev", "--yes")
    assert "--no-confirm-changeset" in asked[1]
    assert "nobody is asked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["staging"], "ENV is one of dev, prod, not staging"),
        (["dev", "Memory=1"], "Memory=1: expected NAME=VALUE, NAME one of ModelStore"),
        (["dev", "MemorySize"], "MemorySize: expected NAME=VALUE"),
    ],
)
def test_a_wrong_name_is_told(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[str]], arguments: list[str], reason: str
) -> None:
    assert str(run(monkeypatch, "deploy", *arguments)).startswith(reason)
    assert not asked


def test_destroy_wants_the_name_typed_and_says_what_stays(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["y", "sklearn-on-lambda"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert run(monkeypatch, "destroy", "prod") == 1
    assert not asked
    assert "BulkBucket" in capsys.readouterr().out
    assert run(monkeypatch, "destroy", "prod") == 0
    assert asked == [["sam", "delete", "--stack-name", "sklearn-on-lambda", "--no-prompts"]]


def test_destroy_without_a_terminal_deletes_nothing() -> None:
    command = [sys.executable, "-m", "infra.deploy", "destroy", "dev"]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("Nothing was deleted.\n")
    assert "BulkBucket, RecordsBucket" in done.stdout


def test_every_bucket_is_kept() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    buckets = {name for name, entry in template["Resources"].items() if entry["Type"] == "AWS::S3::Bucket"}
    assert buckets
    assert buckets <= set(deploy.kept(template))


@pytest.mark.sam
def test_sam_reads_both_stacks(tmp_path: Path) -> None:
    """SAM's own reader: a key that it does not know is an error, so is a list where it wants a text."""
    for name in STACKS:
        command = [str(Path(sys.executable).parent / "sam"), "deploy", "--config-env", name, "--region", "us-east-1"]
        environment = {"PATH": "/usr/bin:/bin", "SAM_CLI_TELEMETRY": "0", "HOME": str(tmp_path)}
        environment |= {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
        }
        environment |= {"AWS_MAX_ATTEMPTS": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert "127.0.0.1:9" in done.stderr, done.stderr[-500:]  # all was read, it went on to AWS
