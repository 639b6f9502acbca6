"""The state machine: its definition as ASL, and run by moto's interpreter with the real function behind it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.api import lint_all

from handler import runtime, start_machine, steps
from handler.observe import Call
from handler.score_object import score_object, successor
from handler.score_ranges import take
from model import errors
from model.bulk.job import Job
from model.errors import AccessDenied, ModelError, OutOfTime, StoreUnavailable
from tests.bulk_inputs import content, frame, read
from tests.conftest import BUCKET, ROOT
from tests.machine import Front, definition, serving

KEY, ROWS = "in/rows.csv", 3_000
INPUT, OUTPUT = f"s3://{BUCKET}/{KEY}", f"s3://{BUCKET}/out/rows.csv"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with pytest.MonkeyPatch.context() as patched, serving() as (url, front):
        for name, value in (KEYS | {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}).items():
            patched.setenv(name, value)
        yield front


class Stack:
    """A bucket, the state machine, and the function with its settings."""

    def __init__(self, front: Front, packed: Path) -> None:
        self.front, self.packed = front, packed
        self.s3, self.client = boto3.client("s3"), boto3.client("stepfunctions")
        self.started = runtime.start(self.environment())
        front.events.clear()
        front.function = self.function

    def environment(self, **more: str) -> dict[str, str]:
        urls = {"MODEL_BULK_INPUTS": f"s3://{BUCKET}/in/", "MODEL_BULK_OUTPUTS": f"s3://{BUCKET}/out/"}
        endpoint = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
        return {"MODEL_STORE": self.packed.as_uri(), "MODEL_DEFAULT": "iris"} | urls | endpoint | more

    def function(self, event: Any) -> Any:
        return take(steps.from_event(event), self.started, Call("map", "1"), lambda: 900.0)

    def machine(self, **values: str) -> str:
        name = f"machine-{time.monotonic_ns()}"
        role = "arn:aws:iam::123456789012:role/bulk"
        made = self.client.create_state_machine(name=name, definition=definition(**values), roleArn=role)
        return str(made["stateMachineArn"])

    def run(self, machine: str, name: str = "run-1", **job: str) -> dict[str, Any]:
        text = json.dumps({"input": INPUT, "output": OUTPUT} | job)
        arn = self.client.start_execution(stateMachineArn=machine, name=name, input=text)["executionArn"]
        return self.ended(arn)

    def ended(self, arn: str) -> dict[str, Any]:
        for _ in range(600):
            found: dict[str, Any] = dict(self.client.describe_execution(executionArn=arn))
            if found["status"] != "RUNNING":
                return found
            time.sleep(0.05)
        raise AssertionError("still running")

    def put(self, rows: int = ROWS, key: str = KEY) -> str:
        etag: str = self.s3.put_object(Bucket=BUCKET, Key=key, Body=content(frame(rows), key))["ETag"]
        return etag.strip('"')

    def listed(self) -> list[str]:
        """What is in the output, without what Step Functions writes of its own."""
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="out/").get("Contents", [])
        return [entry["Key"] for entry in found if not entry["Key"].startswith("out/_runs/")]

    def get(self, url: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
        return body


@pytest.fixture
def stack(front: Front, packed: Path) -> Iterator[Stack]:
    made = Stack(front, packed)
    made.s3.create_bucket(Bucket=BUCKET)
    yield made
    for entry in made.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        made.s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
    made.s3.delete_bucket(Bucket=BUCKET)


def states(node: Any) -> list[dict[str, Any]]:
    """Every state, those of the Map's processor too."""
    found = []
    for state in node["States"].values():
        found.append(state)
        if "ItemProcessor" in state:
            found += states(state["ItemProcessor"])
    return found


def faults(text: str) -> list[str]:
    """What cfn-lint's schema of the states language says, which it applies to a definition in a template."""
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/bulk", "DefinitionString": text}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    return [f"{found.rule.id} {found.message}" for found in lint_all(json.dumps(template)) if found.rule.id[0] in "EW"]


def test_the_definition_is_valid_in_the_states_language() -> None:
    assert faults(definition()) == []
    for broken in (
        definition().replace('"Next": "Commit"', '"Then": "Commit"'),
        definition().replace('"StartAt": "Plan"', '"StartAt": "Start"'),
        definition().replace('"Type": "Choice"', '"Type": "Chose"'),
    ):
        assert faults(broken)


def test_every_transition_leads_to_a_state_and_every_state_is_reached() -> None:
    def check(node: dict[str, Any]) -> None:
        targets = {node["StartAt"]}
        for state in node["States"].values():
            targets |= {state[key] for key in ("Next", "Default") if key in state}
            targets |= {entry["Next"] for key in ("Choices", "Catch") for entry in state.get(key, [])}
            if "ItemProcessor" in state:
                check(state["ItemProcessor"])
        assert targets == set(node["States"])

    check(json.loads(definition()))


