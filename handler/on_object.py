"""S3 "Object Created" through EventBridge, an S3 notification, or a job → the object's rows scored into another."""

import gc

# As in on_http.py: what is imported stays.
gc.disable()

import os
from typing import Any

from handler import jobs, runtime, snapshot
from handler.observe import Call
from handler.score_object import score_object, successor

_runtime = runtime.start(os.environ)
snapshot.register(_runtime)
_hand_over = successor(_runtime)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer {"objects": [outcome, …]}; an error is raised by its name, and the event's own retry and dead-letter queue
    take it from there. Objects of the event that are done already are answered from their manifests then."""
    call = Call("object", context.aws_request_id, context.aws_request_id, left=context.get_remaining_time_in_millis)
    settings = _runtime.settings
    try:
        found = jobs.from_object(event, settings.bulk_inputs, settings.bulk_outputs)
        left = lambda: context.get_remaining_time_in_millis() / 1000  # noqa: E731
        return {"objects": [score_object(job, _runtime, call, left, _hand_over) for job in found]}
    except Exception as error:
        call.error = type(error).__name__
        raise
    finally:
        _runtime.observer.finish(call)
