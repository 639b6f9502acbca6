"""`sam local` as a user runs it, in a container of Lambda's image, from the tree that `sam build` left."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import ROOT, clean_environment, sam

pytestmark = [pytest.mark.sam, pytest.mark.lab]

IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
IRIS = {"features": [6.1, 2.8, 4.7, 1.2]}
BABIES = {"gestation": 270, "parity": 1, "age": 28, "height": 64, "weight": 125, "smoke": 0}


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", autouse=True)
def lab() -> None:
    """Skip, saying why, where there is no Docker daemon or it has not got Lambda's image."""
    if not shutil.which("docker"):
        pytest.skip("no docker command: `sam local` needs Docker")
    if (daemon := _docker("version")).returncode:
        pytest.skip(f"no Docker daemon: {daemon.stderr.strip()}")
    if _docker("image", "inspect", IMAGE).returncode:
        pytest.skip(f"Docker has not got the image: docker pull {IMAGE}")


@pytest.mark.parametrize(
    ("function", "event", "expected"),
    [
        ("ApiFunction", "http", '"prediction":1,'),
        ("ApiFunction", "http-babies", '"unit":"oz"'),
        ("InvokeFunction", "invoke", '"predictions":[1,0],'),
        ("InvokeFunction", "invoke-babies", '"unit":"oz"'),
        ("InvokeFunction", "invoke-batch", '"failed":1'),
        ("QueueFunction", "queue", '"predictions":[0,1],'),
        ("QueueFunction", "queue-fifo", '"prediction":2,'),
        ("BusFunction", "bus", '"prediction":1,'),
        ("BusFunction", "bus-babies", '"unit":"oz"'),
        ("ObjectFunction", "object", '"rows":149,"errors":1,'),
        ("MapFunction", "map", '"state":"planned"'),
        ("MonitorFunction", "schedule", '"models":[]'),
    ],
)
def test_sam_local_invoke_prints_a_prediction(tree: Path, function: str, event: str, expected: str) -> None:
    template = ("-t", str(tree / "template.yaml"))
    done = sam("local", "invoke", function, *template, "-e", f"events/{event}.json", "--skip-pull-image", timeout=180)
    answer = json.loads(done.stdout)  # it exits 0 for a failed function too
    assert answer.get("statusCode", 200) == 200, done.stderr
    body = answer.get("body", json.dumps(answer, separators=(",", ":")))
    assert expected in body, done.stderr


@contextmanager
def serving(folder: Path, *parameters: str) -> Iterator[str]:
    """`sam local start-api` with these values of the template's parameters; its log is `folder`/log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "log"
    command = [str(Path(sys.executable).parent / "sam"), "local", "start-api", "--skip-pull-image", "-p", str(port)]
    command += ["--parameter-overrides", " ".join(parameters)] if parameters else []
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=clean_environment(), stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def url(built: Path, lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API that `sam local start-api` serves."""
    with serving(tmp_path_factory.mktemp("start-api")) as found:
        yield found


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def call(url: str, body: Any = None, accept: str = "application/json") -> tuple[int, str, str]:
    """Ask as curl does; status, content type and text."""
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
    with closing(connection):
        sent = None if body is None else json.dumps(body)
        headers = {"accept": accept, "content-type": "application/json"}
        connection.request("GET" if body is None else "POST", "/" + url.split("/", 3)[3], sent, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["content-type"], answer.read().decode()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/models",
        "/models/iris",
        "/models/iris/versions/1.0.0",
        "/openapi.json",
    ],
)
def test_start_api_answers_every_reading_route(url: str, path: str) -> None:
    status, kind, text = call(url + path)
    assert (status, kind) == (200, "application/json"), text
    assert isinstance(json.loads(text), dict)


def test_start_api_shows_the_interactive_documentation(url: str) -> None:
    status, kind, text = call(url + "/docs", accept="text/html")
    assert (status, kind.partition(";")[0]) == (200, "text/html")
    assert "docs/start.js" in text
    status, _, script = call(url + "/docs/start.js", accept="*/*")
    assert (status, 'url: "openapi.json"' in script) == (200, True)


@pytest.mark.parametrize(
    ("path", "body", "key", "expected"),
    [
        ("/predict", IRIS, "prediction", 1),
        ("/models/iris/predict", {"instances": [IRIS["features"]]}, "predictions", [1]),
        ("/models/iris/versions/1.0.0/predict", IRIS, "label", "versicolor"),
        ("/models/babies/predict", BABIES, "unit", "oz"),
    ],
)
def test_start_api_predicts_on_every_route(url: str, path: str, body: Any, key: str, expected: Any) -> None:
    status, _, text = call(url + path, body)
    assert status == 200, text
    assert json.loads(text)[key] == expected


def test_start_api_returns_a_problem_as_text(url: str) -> None:
    status, kind, text = call(url + "/predict", {"features": [1]})
    assert (status, kind) == (400, "application/problem+json")
    assert json.loads(text)["status"] == 400
