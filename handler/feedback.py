"""POST /feedback: what really was the answer to a row of a prediction, by the prediction's id. One line in the log.

It starts nothing: what is done with it is decided by whoever reads the figures.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from handler import bodies, predict
from handler.problems import Refused
from handler.records import Recorder
from model import records
from model.errors import InvalidRows

PATH = "/feedback"
MAX_BYTES = 4096


def route(recorder: Recorder) -> Callable[[Request], Any]:
    """Return the route: 202 for {"id", "row": 0, "actual"}, else Refused or TooLarge."""

    async def feedback(request: Request) -> Response:
        call = request.scope["call"]
        call.fields["operation"] = "feedback"
        head = bodies.headers(request.scope)
        if not predict.is_json(predict.media_type(head.get(b"content-type", b"").decode("latin-1"))):
            raise Refused(415, "expected application/json")
        body = await bodies.read(request.receive, head, MAX_BYTES)
        try:
            given = records.feedback(body)
        except InvalidRows as error:
            raise Refused(400, 'expected {"id", "row": 0, "actual"}', faults=error.faults) from None
        recorder.feedback(given)
        answer = {"id": given.id, "row": given.row, "status": "accepted"}
        return Response(msgspec.json.encode(answer), 202, media_type="application/json")

    return feedback
