"""Proxy events of API Gateway (REST and HTTP APIs) and load balancers, as AWS publishes them, through the handler."""

import asyncio
import base64
import copy
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, LogLines

EVENTS = ROOT / "tests" / "infra" / "events"
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass
class Context:
    """What the runtime hands to a handler, as far as anybody here reads it."""

    function_name: str = "ApiFunction"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:ApiFunction"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def cold_start(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Handler]]:
    """Return what imports the entry point as a new execution environment does."""
    monkeypatch.setenv("MODEL_STORE", packed.as_uri())
    monkeypatch.setenv("MODEL_DEFAULT", "iris")
    loops = []

    def start() -> Handler:
        sys.modules.pop("handler.on_http", None)
        found: Handler = importlib.import_module("handler.on_http").handler
        loops.append(asyncio.get_event_loop())
        return found

    yield start
    for loop in loops:
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def handler(cold_start: Callable[[], Handler]) -> Handler:
    return cold_start()


def event(name: str, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found | members


@pytest.mark.parametrize("name", ["apigateway-v1", "apigateway-v2", "alb"])
def test_a_prediction_through_each_front(handler: Handler, name: str) -> None:
    answer = handler(event(name), Context())
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is False
    body = json.loads(answer["body"])
    assert (body["prediction"], body["model"]) == (1, {"name": "iris", "version": "1.0.0"})


@pytest.mark.parametrize("name", ["apigateway-v1", "apigateway-v2", "alb"])
def test_a_body_in_base64_is_read(handler: Handler, name: str) -> None:
    plain = event(name)
    body = base64.b64encode(plain["body"].encode()).decode()
    answer = handler(plain | {"body": body, "isBase64Encoded": True}, Context())
    assert json.loads(answer["body"])["prediction"] == 1


@pytest.mark.parametrize("name", ["apigateway-v1", "apigateway-v2", "alb"])
def test_a_problem_comes_as_text(handler: Handler, name: str) -> None:
    answer = handler(event(name, body='{"features": [1]}'), Context())
    assert answer["statusCode"] == 400
    assert answer["isBase64Encoded"] is False
    headers = answer.get("headers") or {k: v[0] for k, v in answer["multiValueHeaders"].items()}
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(answer["body"])["errors"][0]["pointer"] == "/features"


@pytest.mark.parametrize("name", ["apigateway-v1-health", "apigateway-v2-health", "alb-health"])
def test_health_through_each_front(handler: Handler, name: str) -> None:
    answer = handler(event(name), Context())
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["live"] is True


@pytest.mark.parametrize("name", ["apigateway-v1", "apigateway-v2"])
def test_the_gateways_request_id_is_everywhere(handler: Handler, name: str, log_lines: LogLines) -> None:
    sent = copy.deepcopy(event(name))
    sent["requestContext"]["requestId"] = "gateway-id"
    answer = handler(sent, Context())
    assert json.loads(answer["body"])["id"] == "gateway-id"
    (line,) = log_lines()
    assert (line["id"], line["correlation_id"]) == ("gateway-id", "gateway-id")
    assert line["function_request_id"] == Context().aws_request_id


def test_a_balancer_gives_no_id_so_lambdas_own_is_used(handler: Handler) -> None:
    assert json.loads(handler(event("alb"), Context())["body"])["id"] == Context().aws_request_id


def test_the_model_is_loaded_at_import_and_never_in_a_request(
    cold_start: Callable[[], Handler], log_lines: LogLines
) -> None:
    fresh = cold_start()
    assert [line["message"] for line in log_lines()] == ["model loaded"]
    for _ in range(5):
        fresh(event("apigateway-v1"), Context())
    assert [line["message"] for line in log_lines()] == ["model loaded", *["request"] * 5]
    assert [line["ColdStart"] for line in log_lines()[1:]] == [1, 0, 0, 0, 0]
