"""A direct invoke, or a Step Functions task → a dict, or a raised error whose class name is the contract."""

import gc

# As in on_http.py: what is imported stays.
gc.disable()

import os
from typing import Any

from handler import batch, jobs, runtime, snapshot
from handler.observe import Call, direct_call
from model.codec import json_rows
from model.errors import ModelError

_runtime = runtime.start(os.environ)
snapshot.register(_runtime)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer {"model": "iris", "instances": [...]} or a batch of Step Functions; raises `model.errors` by name."""
    call = direct_call(context)
    try:
        if jobs.is_batch(event):
            return batch.items(event, _runtime, call)
        return _answer(jobs.from_invoke(event), call)
    except ModelError as error:
        call.error = type(error).__name__
        raise
    finally:
        _runtime.observer.finish(call)


def _answer(job: jobs.Job, call: Call) -> dict[str, Any]:
    scorer = _runtime.registry.scorer(job.model, job.version, call.identifier, call.left)
    call.model, call.version = scorer.manifest.name, scorer.manifest.version
    request = json_rows.convert(job.request, scorer.schema)
    call.rows = len(request.rows)
    jobs.check_rows(call.rows, _runtime.settings.max_rows)
    prediction = scorer.score(request.rows, request.outputs)
    shadow = None if job.version else _runtime.registry.shadow(job.model)
    if shadow is not None:
        _runtime.observer.compared(call, shadow.follow(request.rows, prediction, call.identifier))
    if _runtime.recorder is not None:
        _runtime.recorder.predicted(call.identifier, request.rows, prediction)
    return json_rows.render(prediction, single=request.single, identifier=call.identifier)
