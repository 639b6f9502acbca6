"""What stands in front of the application: predictions without it, everything else by it, and no difference to tell."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from handler import runtime
from handler.api import create_app
from handler.front import Front
from handler.http_call import HttpCall
from handler.predict import PATHS, route
from tests.conftest import ROOT

GOOD = b'{"features": [6.1, 2.8, 4.7, 1.2]}'
V2 = b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [6.1, 2.8, 4.7, 1.2]}]}'
CALLS = [
    ("POST", "/predict", GOOD, 200),
    ("POST", "/models/iris/predict", GOOD, 200),
    ("POST", "/models/iris/versions/1.0.0/predict", GOOD, 200),
    ("POST", "/models/iris/predict", b'{"features": [1]}', 400),
    ("POST", "/models/none/predict", GOOD, 404),
    ("POST", "/models/../predict", GOOD, 404),
    ("POST", "/models//predict", GOOD, 404),
    ("POST", "/models/iris/versions/9.9.9/predict", GOOD, 404),
    ("POST", "/predict/", GOOD, 404),
    ("POST", "predict", GOOD, 404),
    ("POST", "/v2/models/iris/infer", V2, 200),
    ("POST", "/v2/models/iris/infer", b"{}", 400),
    ("POST", "/invocations", b'{"instances": [[6.1, 2.8, 4.7, 1.2]]}', 200),
    ("POST", "/v1/models/iris:predict", b'{"instances": [[6.1, 2.8, 4.7, 1.2]]}', 200),
    ("GET", "/v2/models/iris/infer", b"", 405),
    ("GET", "/v2/nothing", b"", 404),
    ("GET", "/v2", b"", 200),
    ("GET", "/ping", b"", 200),
    ("GET", "/predict", b"", 405),
    ("GET", "/", b"", 200),
    ("GET", "/models/iris", b"", 200),
    ("GET", "/nothing", b"", 404),
]


@pytest.fixture(scope="module")
def apps(packed: Path) -> tuple[ASGIApp, ASGIApp]:
    """The front as a Lambda function has it, and the application as a server has it."""
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"})
    parts = started.registry, started.settings, started.observer
    return HttpCall(Front(*parts), started.observer), create_app(*parts)


def ask(app: ASGIApp, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "root_path": "", "query_string": b"", "http_version": "1.1",
        "headers": [(b"content-type", b"application/json"), (b"host", b"h")], "scheme": "https", "server": ("h", 443),
        "client": ("c", 1), "aws.event": {"requestContext": {"requestId": "same"}}, "aws.context": None,
    }  # fmt: skip

    async def call() -> None:
        await app(scope, receive, send)

    asyncio.run(call())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], headers, json.loads(content) if content else None


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
def test_front_and_application_answer_alike(
    apps: tuple[ASGIApp, ASGIApp], method: str, path: str, body: bytes, status: int
) -> None:
    front, application = (ask(app, method, path, body) for app in apps)
    assert front == application
    assert front[0] == status
    assert front[1]["x-request-id"] == "same"


def test_the_front_knows_the_paths_of_the_route_table() -> None:
    asked = {"name": "a", "version": "b"}
    for path in PATHS:
        found = route(path.format(**asked))
        assert found == {name: value for name, value in asked.items() if f"{{{name}}}" in path}


def test_the_application_is_imported_by_the_first_call_that_is_no_prediction(packed: Path) -> None:
    """In a fresh interpreter, through the handler, with the events as API Gateway sends them."""
    code = (
        f"V2 = {V2.decode()!r}"
        + """
import json, sys
from handler.on_http import handler
class Context: aws_request_id = "a"
event = json.load(open("tests/infra/events/apigateway-v1.json"))
assert handler(event, Context)["statusCode"] == 200
assert handler(event | {"body": "[]"}, Context)["statusCode"] == 400
infer = event | {"path": "/v2/models/iris/infer", "body": V2}
assert handler(infer, Context)["statusCode"] == 200
print("fastapi" in sys.modules)
health = json.load(open("tests/infra/events/apigateway-v1-health.json"))
assert handler(health, Context)["statusCode"] == 200
first = sys.modules["handler.on_http"]._front.application
assert handler(health, Context)["statusCode"] == 200
print("fastapi" in sys.modules, sys.modules["handler.on_http"]._front.application is first)
"""
    )
    env = {"PYTHONPATH": str(ROOT), "MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if not line.startswith("{")] == ["False", "True True"]
