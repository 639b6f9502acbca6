"""A schedule → the records of the last hours against training, as metrics. Loads no engine and no estimator."""

import gc

# As in on_http.py: what is imported stays.
gc.disable()

import os
from typing import Any

from handler import monitor, runtime
from handler.observe import Call

_runtime = runtime.start(os.environ, warm=False)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one scheduled event with what was found; raises ArtifactUnavailable when records cannot be read."""
    call = Call("schedule", context.aws_request_id, context.aws_request_id)
    try:
        found = monitor.watch(_runtime, event)
        call.fields["drifted"] = found.get("drifted", [])
        return found
    except Exception as error:
        call.error = type(error).__name__
        raise
    finally:
        _runtime.observer.finish(call)
