"""The headers that every answer carries, whichever route gave it."""

import pytest

from tests.conftest import ClientFactory

ROW = {"features": [6.1, 2.8, 4.7, 1.2]}
CALLS = [
    ("GET", "/", None, 200),
    ("GET", "/health", None, 200),
    ("GET", "/docs", None, 200),
    ("GET", "/nothing", None, 404),
    ("POST", "/predict", ROW, 200),
    ("POST", "/predict", {"features": [1]}, 400),
    ("POST", "/models/none/predict", ROW, 404),
    ("POST", "/health", ROW, 405),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
def test_every_answer_has_the_security_headers(
    serve: ClientFactory, method: str, path: str, body: object, status: int
) -> None:
    answer = serve().request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers.get_list("x-request-id") == [answer.headers["x-request-id"]]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
def test_what_answers_a_post_is_kept_by_nobody(
    serve: ClientFactory, method: str, path: str, body: object, status: int
) -> None:
    stored = serve().request(method, path, json=body).headers.get("cache-control")
    assert stored == ("no-store" if method == "POST" or path == "/" else None)


@pytest.mark.parametrize("origin", ["https://app.example.com", "*"])
@pytest.mark.parametrize(("method", "path", "body", "status"), CALLS)
def test_pages_of_the_origin_given_may_read_every_answer(
    serve: ClientFactory, origin: str, method: str, path: str, body: object, status: int
) -> None:
    answer = serve(MODEL_CORS_ORIGIN=origin).request(
        method, path, json=body, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-expose-headers"] == "x-request-id, retry-after"
    assert "access-control-allow-credentials" not in answer.headers
