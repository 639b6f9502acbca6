"""The state machine's events → steps, and a job → the execution that scores it. Pure."""

import hashlib
from datetime import datetime
from typing import Annotated, Any

import msgspec

from model.bulk.job import Job
from model.errors import JobRefused

Bytes = Annotated[int, msgspec.Meta(ge=1)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An execution's input: a job as `jobs.from_object` takes it, with what an event said of the object."""

    input: str
    output: str
    model: str | None = None
    version: str | None = None
    etag: str | None = None
    object_version: str | None = None

    @property
    def job(self) -> Job:
        return Job(self.input, self.output, self.model, self.version, self.etag, self.object_version)


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="step"):
    """What the state machine asks a function to do."""


class Begin(Step, frozen=True, tag="plan"):
    """Cut the job's object. `attempt` is the execution's name; the two shares are for the states that follow."""

    job: Input
    attempt: str
    part_bytes: Bytes
    tolerated: Percent = 0.0
    concurrency: int = 0


class Piece(msgspec.Struct, frozen=True):
    """One item of the plan's list (`model.bulk.plan.Range`)."""

    index: int
    start: int
    end: int


class Score(Step, frozen=True, tag="score"):
    """Score one range of the run at `run`, the URL that its objects are below."""

    run: str
    range: Piece


class Finish(Step, frozen=True, tag="commit"):
    """Commit the run, which `started` then, with at most `tolerated` percent of its ranges missing."""

    run: str
    started: datetime
    tolerated: Percent = 0.0


def from_event(event: Any) -> Begin | Score | Finish:
    """Read a step; raises JobRefused with the field that is wrong."""
    try:
        return msgspec.convert(event, type=Begin | Score | Finish)
    except msgspec.ValidationError as error:
        raise JobRefused(f"not a step of the state machine: {error}") from None


def execution(job: Job) -> tuple[str, str]:
    """Return the name and the input of the execution that scores a job: the same job is the same execution."""
    given = Input(job.input, job.output, job.model, job.model_version, job.etag, job.version)
    text = msgspec.json.encode(given).decode()
    return f"bulk-{hashlib.sha256(text.encode()).hexdigest()[:64]}", text
