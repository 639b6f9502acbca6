"""The server as its image runs it: several processes, one sum of metrics, and a stop that lets calls end."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from handler.server import create
from tests.conftest import ROOT
from tests.test_architecture import loaded

IRIS = b'{"features": [6.1, 2.8, 4.7, 1.2]}'


class Server:
    def __init__(self, workers: int, packed: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.workers = workers
        env = {"PATH": os.environ["PATH"], "MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"}
        env |= {"PORT": str(self.port), "WORKERS": str(workers)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "handler"],
            cwd=ROOT,
            env=env,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"content-type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait(self) -> None:
        for _ in range(300):
            try:
                if self.ask("GET", "/health/ready")[0] == 200:
                    return
            except OSError:
                assert self.process.poll() is None, "the service stopped"
            time.sleep(0.1)
        raise AssertionError("not ready in 30 s")


@pytest.fixture(params=[1, 2])
def server(request: pytest.FixtureRequest, packed: Path) -> Iterator[Server]:
    running = Server(request.param, packed)
    try:
        running.wait()
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)  # the workers, too
        running.process.wait()


def total(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    lines = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    chosen = [line for line in lines if all(f'{key}="{value}"' in line for key, value in labels.items())]
    return sum(float(line.rpartition(" ")[2]) for line in chosen)


def settled(server: Server) -> str:
    """The metrics once all 22 calls are in them: each is counted after its answer has left, in whichever process."""
    for _ in range(100):
        status, text = server.ask("GET", "/metrics")
        assert status == 200
        if total(text, "model_requests_total", operation="predict") == 22:
            return text
        time.sleep(0.05)
    raise AssertionError(text)


def test_metrics_add_up_over_all_processes_and_show_no_value(server: Server) -> None:
    for _ in range(20):
        assert server.ask("POST", "/predict", IRIS)[0] == 200
    assert server.ask("POST", "/predict", b'{"features": ["6.123456"]}')[0] == 400
    assert server.ask("POST", "/models/nobody-has-it/predict", IRIS)[0] == 404
    text = settled(server)
    assert total(text, "model_requests_total", operation="predict", model="iris", version="1.0.0", status="200") == 20
    assert total(text, "model_rows_total", model="iris") == 20
    assert total(text, "model_seconds_count", operation="predict", model="iris") == 21
    assert total(text, "model_errors_total", fault="caller") == 2
    assert total(text, "model_errors_total", fault="ours") == 0
    assert not re.search("6.123456|nobody", text)  # neither values nor names that anybody can invent


def test_sigterm_lets_a_call_end_and_takes_no_new_one(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as caller:
        head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(IRIS)}\r\nconnection: close\r\n\r\n".encode()
        caller.sendall(head + IRIS[:10])  # the rest is still on its way
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.7)
        if server.workers == 1:  # of several processes the first keeps the port until the others have ended
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", server.port), timeout=5)
        caller.sendall(IRIS[10:])
        answer = b"".join(iter(lambda: caller.recv(65536), b""))
    assert b"200 OK" in answer
    assert b'"prediction":1' in answer
    server.process.wait(timeout=20)
    assert server.process.returncode in {0, -signal.SIGTERM}  # uvicorn ends by the signal that it got


@pytest.mark.parametrize(("name", "value"), [("WORKERS", "0"), ("WORKERS", "many"), ("PORT", "70000")])
def test_a_wrong_number_is_told(name: str, value: str, packed: Path) -> None:
    env = {"PATH": os.environ["PATH"], "MODEL_STORE": packed.as_uri(), name: value}
    done = subprocess.run(
        [sys.executable, "-m", "handler"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"settings: {name}: expected a whole number above 0" in done.stderr


@pytest.mark.parametrize("edge", ["on_http", "on_invoke"])
def test_lambda_imports_nothing_of_it(edge: str, packed: Path) -> None:
    found = loaded(f"import handler.{edge}", MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris")
    assert not found & {"prometheus_client", "uvicorn"}


def test_a_key_is_asked_for_but_for_health_and_metrics(packed: Path) -> None:
    with TestClient(
        create({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_API_KEY": "k" * 20})
    ) as one:
        json = {"content-type": "application/json"}
        assert one.post("/predict", content=IRIS, headers=json).status_code == 403
        assert one.post("/predict", content=IRIS, headers=json | {"x-api-key": "k" * 20}).status_code == 200
        assert one.get("/health/ready").status_code == one.get("/metrics").status_code == 200
