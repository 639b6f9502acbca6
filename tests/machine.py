"""Moto's S3 and Step Functions as one server whose Lambda is the real function: what it invokes, we answer.

Moto's interpreter invokes over HTTP; its own Lambda needs Docker, or answers from a list. Here the path of an invoke
goes to the step as `handler/on_map.py` takes it, and everything else to moto.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.conftest import BUCKET, ROOT

Function = Callable[[Any], Any]
DEFINITION = ROOT / "infra" / "bulk.asl.json"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:map:live"


def definition(**values: str) -> str:
    """The definition as CloudFormation fills it in."""
    given = {"Partition": "aws", "MapFunction": FUNCTION, "PartBytes": "20000", "MaxConcurrency": "4"}
    given |= {"Bucket": BUCKET, "OutputPrefix": "out/"}
    text = Path(DEFINITION).read_text()
    for name, value in (given | {"ToleratedFailurePercentage": "0"} | values).items():
        text = text.replace(f"${{{name}}}", value)
    return text


class Front:
    """A WSGI application: invokes to `function`, the rest to moto."""

    def __init__(self) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.function: Function = lambda event: event
        self.events: list[Any] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"].endswith("/invocations"):
            return self.invoked(Request(environ))(environ, start_response)
        return self.moto(environ, start_response)

    def invoked(self, request: Request) -> Response:
        assert FUNCTION.rpartition(":")[0].rpartition(":")[2] in request.path, request.path
        event = json.loads(request.get_data())
        self.events.append(event)
        try:
            answer = self.function(event)
        except Exception as error:  # as Lambda tells it
            told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": ["  File …"]}
            return Response(json.dumps(told), headers={"X-Amz-Function-Error": "Unhandled"})
        return Response(json.dumps(answer), headers={"X-Amz-Executed-Version": "1"})


@contextmanager
def serving() -> Iterator[tuple[str, Front]]:
    """Serve, with moto's interpreter switched on; yields the endpoint."""
    front = Front()
    server = make_server("127.0.0.1", 0, front, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with (
        mock.patch.dict(default_user_config, {"stepfunctions": {"execute_state_machine": True}}),
        mock.patch.dict("os.environ", {"MOTO_PORT": str(server.server_port)}),
    ):
        yield f"http://127.0.0.1:{server.server_port}", front
    server.shutdown()
    thread.join()
    server.server_close()
