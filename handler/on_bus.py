"""EventBridge's "Prediction Requested" → "Prediction Made" or "Prediction Refused", or an error: Lambda tries again."""

import gc

# As in on_http.py: what is imported stays.
gc.disable()

import os
from typing import Any

from handler import jobs, runtime, snapshot
from handler.exchange import Exchange, deadline
from handler.observe import Call

_runtime = runtime.start(os.environ)
snapshot.register(_runtime)
_outlets = runtime.outlets(_runtime.settings)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event; raises what a retry may mend, and what has nowhere to be refused to."""
    late = deadline(context)
    call = Call("bus", context.aws_request_id, context.aws_request_id, left=late.left)
    try:
        message = jobs.from_bus(event)
        call.identifier = message.correlation
        exchange = Exchange([message], _outlets, late)
        exchange.run(_runtime, call)
        for error in exchange.back.values():
            raise error
        return {"id": message.correlation, "result_id": message.result, **exchange.beside()}
    except Exception as error:
        call.error = type(error).__name__
        raise
    finally:
        _runtime.observer.finish(call)
