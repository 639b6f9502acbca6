"""The local server's own defences: the key, patience with slow bodies, compression."""

import asyncio
import gzip
import hmac
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from handler import runtime
from handler.api import create_app
from handler.local import HEALTH, Guard
from tests.test_api import NAMED
from tests.test_clients import KEY
from tests.test_local_service import running


@pytest.fixture
def app(packed: Path) -> Any:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_API_KEY": KEY})
    guard = lambda routes: Guard(routes, started.settings.api_key, seconds=0.2)  # noqa: E731
    return create_app(started.registry, started.settings, started.observer, guard)


def test_only_health_is_public(app: Any) -> None:
    client = TestClient(app)
    for path in HEALTH:
        assert client.get(path).status_code == 200
    for path in ("/", "/page", "/models", "/openapi.json", "/v2/models/iris", "/health/", "/healthx"):
        assert client.get(path).status_code == 403, path
    assert client.post("/predict", json=NAMED, headers={"x-api-key": KEY}).status_code == 200


def test_the_page_is_public_and_the_status_at_the_same_path_is_not(app: Any) -> None:
    client = TestClient(app)
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = client.get("/", headers=browser)
    assert page.status_code == 200
    assert not re.search("iris|babies", page.text)
    (script,) = re.findall(r'src="(page/[0-9a-f]+/app\.js)"', page.text)
    assert client.get(f"/{script}").status_code == 200
    assert client.post("/", headers=browser).status_code == 403
    assert client.get("/models", headers=browser).status_code == 403
    for accept in (
        [("accept", "application/json, text/html")],
        [("accept", "*/*"), ("accept", "text/html")],
        [("accept", "application/json"), ("accept", "text/html")],
    ):
        assert client.get("/", headers=accept).status_code == 403, accept


@pytest.mark.parametrize("keys", [[], [""], [KEY[:-1]], [KEY + "x"], [KEY.upper()], [KEY, KEY], ["é"]])
def test_a_wrong_key_is_a_problem(app: Any, keys: list[str]) -> None:
    headers = [(b"x-api-key", key.encode()) for key in keys]
    response = TestClient(app).post("/predict", json=NAMED, headers=headers)
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["id"] == response.headers["x-request-id"]
    assert KEY not in response.text


def test_the_comparison_takes_the_same_time(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def recorded(given: bytes, key: bytes) -> bool:
        asked.append((given, key))
        return compare(given, key)

    monkeypatch.setattr(hmac, "compare_digest", recorded)
    TestClient(app).get("/models", headers={"x-api-key": "x"})
    assert asked == [(b"x", KEY.encode())]


def test_a_slow_body_is_408(app: Any) -> None:
    async def drip() -> Message:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"x-api-key", KEY.encode())]
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
    asyncio.run(app(scope, drip, send))
    assert sent[0]["status"] == 408
    assert "did not come within" in json.loads(sent[1]["body"])["detail"]


@pytest.fixture(scope="module")
def url(packed: Path) -> Iterator[str]:
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris") as found:
        yield found


def test_a_body_that_is_cut_ends_one_call_only(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert httpx2.get(f"{url}/health").status_code == 200


def test_a_chunked_body_that_never_ends_is_cut_at_the_limit(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            for _ in range(8):
                connection.sendall(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        except OSError:
            pass  # the server closed before we were done
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_answers_are_compressed_for_who_takes_it(url: str) -> None:
    with httpx2.stream("GET", f"{url}/openapi.json", headers={"accept-encoding": "gzip"}) as response:
        assert response.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(b"".join(response.iter_raw())))["openapi"] == "3.1.0"
    assert "content-encoding" not in httpx2.get(f"{url}/health", headers={"accept-encoding": "gzip"}).headers
