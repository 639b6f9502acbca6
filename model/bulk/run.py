"""One job from its event to its outcome, in one call: the plan has one range, this function scores and commits it."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from model.bulk.commit import Outcome, commit, committed, discard, owns
from model.bulk.job import Job
from model.bulk.objects import Objects, Version
from model.bulk.part import score_part
from model.bulk.plan import Plan, folder, plan
from model.bulk.progress import Deadline, Progress, ignore
from model.codec.appended import Appended
from model.errors import BulkError, InputMissing, ModelError
from model.scorer import Scorer


def run(
    objects: Objects,
    job: Job,
    scorer: Scorer,
    *,
    progress: Callable[[Progress], None] = ignore,
    deadline: Deadline | None = None,
) -> Outcome:
    """Score one object, whatever other deliveries of the same event do: exactly one of them commits.

    Raises the errors of `score_part`, after what this attempt has written is removed, and those of `commit`, after
    which nobody knows whose the output is: the next attempt finds out, and its commit removes what is in none.
    """
    version = current(objects, job)
    if version is None:
        return Outcome("superseded")
    where = folder(job.output, version)
    done = committed(objects, where)
    if done is not None:
        return done
    started, clock = datetime.now(UTC), time.monotonic()
    made = plan(objects, job, version, scorer.manifest)
    attempt = f"attempt-{uuid.uuid4().hex}"
    try:
        part = score_part(objects, made, made.ranges[0], scorer, attempt, progress=progress, deadline=deadline)
    except ModelError:
        _discard(objects, where, attempt)
        raise
    outcome = commit(objects, made, [part], attempt, columns(made, scorer), timings(started, clock, part.rows))
    # Its own manifest, found where only the answer to its creation was lost, is its commit.
    return replace(outcome, state="committed") if owns(outcome, where, attempt) else outcome


def current(objects: Objects, job: Job) -> Version | None:
    """Return the version to score; None when the event's is gone and another, with its own event, has its place."""
    try:
        found = objects.head(job.input, job.version)
    except InputMissing:
        if job.etag is None:
            raise
        return None  # deleted since: nobody wants its answers
    if job.version is None and job.etag is not None and found.etag != job.etag.strip('"'):
        return None
    return replace(found, id=job.version)


def columns(made: Plan, scorer: Scorer) -> tuple[str, ...]:
    """Return the names that scoring appends under this plan."""
    return Appended(scorer.manifest, prefix=made.prefix).names


def timings(started: datetime, clock: float, rows: int) -> dict[str, Any]:
    """Return the manifest's timings; `clock` is time.monotonic() when the work began."""
    seconds = time.monotonic() - clock
    now = datetime.now(UTC)
    return {
        "started": started.isoformat(timespec="milliseconds"),
        "finished": now.isoformat(timespec="milliseconds"),
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / seconds) if seconds else 0,
    }


def _discard(objects: Objects, where: str, attempt: str) -> None:
    try:
        discard(objects, where, attempt)
    except BulkError:
        return  # the first error is the one to tell; the next commit sweeps
