"""SQS, standard or FIFO → one predict for all messages of a batch → results, refusals, and what must come back."""

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
# The SDK costs 200 ms, so it is loaded with the rest, and only where there is somewhere to send.
_outlets = runtime.outlets(_runtime.settings)
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with `batchItemFailures`, and beside it with what has no destination: "results" and "refused"."""
    late = deadline(context)
    call = Call("queue", context.aws_request_id, context.aws_request_id, left=late.left)
    try:
        messages = jobs.from_queue(event, _runtime.settings.max_body_bytes)
        exchange = Exchange(messages, _outlets, late)
        exchange.run(_runtime, call)
        back = [{"itemIdentifier": messages[i].identifier} for i in sorted(exchange.back)]
        return {"batchItemFailures": back, **exchange.beside()}
    except Exception as error:
        call.error = type(error).__name__
        raise
    finally:
        _runtime.observer.finish(call)
