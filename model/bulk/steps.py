"""One object by many functions: begin, score any number of ranges beside each other, finish.

The three steps of a state machine; each may be called again, at any time, with the same result.
"""

from collections.abc import Callable
from datetime import datetime
from time import monotonic

from model.bulk.commit import Outcome, committed, discard, owns
from model.bulk.job import Job
from model.bulk.ledger import ATTEMPT, Ledger
from model.bulk.objects import Objects
from model.bulk.part import Part, score_part
from model.bulk.partial import partial, settle
from model.bulk.plan import Plan, Range, folder, plan
from model.bulk.progress import Deadline, Progress, ignore
from model.bulk.run import columns, current, timings
from model.errors import InputMissing, JobRefused
from model.scorer import Scorer


def begin(objects: Objects, job: Job, scorer: Scorer, attempt: str, part_bytes: int) -> tuple[Ledger, Plan] | Outcome:
    """Cut the object and write the plan down, or answer with what is there already."""
    if not ATTEMPT.fullmatch(attempt):
        raise JobRefused("expected letters, digits, - and _ for the attempt's name, 80 at most")
    version = current(objects, job)
    if version is None:
        return Outcome("superseded")
    where = folder(job.output, version)
    done = committed(objects, where)
    if done is not None:
        return done
    made = plan(objects, job, version, scorer.manifest, part_bytes)
    ledger = Ledger(objects, f"{where}/{attempt}")
    ledger.begin(made)
    return ledger, made


def score(
    ledger: Ledger,
    made: Plan,
    piece: Range,
    scorer: Scorer,
    *,
    progress: Callable[[Progress], None] = ignore,
    deadline: Deadline | None = None,
) -> Part:
    """Score one range and write down that it is done."""
    part = score_part(ledger.objects, made, piece, scorer, ledger.attempt, progress=progress, deadline=deadline)
    ledger.done(part)
    return part


def finish(ledger: Ledger, scorer_of: Callable[[Plan], Scorer], tolerated: float, started: datetime) -> Outcome:
    """Commit the ranges in order, or settle a run with holes (see `settle`)."""
    try:
        return _answered(ledger) or _finish(ledger, scorer_of, tolerated, started)
    except InputMissing:
        # Another attempt's commit, or this one's own heard by nobody, has swept the plan away.
        found = _answered(ledger)
        if found is None:
            raise
        return found


def _finish(ledger: Ledger, scorer_of: Callable[[Plan], Scorer], tolerated: float, started: datetime) -> Outcome:
    made = ledger.plan(whole=True)
    done, reasons = ledger.entries()
    elapsed = (datetime.now(started.tzinfo) - started).total_seconds()
    times = timings(started, monotonic() - elapsed, sum(part.rows for part in done.values()))
    names = columns(made, scorer_of(made))
    return settle(ledger.objects, made, done, reasons, tolerated, ledger.attempt, names, times)


def _answered(ledger: Ledger) -> Outcome | None:
    """Return the object's outcome, or this run's own; what another run's commit has made useless is removed."""
    found = committed(ledger.objects, ledger.folder)
    if found is not None:
        if not owns(found, ledger.folder, ledger.attempt):
            discard(ledger.objects, ledger.folder, ledger.attempt)
        return found
    part = partial(ledger.objects, ledger.folder)
    return part if part is not None and owns(part, ledger.folder, ledger.attempt) else None
