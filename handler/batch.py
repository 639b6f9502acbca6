"""Many questions, one predict a model: each becomes an answer, or the error that it met.

Powertools' Batch would hand over one record at a time, so its predict would be one a record; of what it does, only the
form of the response would be left, and it costs 39 ms of a cold start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handler import jobs, problems
from handler.observe import Call
from handler.runtime import Runtime
from model.codec import json_rows
from model.errors import ArtifactError, ModelError
from model.rows import Request
from model.scorer import Scorer

Document = dict[str, Any]
# An answer, or why there is none. A ModelError that is not an ArtifactError is for ever; everything else may pass.
Outcome = Document | Exception


class Returned(Exception):
    """Why a message goes back to where it came from, in words that hold nothing of it."""


class OutOfTime(Returned):
    """The function's time was nearly over, so the message goes back rather than be cut off."""


@dataclass(frozen=True, slots=True)
class _Ready:
    index: int
    request: Request


def is_permanent(outcome: Outcome) -> bool:
    """Tell an error that every repeat would meet again: the caller's, or the estimator's with these very rows."""
    return isinstance(outcome, ModelError) and not isinstance(outcome, ArtifactError)


def answer(
    messages: Sequence[jobs.Message], runtime: Runtime, call: Call, late: Callable[[], bool] = lambda: False
) -> list[Outcome]:
    """Return what became of each message, in their order; raises nothing. `late` tells when no new work may start."""
    outcomes: list[Outcome] = [OutOfTime()] * len(messages)
    ready: dict[Scorer, list[_Ready]] = {}
    for i, message in enumerate(messages):
        if late():
            break
        try:
            scorer, request = _read(message.job, message.correlation, runtime, call)
            ready.setdefault(scorer, []).append(_Ready(i, request))
        except ModelError as error:
            outcomes[i] = error
        except Exception as error:
            runtime.observer.unexpected(error)
            outcomes[i] = error
    for scorer, asked in ready.items():
        if late():
            break
        found = scorer.score_groups([each.request for each in asked])
        call.rows += sum(len(each.request.rows) for each in asked)
        for each, prediction in zip(asked, found, strict=True):
            if isinstance(prediction, ModelError):
                outcomes[each.index] = prediction
                continue
            identifier = messages[each.index].correlation
            outcomes[each.index] = json_rows.render(prediction, single=each.request.single, identifier=identifier)
            if runtime.recorder is not None:
                runtime.recorder.predicted(identifier, each.request.rows, prediction)
    _name(call, list(ready))
    return outcomes


def items(event: Mapping[str, Any], runtime: Runtime, call: Call) -> Document:
    """Answer a Step Functions batch: {"results": [answer or problem, ...], "failed": n}, in the order of its items.

    Raises what `Retry` can mend or all items share: an ArtifactError, or UnknownModel for BatchInput's own model.
    """
    messages = jobs.from_items(event, call.identifier)
    common = event.get("BatchInput") or {}
    if "model" in common or "version" in common:
        job = jobs.from_invoke({key: common[key] for key in ("model", "version") if key in common})
        runtime.registry.scorer(job.model, job.version, left=call.left)
    outcomes = answer(messages, runtime, call)
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not is_permanent(outcome):
            raise outcome
    results = [problem(m, o) if isinstance(o, Exception) else o for m, o in zip(messages, outcomes, strict=True)]
    return {"results": results, "failed": sum(isinstance(outcome, Exception) for outcome in outcomes)}


def problem(message: jobs.Message, error: Exception) -> Document:
    """Return why a message was refused, as HTTP would say it, without the status that only HTTP has."""
    said = problems.of_error(error, message.correlation) if isinstance(error, ModelError) else {}
    return {key: said[key] for key in ("error", "detail", "errors", "id") if key in said}


def _read(job: jobs.Job | ModelError, key: str, runtime: Runtime, call: Call) -> tuple[Scorer, Request]:
    if isinstance(job, ModelError):
        raise job
    # By message, so a batch may meet the canary too.
    scorer = runtime.registry.scorer(job.model, job.version, key, call.left)
    request = json_rows.convert(job.request, scorer.schema)
    jobs.check_rows(len(request.rows), runtime.settings.max_rows)
    return scorer, request


def _name(call: Call, scorers: Sequence[Scorer]) -> None:
    """Give the line its model where all messages asked the same one."""
    if len(scorers) == 1:
        call.model, call.version = scorers[0].manifest.name, scorers[0].manifest.version
