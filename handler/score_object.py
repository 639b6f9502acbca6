"""One job of an object: its scorer, its hand-over, its answer."""

from collections.abc import Callable
from typing import Any

import msgspec

from handler.observe import Call
from handler.progress_lines import ProgressLines
from handler.runtime import Runtime
from model.bulk.job import Job, permit
from model.errors import OutOfTime

# The state machine takes over what does not fit: given the job, it says what became of it.
HandOver = Callable[[Job], dict[str, Any]]


def score_object(
    job: Job, runtime: Runtime, call: Call, seconds_left: Callable[[], float], hand_over: HandOver | None = None
) -> dict[str, Any]:
    """Score one object and answer with its outcome: state, manifest, rows, errors, digest.

    What does not fit into the time left goes to `hand_over`; without one OutOfTime is raised. Raises JobRefused and
    the other errors of `model.bulk.run`, by name.
    """
    from model.bulk.objects import Objects  # noqa: PLC0415  -- what only bulk needs is in a layer of its own
    from model.bulk.progress import Deadline  # noqa: PLC0415
    from model.bulk.run import run  # noqa: PLC0415

    settings = runtime.settings
    permit(job, settings.bulk_inputs, settings.bulk_outputs)
    scorer = runtime.registry.scorer(job.model, job.model_version, left=call.left)
    call.model, call.version = scorer.manifest.name, scorer.manifest.version
    try:
        with ProgressLines(runtime, call, job.input) as tell:
            outcome = run(Objects(settings.endpoint), job, scorer, progress=tell, deadline=Deadline(seconds_left))
    except OutOfTime:
        if hand_over is None:
            raise
        return {"state": "handed-over", "input": job.input} | hand_over(job)
    answer: dict[str, Any] = {"state": outcome.state, "input": job.input, "manifest": outcome.manifest}
    if outcome.result is not None:
        result = outcome.result
        call.rows += result.rows if outcome.state == "committed" else 0
        answer |= {"rows": result.rows, "errors": result.errors, "digest": result.digest, "model": result.model}
        answer |= {"output": [part.url for part in result.parts], "errors_file": result.errors_url}
        answer["timings"] = msgspec.to_builtins(result.timings)
    return answer


def successor(runtime: Runtime) -> HandOver | None:
    """Return what takes over an object that does not fit into one call: the state machine that the settings name."""
    machine = runtime.settings.bulk_state_machine
    if machine is None:
        return None

    def hand_over(job: Job) -> dict[str, Any]:
        from handler import start_machine  # noqa: PLC0415

        return start_machine.start(job, machine)

    return hand_over
