"""The page as the service hands it out: to whom, with which headers, how large, and at what cost to predictions."""

import gzip
import os
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.conftest import ROOT
from tests.test_on_http import Context, Handler, event
from tests.test_on_http import cold_start as cold_start  # noqa: PLC0414  -- a fixture
from tests.test_on_http import handler as handler  # noqa: PLC0414

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FOLDER = ROOT / "handler" / "page"
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in {".js", ".css"})


def shell(client: TestClient, **headers: str) -> Any:
    return client.get("/", headers={"accept": BROWSER, **headers})


def base(client: TestClient) -> str:
    found = re.search(r'"(page/[0-9a-f]{16}/)app\.js"', shell(client).text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (BROWSER, "text/html"),
        ("text/html", "text/html"),
        ("TEXT/HTML", "text/html"),
        ("text/html;q=0.9, application/json;q=0.8", "text/html"),
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html", "application/json"),
        ("text/html;q=0.5, */*", "application/json"),
        ("text/html;q=0, application/json;q=0.1", "application/json"),
        ("text/html;q=x", "application/json"),
        ("text/htmlx", "application/json"),
    ],
)
def test_a_browser_gets_the_page_and_all_others_the_status(client: TestClient, accept: str, media: str) -> None:
    response = client.get("/", headers={"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] == media
    assert "accept" in response.headers["vary"]


def test_the_status_says_what_the_page_may_offer(serve: Any) -> None:
    status = serve(MODEL_MAX_ROWS="7").get("/").json()
    assert (status["default"], status["feedback"]) == ("iris", False)
    assert status["limits"] == {"rows": 7, "body_bytes": 6 * 1024 * 1024}


def test_nothing_inline_but_one_script_by_its_digest(client: TestClient) -> None:
    response = shell(client)
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.startswith("default-src 'none'")
    (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=", response.text)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_every_url_is_relative_because_a_stage_stands_before_it(client: TestClient) -> None:
    urls = re.findall(r'(?:href|src)="([^"]*)"', shell(client).text)
    assert len(urls) > 10
    assert not [url for url in urls if url.startswith(("/", "http"))]
    for file in FOLDER.glob("*.js"):
        found = re.findall(r"https?://[^\s\"'`]+", file.read_text())
        assert set(found) <= {"http://www.w3.org/2000/svg"}, file


def test_the_page_is_asked_again_and_its_files_are_kept(client: TestClient) -> None:
    first = shell(client)
    assert first.headers["cache-control"] == "no-cache"
    again = shell(client, **{"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    for name in FILES:
        response = client.get(f"/{base(client)}{name}")
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.content == (FOLDER / name).read_bytes()
        assert response.headers["content-type"].partition(";")[0] == (
            "text/css" if name.endswith("css") else "text/javascript"
        )


def test_a_page_from_before_a_deployment_finds_its_files_but_keeps_none(client: TestClient) -> None:
    response = client.get("/page/0123456789abcdef/app.js")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["nope.js", "index.html", "__init__.py", "..%2F..%2Fapi.py", "%2e%2e", ""])
def test_nothing_else_is_handed_out(client: TestClient, name: str) -> None:
    response = client.get(f"/{base(client)}{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_it_is_compressed_where_the_service_answers_itself(client: TestClient) -> None:
    sizes = []
    for path in ("", *(base(client) + name for name in FILES)):
        response = client.get(f"/{path}", headers={"accept": BROWSER, "accept-encoding": "gzip"})
        assert response.headers["content-encoding"] == "gzip"
        sizes.append(int(response.headers["content-length"]))
        plain = client.get(f"/{path}", headers={"accept": BROWSER, "accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == response.content
    assert sum(sizes) < 40_000  # with the answers of the API it stays below 60 kB, which a browser counts


@pytest.mark.parametrize("name", ["apigateway-v1-health", "apigateway-v2-health", "alb-health"])
def test_it_leaves_lambda_as_text(handler: Handler, name: str) -> None:
    """A REST API without binary types would hand base64 to the browser; it compresses text itself."""
    headers = {"accept": BROWSER, "accept-encoding": "gzip"}
    found = event(name)
    for key in ("path", "rawPath"):
        if key in found:
            found[key] = "/"
    if "http" in found.get("requestContext", {}):
        found["requestContext"]["http"]["path"] = "/"
    found["headers"] = headers
    found.pop("multiValueHeaders", None)
    answer = handler(found, Context())
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["body"].startswith("<!doctype html>")
    if name == "alb-health":
        return
    for file in FILES:
        path = f"/page/0/{file}"
        found |= {key: path for key in ("path", "rawPath") if key in found}
        if "http" in found["requestContext"]:
            found["requestContext"]["http"]["path"] = path
        answer = handler(found, Context())
        assert (answer["isBase64Encoded"], answer["body"]) == (False, (FOLDER / file).read_text())


def test_a_cold_start_for_a_prediction_never_pays_for_it(packed: Path) -> None:
    code = f"""
import sys
from starlette.testclient import TestClient
import handler.on_http
client = TestClient(handler.on_http._front.application)
assert client.post("/predict", json={{"features": [6.1, 2.8, 4.7, 1.2]}}).status_code == 200
assert client.get("/").status_code == 200
assert client.get("/models").status_code == 200
assert "handler.page" not in sys.modules, "loaded"
assert client.get("/", headers={{"accept": {BROWSER!r}}}).status_code == 200
assert "handler.page" in sys.modules
"""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_STORE": packed.as_uri()}
    result = subprocess.run(
        [sys.executable, "-c", code], env=env | {"MODEL_DEFAULT": "iris"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_module_is_announced_or_asked_for_later() -> None:
    """What the browser is not told of in advance it finds one after the other, each a round trip."""
    index = (FOLDER / "index.html").read_text()
    announced = set(re.findall(r'page/0/(\w+\.js)"', index))
    first, todo = set[str](), {"app.js"}
    while todo:
        name = todo.pop()
        first.add(name)
        todo |= set(re.findall(r'from "\./(\w+\.js)"', (FOLDER / name).read_text())) - first
    assert announced | {"app.js"} == first
    assert first < {name for name in FILES if name.endswith(".js")}


def test_gzip_is_the_same_for_every_process(client: TestClient) -> None:
    from handler import page  # noqa: PLC0415

    assert gzip.decompress(page._compressed(b"x")) == b"x"
    assert page._compressed(b"x")[4:8] == bytes(4)
