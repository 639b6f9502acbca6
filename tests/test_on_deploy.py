"""The deploy hook through botocore: a Lambda and a CodeDeploy of this machine, the real functions behind them."""

import asyncio
import base64
import importlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest

from handler import deploy_check
from tests.conftest import LogLines
from tests.test_on_http import Context

HOOK = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}
ARN = "arn:aws:lambda:us-east-1:123456789012:function:{}:7"
VERSIONS = {"MODEL_DEPLOY_HTTP": ARN.format("Api"), "MODEL_DEPLOY_INVOKE": ARN.format("Invoke")}
Function = Callable[[Any, Any], Any]


class HookContext(Context):
    seconds = 300

    def get_remaining_time_in_millis(self) -> int:
        return self.seconds * 1000


class Aws(HTTPServer):
    """Invoke, GetFunctionConfiguration, PutLifecycleEventHookExecutionStatus, as the service models describe them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.functions: dict[str, Function] = {}
        self.states: dict[str, list[str]] = {}
        self.invoked: list[tuple[str, Any]] = []
        self.reports: list[dict[str, str]] = []

    def configuration(self, arn: str) -> dict[str, str]:
        states = self.states.get(arn, [])
        return {"State": states.pop(0) if states else "Active", "LastUpdateStatus": "Successful"}

    def call(self, arn: str, payload: Any, client: str | None) -> tuple[Any, bool]:
        self.invoked.append((arn, payload))
        context = Context()
        if client is not None:  # as the runtime client hands it to the handler
            given = json.loads(base64.b64decode(client))
            context.client_context = SimpleNamespace(custom=given["custom"])  # type: ignore[attr-defined]
        try:
            return self.functions[arn](payload, context), False
        except Exception as error:
            return {"errorType": type(error).__name__, "errorMessage": "6.123456"}, True


class _Answer(BaseHTTPRequestHandler):
    server: Aws

    def do_GET(self) -> None:
        self._send(self.server.configuration(unquote(self.path).split("/functions/")[1].split("/")[0]))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "x-amz-target" in self.headers:
            assert self.headers["x-amz-target"].endswith(".PutLifecycleEventHookExecutionStatus")
            self.server.reports.append(body)
            return self._send({"lifecycleEventHookExecutionId": "hook-1"})
        arn = unquote(self.path).split("/functions/")[1].split("/")[0]
        answer, failed = self.server.call(arn, body, self.headers["x-amz-client-context"])
        return self._send(answer, **({"X-Amz-Function-Error": "Unhandled"} if failed else {}))

    def _send(self, document: Any, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def store(packed: Path, tmp_path: Path) -> Path:
    """A copy of the packed examples that a test may break."""
    shutil.copytree(packed, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def aws(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Both functions as they start over the store, and the hook's environment."""
    for name, value in {
        "MODEL_STORE": store.as_uri(),
        "MODEL_DEFAULT": "iris",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    started = threading.Event()
    with Aws() as server:

        def serve() -> None:
            for variable, edge in (("MODEL_DEPLOY_HTTP", "on_http"), ("MODEL_DEPLOY_INVOKE", "on_invoke")):
                sys.modules.pop(f"handler.{edge}", None)
                server.functions[VERSIONS[variable]] = importlib.import_module(f"handler.{edge}").handler
            started.set()
            server.serve_forever(poll_interval=0.02)
            asyncio.get_event_loop().close()  # Mangum's, of the thread that imported it

        thread = threading.Thread(target=serve)
        thread.start()
        assert started.wait(30)
        for name, value in VERSIONS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def run() -> Any:
    return importlib.import_module("handler.on_deploy").handler(HOOK, HookContext())


def reported(aws: Aws) -> str:
    (report,) = aws.reports
    assert (report["deploymentId"], report["lifecycleEventHookExecutionId"]) == ("d-1", "hook-1")
    return report["status"]


def test_golden_rows_of_each_model_pass_through_both_entry_points(aws: Aws) -> None:
    answer = run()
    assert answer == {
        "status": "Succeeded",
        "checked": [f"{name}/1.0.0 by {way}" for name in ("babies", "iris") for way in ("http", "invoke")],
    }
    assert reported(aws) == "Succeeded"
    assert {arn for arn, _ in aws.invoked} == set(VERSIONS.values())
    assert len(aws.invoked[1][1]["instances"]) == 16


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_RECORD_SHARE", "1")


@pytest.mark.usefixtures("recording")
def test_golden_rows_are_not_recorded_for_they_would_be_drift(aws: Aws, log_lines: LogLines) -> None:
    assert run()["status"] == "Succeeded"
    lines = log_lines()
    assert [line["id"] for line in lines if line["message"] == "request"] == ["deploy-check"] * 4
    assert not [line for line in lines if line["message"] == "prediction"]
    asked = {"model": "iris", "instances": [[6.1, 2.8, 4.7, 1.2]]}
    aws.functions[VERSIONS["MODEL_DEPLOY_INVOKE"]](asked, Context())  # anybody else's call is
    assert [line["id"] for line in log_lines() if line["message"] == "prediction"] == [Context().aws_request_id]


def test_a_snapshot_is_waited_for(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.states[VERSIONS["MODEL_DEPLOY_HTTP"]] = ["Pending"]
    monkeypatch.setattr(time, "sleep", lambda _: None)  # botocore's waiter looks every 5 s
    assert run()["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda g: g["predictions"].__setitem__(3, 9), "golden row 3 no longer has the answer"),
        (lambda g: g["predictions"].pop(), "golden row 15 no longer has the answer"),
        (lambda g: g["probabilities"][0].__setitem__("setosa", 0.5), "golden row 0 no longer has the answer"),
        (lambda g: g["rows"][0].__setitem__(0, "long"), "status 400"),
    ],
)
def test_another_answer_than_the_recorded_one_fails(
    aws: Aws, store: Path, edit: Callable[[Any], None], reason: str, log_lines: LogLines
) -> None:
    # After the functions have loaded, so that they are the ones who differ.
    file = store / "iris" / "1.0.0" / "golden.json"
    golden = json.loads(file.read_text())
    edit(golden)
    file.write_text(json.dumps(golden))
    answer = run()
    assert answer["status"] == reported(aws) == "Failed"
    assert answer["reason"].startswith("iris/1.0.0 by http: ")
    assert reason in answer["reason"]
    assert log_lines()[-1].items() >= {"level": "ERROR", "deployment": "d-1", **answer}.items()


@pytest.mark.parametrize("way", ["http", "invoke"])
def test_a_function_that_raises_fails_by_its_class_alone(aws: Aws, way: str) -> None:
    def broken(event: Any, context: Any) -> Any:
        raise MemoryError

    aws.functions[VERSIONS[f"MODEL_DEPLOY_{way.upper()}"]] = broken
    answer = run()
    assert reported(aws) == "Failed"
    assert answer["reason"] == f"babies/1.0.0 by {way}: FunctionFailed: MemoryError"


def test_a_function_that_forgets_an_output_fails(aws: Aws) -> None:
    whole = aws.functions[VERSIONS["MODEL_DEPLOY_INVOKE"]]
    aws.functions[VERSIONS["MODEL_DEPLOY_INVOKE"]] = lambda event, context: {
        name: value for name, value in whole(event, context).items() if name != "probabilities"
    }
    assert run()["reason"].startswith("iris/1.0.0 by invoke: ArtifactCorrupt: golden row 0")


def test_an_empty_store_fails(aws: Aws, store: Path) -> None:
    shutil.rmtree(store)
    store.mkdir()
    assert run()["reason"] == "no model is served"
    assert reported(aws) == "Failed"


def test_several_versions_without_a_label_fail(aws: Aws, store: Path) -> None:
    shutil.copytree(store / "iris" / "1.0.0", store / "iris" / "1.0.1")
    assert "iris" in run()["reason"]
    assert reported(aws) == "Failed"


@pytest.mark.parametrize(("name", "value"), [("MODEL_DEPLOY_HTTP", ""), ("MODEL_TRUST", "nobody")])
def test_a_wrong_setting_is_reported_and_not_waited_for(
    aws: Aws, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert name in run()["reason"]
    assert reported(aws) == "Failed"


def test_it_stops_while_there_is_time_to_say_so(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HookContext, "seconds", deploy_check.LATE_SECONDS - 1)
    assert run()["reason"] == "babies/1.0.0: no time is left, 0 checks were good"
    assert reported(aws) == "Failed"
