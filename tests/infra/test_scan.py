"""The policy scanner over the whole stack, every choice taken: clean, but for what infra/checkov.yaml explains.

Checkov pins what SAM and moto need otherwise, so it has an environment of its own, made once: a minute, 250 MB.
"""

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from tests.infra.stack import ROOT, deployed
from tests.own_environment import own_environment

VERSION = "3.3.30"
EVERYTHING = {
    "AuthMode": "Jwt",
    "QueueTrigger": "standard",
    "BusTrigger": "own",
    "ObjectTrigger": "own",
    "RecordShare": "0.1",
    "Feedback": "on",
    "Tracing": "true",
    "Monitoring": "dashboard",
    "DailyBudget": "5",
    "SnapStart": "true",
    "DeploymentType": "Canary10Percent5Minutes",
    "ModelStore": "s3://bucket/models",
}
REASONS: dict[str, str] = yaml.safe_load((ROOT / "infra" / "checkov.yaml").read_text())


def checkov() -> Path:
    """The scanner's executable, installed if it is not there yet."""
    return own_environment("checkov", VERSION) / "bin" / "checkov"


def findings(folder: Path, resources: object) -> dict[str, set[str]]:
    """The resources that each rule finds fault with."""
    file = folder / "stack.json"
    file.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    command = [str(checkov()), "-f", str(file), "--framework", "cloudformation", "--skip-download", "-o", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    found = defaultdict(set)
    for check in report["results"]["failed_checks"]:
        found[check["check_id"]].add(check["resource"])
    return dict(found)


@pytest.mark.sam
def test_the_scanner_finds_nothing_that_is_not_explained(tmp_path: Path) -> None:
    found = findings(tmp_path, deployed(EVERYTHING))
    assert {rule: resources for rule, resources in found.items() if rule not in REASONS} == {}
    assert set(REASONS) == set(found)  # a reason for nothing is a door left open


def test_each_exception_has_a_reason_of_some_length() -> None:
    assert all(len(reason) > 80 for reason in REASONS.values())
