"""The state machine's three steps: their models, their progress in the log, their answers, far below 256 KiB each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from handler.observe import Call
from handler.progress_lines import ProgressLines
from handler.runtime import Runtime
from handler.steps import Begin, Finish, Score
from model.bulk.job import Job, permit
from model.errors import JobRefused
from model.scorer import Scorer

if TYPE_CHECKING:
    from model.bulk.commit import Outcome
    from model.bulk.ledger import Ledger
    from model.bulk.plan import Plan


def take(step: Begin | Score | Finish, runtime: Runtime, call: Call, seconds_left: Callable[[], float]) -> Any:
    """Take one step and answer as the definition of the state machine expects; raises the errors of `model.errors`."""
    call.fields["operation"] = type(step).__name__.lower()
    if isinstance(step, Begin):
        return _begin(step, runtime, call)
    if isinstance(step, Score):
        return _score(step, runtime, call, seconds_left)
    return _finish(step, runtime, call)


def _begin(step: Begin, runtime: Runtime, call: Call) -> dict[str, Any]:
    from model.bulk import steps  # noqa: PLC0415  -- what only bulk needs is in a layer of its own
    from model.bulk.commit import Outcome  # noqa: PLC0415
    from model.bulk.objects import Objects  # noqa: PLC0415

    settings, job = runtime.settings, step.job.job
    permit(job, settings.bulk_inputs, settings.bulk_outputs)
    scorer = _scorer(runtime, call, job.model, job.model_version)
    found = steps.begin(Objects(settings.endpoint), job, scorer, step.attempt, step.part_bytes)
    if isinstance(found, Outcome):
        return _told(found, job.input)
    ledger, made = found
    bucket, ranges = ledger.key("ranges.json")
    keys = {"bucket": bucket, "ranges": ranges, "ledger": ledger.key("ledger")[1]}
    shares = {"tolerated": step.tolerated, "concurrency": step.concurrency}
    return {"state": "planned", "input": job.input, "run": ledger.url, "parts": len(made.ranges), **keys, **shares}


def _score(step: Score, runtime: Runtime, call: Call, seconds_left: Callable[[], float]) -> dict[str, Any]:
    from model.bulk import steps  # noqa: PLC0415
    from model.bulk.plan import Range  # noqa: PLC0415
    from model.bulk.progress import Deadline  # noqa: PLC0415

    ledger = _ledger(runtime, step.run)
    made = _allowed(ledger.plan(), runtime)
    scorer = _scorer(runtime, call, made.model, made.model_version)
    piece = Range(step.range.index, step.range.start, step.range.end)
    with ProgressLines(runtime, call, made.input.url) as tell:
        part = steps.score(ledger, made, piece, scorer, progress=tell, deadline=Deadline(seconds_left))
    call.rows = part.rows
    return {"index": part.index, "rows": part.rows, "errors": part.errors, "digest": part.digest}


def _finish(step: Finish, runtime: Runtime, call: Call) -> dict[str, Any]:
    from model.bulk import steps  # noqa: PLC0415

    ledger = _ledger(runtime, step.run)
    # Rows are counted where they are scored.
    outcome = steps.finish(
        ledger,
        lambda made: _scorer(runtime, call, _allowed(made, runtime).model, made.model_version),
        step.tolerated,
        step.started,
    )
    return _told(outcome, outcome.result.input.url if outcome.result else "")


def _scorer(runtime: Runtime, call: Call, name: str | None, version: str | None) -> Scorer:
    scorer = runtime.registry.scorer(name, version, left=call.left)
    call.model, call.version = scorer.manifest.name, scorer.manifest.version
    return scorer


def _ledger(runtime: Runtime, run: str) -> "Ledger":
    from model.bulk.ledger import ATTEMPT, Ledger  # noqa: PLC0415
    from model.bulk.objects import Objects  # noqa: PLC0415

    outputs = runtime.settings.bulk_outputs
    permit(Job(run, run), outputs, outputs)
    ledger = Ledger(Objects(runtime.settings.endpoint), run)
    if not ATTEMPT.fullmatch(ledger.attempt):
        raise JobRefused("expected the URL of a run, as the plan answers it")
    return ledger


def _allowed(made: "Plan", runtime: Runtime) -> "Plan":
    """Check what a plan says against the settings of today: it is an object that others may have written."""
    permit(Job(made.input.url, made.output), runtime.settings.bulk_inputs, runtime.settings.bulk_outputs)
    return made


def _told(outcome: "Outcome", url: str) -> dict[str, Any]:
    """An outcome without what grows with the number of parts."""
    answer: dict[str, Any] = {"state": outcome.state, "input": url, "manifest": outcome.manifest}
    if outcome.result is not None:
        found = outcome.result
        answer |= {"rows": found.rows, "errors": found.errors, "digest": found.digest, "model": found.model}
        answer |= {"parts": len(found.parts), "failed": len(found.failed), "errors_file": found.errors_url}
    return answer