def test_the_template_fills_in_every_name_of_the_definition_and_no_other() -> None:
    from tests.infra.stack import packaged  # noqa: PLC0415

    machine = packaged()["Resources"]["BulkStateMachine"]["Properties"]
    text = (ROOT / "infra" / "bulk.asl.json").read_text()
    assert set(machine["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", text))


def test_what_can_heal_is_retried_and_nothing_else() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ModelError)]
    healing = {kind.__name__ for kind in kinds if kind.retryable}
    ours = {kind.__name__ for kind in kinds}
    tasks = [state for state in states(json.loads(definition())) if "Retry" in state]
    retried = [{name for retry in task["Retry"] for name in retry["ErrorEquals"]} & ours for task in tasks]
    plan, score, note, commit = retried
    # A plan is made for one version and read again when it was overwritten; a range of it cannot be.
    assert plan == healing - {"OutOfTime"}
    assert score == healing - {"InputChanged"}
    assert commit == healing - {"InputChanged", "OutOfTime"}
    assert note == set()


def test_an_object_goes_through_the_machine_and_comes_out_whole(stack: Stack) -> None:
    etag = stack.put()
    ended = stack.run(stack.machine())
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    answer = json.loads(ended["output"])
    assert (answer["state"], answer["rows"], answer["errors"], answer["failed"]) == ("committed", ROWS, 0, 0)
    assert answer["parts"] == len([event for event in stack.front.events if event["step"] == "score"]) > 5
    manifest = json.loads(stack.get(answer["manifest"]))
    assert answer["manifest"] == f"{OUTPUT}/{etag}/_manifest.json"
    assert answer["digest"] == manifest["digest"]
    rows = [row for part in manifest["parts"] for row in read(stack.get(part["url"]), KEY)["id"]]
    assert rows == frame(ROWS)["id"].tolist()
    kept = {answer["manifest"], *(part["url"] for part in manifest["parts"])}
    assert {f"s3://{BUCKET}/{key}" for key in stack.listed()} == kept
    one = score_object(Job(INPUT, f"{OUTPUT}-1"), stack.started, Call("object", "1"), lambda: 900.0)
    (whole,) = (stack.get(url) for url in one["output"])
    header, _, body = whole.partition(b"\n")
    parts = [stack.get(part["url"]).partition(b"\n") for part in manifest["parts"]]
    assert {part[0] for part in parts} == {header}
    assert b"".join(part[2] for part in parts) == body


def test_what_is_done_is_not_done_again(stack: Stack) -> None:
    stack.put(rows=300)
    machine = stack.machine()
    first = stack.run(machine)
    asked = len(stack.front.events)
    second = stack.run(machine, name="run-2")
    assert json.loads(second["output"])["state"] == "already-committed"
    assert json.loads(second["output"])["digest"] == json.loads(first["output"])["digest"]
    assert len(stack.front.events) == asked + 1


def test_an_error_that_heals_is_retried_and_one_that_does_not_ends_the_run_with_its_reason(stack: Stack) -> None:
    stack.put()
    tried: list[int] = []

    def faulty(event: Any) -> Any:
        if event["step"] == "score" and event["range"]["index"] == 2:
            tried.append(2)
            if len(tried) == 1:
                raise StoreUnavailable("slow down")
            if len(tried) == 2:
                raise AccessDenied("the store denies access")
        return stack.function(event)

    stack.front.function = faulty
    ended = stack.run(stack.machine())
    assert (ended["status"], len(tried)) == ("FAILED", 2)
    (note,) = [key for key in stack.listed() if key.endswith("/2.failed.json")]
    written = json.loads(stack.get(f"s3://{BUCKET}/{note}"))
    assert written["Error"] == "AccessDenied"
    assert "denies access" in written["Cause"]
    assert not [key for key in stack.listed() if "_manifest" in key or "_partial" in key]
    # The next run of the object is whole, and nothing is left of the one before.
    again = json.loads(stack.run(stack.machine(), name="run-2")["output"])
    assert (again["state"], again["rows"]) == ("committed", ROWS)
    assert not [key for key in stack.listed() if "run-1" in key]


def test_a_job_that_is_not_allowed_fails_by_its_errors_name(stack: Stack) -> None:
    ended = stack.run(stack.machine(), input=f"s3://{BUCKET}/secret/rows.csv")
    assert (ended["status"], ended["error"]) == ("FAILED", "JobRefused")


