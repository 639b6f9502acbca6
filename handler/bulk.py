"""`python -m handler bulk s3://in s3://out`: start the stack's state machine for one object, and follow it to its end.

Progress goes to stderr, the manifest to stdout. Exits with 0 when the object is committed, 3 when ranges are missing
from its output, 1 otherwise; an interrupt leaves the execution running.
"""

import json
import os
import sys
import time
import uuid
from typing import Annotated, Any

import boto3
import msgspec
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from handler.settings import Settings, SettingsError
from handler.steps import Input
from model.bulk.job import format_of, place
from model.errors import JobRefused

PARTIAL = 3
_STACK, _OUTPUT = "sklearn-on-lambda", "BulkStateMachine"
_STAGES = {"Plan": "planning", "ScoreRanges": "scoring", "Commit": "committing"}


def main(arguments: list[str]) -> None:
    """Parse the arguments, and do as the module says."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    app(arguments, prog_name="python -m handler bulk")


def command(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="the object: s3://bucket/in/rows.csv")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="the prefix of its output: s3://bucket/out/rows.csv")],
    model: Annotated[str | None, typer.Option(help="the model's name; the deployment's default without it")] = None,
    version: Annotated[str | None, typer.Option(help="the model's version; the live one without it")] = None,
    machine: Annotated[str | None, typer.Option("--state-machine", help="its ARN; MODEL_BULK_STATE_MACHINE")] = None,
    stack: Annotated[str, typer.Option(help="the stack whose state machine is meant, without an ARN")] = _STACK,
    every: Annotated[float, typer.Option(help="seconds between looks at it", min=0.05)] = 2.0,
) -> None:
    """Score one object of any size by the stack's state machine."""
    console = Console(stderr=True)
    try:
        _checked(source, output)
        arn = machine or Settings.from_env(os.environ).bulk_state_machine or _of_stack(stack)
        text = msgspec.json.encode(Input(source, output, model, version)).decode()
        client = boto3.client("stepfunctions", region_name=arn.split(":")[3])
        name = f"bulk-{uuid.uuid4().hex}"
        execution = client.start_execution(stateMachineArn=arn, name=name, input=text)["executionArn"]
        console.print(f"started {execution}", highlight=False, soft_wrap=True)
        ended = follow(client, execution, every, console)
        sys.exit(_told(ended, console))
    except (JobRefused, SettingsError, BotoCoreError, ClientError, LookupError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", highlight=False, soft_wrap=True)
        sys.exit(1)


def _checked(source: str, output: str) -> None:
    """Refuse what the first step would refuse, before anything is started."""
    for url in (source, output):
        if not place(url).root.startswith("s3://"):
            raise JobRefused(f"{url}: expected s3://bucket/key; `python -m model score` takes files")
    format_of(source)


def _of_stack(stack: str) -> str:
    """Return the ARN that the stack's outputs name; raises LookupError."""
    found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    for entry in found:
        if entry["OutputKey"] == _OUTPUT:
            return str(entry["OutputValue"])
    raise LookupError(f"the stack {stack} has no output {_OUTPUT}: name the state machine by --state-machine")


def follow(client: Any, execution: str, every: float, console: Console) -> dict[str, Any]:
    """Show a bar of ranges until the execution has ended, and return its description."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as bar:
        task = bar.add_task(_STAGES["Plan"], total=None)
        while True:
            described: dict[str, Any] = client.describe_execution(executionArn=execution)
            runs = client.list_map_runs(executionArn=execution)["mapRuns"]
            if runs:
                counts = client.describe_map_run(mapRunArn=runs[-1]["mapRunArn"])["itemCounts"]
                done = counts["succeeded"] + counts["failed"] + counts["timedOut"] + counts["aborted"]
                stage = "Commit" if counts["total"] and done == counts["total"] else "ScoreRanges"
                failed = f", {counts['failed']} failed" if counts["failed"] else ""
                bar.update(task, description=_STAGES[stage] + failed, completed=done, total=counts["total"] or None)
            if described["status"] not in {"RUNNING", "PENDING_REDRIVE"}:
                bar.update(task, description=described["status"].lower())
                return described
            time.sleep(every)


def _told(ended: dict[str, Any], console: Console) -> int:
    """Print the manifest, or why there is none; return the exit code."""
    if ended["status"] != "SUCCEEDED":
        why = ": ".join(filter(None, (ended.get("error"), ended.get("cause"))))
        console.print(f"{ended['status'].lower()}: {why or 'see the execution'}", style="red", soft_wrap=True)
        return 1
    answer: dict[str, Any] = json.loads(ended["output"])
    state, manifest = answer["state"], answer.get("manifest")
    if manifest is None:
        console.print(f"{state}: nothing was scored", style="red")
        return 1
    where = place(manifest)
    bucket = where.root.removeprefix("s3://")
    body = boto3.client("s3").get_object(Bucket=bucket, Key=where.key)["Body"].read()
    print(body.decode(), end="")
    if state == "partial":
        console.print(f"partial: {answer['failed']} ranges are missing, see {manifest}", style="red", soft_wrap=True)
        return PARTIAL
    console.print(f"{state}: {manifest}", style="green", soft_wrap=True)
    return 0
