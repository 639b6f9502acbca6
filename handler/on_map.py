"""A step of the state machine that scores one object by many functions: {"step": "plan" | "score" | "commit", …}."""

import gc

# As in on_http.py: what is imported stays.
gc.disable()

import os
from typing import Any

from handler import runtime, steps
from handler.observe import Call
from handler.score_ranges import take

_runtime = runtime.start(os.environ)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> Any:
    """Answer what `infra/bulk.asl.json` passes on; an error is raised by its name, which its Retry and Catch match."""
    call = Call("map", context.aws_request_id, context.aws_request_id, left=context.get_remaining_time_in_millis)
    try:
        return take(steps.from_event(event), _runtime, call, lambda: context.get_remaining_time_in_millis() / 1000)
    except Exception as error:
        call.error = type(error).__name__
        raise
    finally:
        _runtime.observer.finish(call)