def test_what_does_not_fit_is_handed_over_once_however_often_its_event_comes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.bulk.progress._SETTLED", 0.0)
    etag, machine = stack.put(rows=60_000), stack.machine(PartBytes="2000000")
    started = runtime.start(stack.environment(MODEL_BULK_STATE_MACHINE=machine))
    job = Job(INPUT, OUTPUT, etag=etag)
    hand_over = successor(started)
    answers = []
    for delay in (0, 1):
        answers.append(score_object(job, started, Call("object", "1"), lambda: 5.0, hand_over))
        if delay == 0:  # both ways to be late: while the execution runs, and when it has ended
            assert start_machine.start(job, machine) == {"execution": answers[0]["execution"]}
            (execution,) = stack.client.list_executions(stateMachineArn=machine)["executions"]
            monkeypatch.setattr("model.bulk.progress._SETTLED", 2.0)
            assert json.loads(stack.ended(execution["executionArn"])["output"])["state"] == "committed"
    assert (answers[0]["state"], answers[1]["state"]) == ("handed-over", "already-committed")
    assert start_machine.start(job, machine) == {"execution": answers[0]["execution"]}
    assert len(stack.client.list_executions(stateMachineArn=machine)["executions"]) == 1
    other = start_machine.start(Job(INPUT, OUTPUT, etag="another"), machine)
    assert other != {"execution": answers[0]["execution"]}


def test_what_cannot_be_handed_over_says_so(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = stack.machine()
    with pytest.raises(OutOfTime, match="gzip"):
        start_machine.start(Job(f"{INPUT}.gz", OUTPUT), machine)
    with pytest.raises(AccessDenied, match="StateMachineDoesNotExist"):
        start_machine.start(Job(INPUT, OUTPUT), machine + "-none")
    assert successor(stack.started) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="not started"):
        start_machine.start(Job(INPUT, OUTPUT), machine)


def bulk(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "handler", "bulk", *arguments, "--every", "0.1"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_line_starts_follows_and_prints_the_manifest(stack: Stack) -> None:
    stack.put()
    done = bulk(INPUT, OUTPUT, "--state-machine", stack.machine())
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert (manifest["rows"], manifest["failed"]) == (ROWS, [])
    assert "committed" in done.stderr
    parts = len(manifest["parts"])
    assert f"{parts}/{parts}" in done.stderr


def test_the_command_line_finds_the_machine_of_a_stack(stack: Stack) -> None:
    stack.put(rows=100)
    output = {"BulkStateMachine": {"Value": stack.machine()}}
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": output}
    boto3.client("cloudformation").create_stack(StackName="mine", TemplateBody=json.dumps(template))
    assert bulk(INPUT, OUTPUT, "--stack", "mine", "--model", "iris", "--version", "1.0.0").returncode == 0
    assert bulk(INPUT, OUTPUT, "--stack", "none").returncode == 1


def test_the_command_line_fails_when_the_run_does(stack: Stack) -> None:
    failed = bulk(f"s3://{BUCKET}/in/none.csv", OUTPUT, "--state-machine", stack.machine())
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "InputMissing" in failed.stderr
    for given in (("x.csv", OUTPUT), (INPUT.replace(".csv", ".txt"), OUTPUT), (INPUT, "file:///tmp/x")):
        refused = bulk(*given, "--state-machine", "arn:aws:states:us-east-1:123456789012:stateMachine:none")
        assert refused.returncode == 1
        assert "JobRefused" in refused.stderr


def test_the_command_line_tells_a_partial_output_from_a_whole_one(stack: Stack) -> None:
    """The interpreter knows no tolerance, so the reason is written by the step and the run goes on."""
    stack.put()

    def faulty(event: Any) -> Any:
        if event["step"] == "score" and event["range"]["index"] == 2:
            return {"index": 2}
        return stack.function(event)

    stack.front.function = faulty
    done = bulk(INPUT, OUTPUT, "--state-machine", stack.machine(ToleratedFailurePercentage="20"))
    assert done.returncode == 3, done.stderr
    (failed,) = json.loads(done.stdout)["failed"]
    assert failed["index"] == 2
    assert "no answer" in failed["reason"]
    assert not [key for key in stack.listed() if "_manifest" in key]


def test_states_carry_little_whatever_the_number_of_ranges(stack: Stack) -> None:
    stack.put(rows=4_000)
    stack.run(stack.machine(PartBytes="2000"))
    assert len(stack.front.events) > 60
    assert max(len(json.dumps(event)) for event in stack.front.events) < 1_000


def test_concurrent_runs_of_an_object_commit_once(stack: Stack) -> None:
    stack.put()
    machine, ended = stack.machine(), list[dict[str, Any]]()
    threads = [
        threading.Thread(target=lambda name=name: ended.append(stack.run(machine, name=name))) for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = [json.loads(found["output"]) for found in ended]
    assert sorted(answer["state"] for answer in answers) == ["already-committed", "committed"]
    assert len({answer["digest"] for answer in answers}) == 1
    manifest = json.loads(stack.get(answers[0]["manifest"]))
    assert {f"s3://{BUCKET}/{key}" for key in stack.listed()} == {
        answers[0]["manifest"],
        *(part["url"] for part in manifest["parts"]),
    }
