"""Events as fronts send them when they leave things out, or when somebody invents them."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import LogLines
from tests.test_on_http import Context, Handler, cold_start, event, handler

__all__ = ["cold_start", "handler"]
FRONTS = ["apigateway-v1", "apigateway-v2", "alb"]


def fields(document: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from fields(value, (*above, key))


@pytest.mark.parametrize("absent", ["removed", "null"])
@pytest.mark.parametrize(("front", "field"), [(front, field) for front in FRONTS for field in fields(event(front))])
def test_any_field_may_be_absent(handler: Handler, front: str, field: tuple[str, ...], absent: str) -> None:
    sent = copy.deepcopy(event(front))
    inner = sent
    for key in field[:-1]:
        inner = inner[key]
    if absent == "null":
        inner[field[-1]] = None
    else:
        del inner[field[-1]]
    answer = handler(sent, Context())
    # What says where the request goes, and what it says, are the request.
    essential = field[-1] in {"path", "httpMethod", "body", "http", "method"} or field == ("requestContext",)
    assert answer["statusCode"] == 200 or (essential and answer["statusCode"] in {400, 404, 405})
    assert answer["isBase64Encoded"] is False


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        "x",
        {},
        {"Records": []},
        {"requestContext": None},
        {"requestContext": []},
        {"requestContext": {"elb": 1}},
    ],
    ids=str,
)
def test_what_is_no_request_is_answered(handler: Handler, sent: Any, log_lines: LogLines) -> None:
    answer = handler(sent, Context())
    assert answer["statusCode"] in {200, 400}
    assert json.loads(answer["body"])
    assert len(log_lines()) >= 1


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(
    "members",
    [
        {"body": "not base64!", "isBase64Encoded": True},
        {"body": "\ud800"},
        {"body": {"features": []}},
        {"body": 5},
    ],
    ids=["base64", "surrogate", "object", "number"],
)
def test_a_body_that_cannot_be_one_is_400(handler: Handler, front: str, members: dict[str, Any]) -> None:
    answer = handler(event(front) | members, Context())
    assert answer["statusCode"] == 400


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("host", ["a:b:c", "[::1]:80", "x:y", ""])
def test_any_host(handler: Handler, front: str, host: str) -> None:
    sent = event(front)
    sent["headers"] = {name: value for name, value in sent["headers"].items() if name.lower() != "host"} | {
        "host": host
    }
    if "multiValueHeaders" in sent:
        sent["multiValueHeaders"]["Host"] = [host]
    assert handler(sent, Context())["statusCode"] == 200


def test_multi_value_headers_and_query_strings(handler: Handler) -> None:
    sent = event("apigateway-v1")
    sent["multiValueHeaders"]["Accept"] = ["application/json;q=0.1", "text/csv"]
    sent["multiValueQueryStringParameters"] = {"outputs": ["prediction"]}
    answer = handler(sent, Context())
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["body"] == "prediction,label\r\n1,versicolor\r\n"
    sent["multiValueQueryStringParameters"] = {"outputs": ["prediction", "probabilities"]}
    assert handler(sent, Context())["statusCode"] == 400
    balanced = event("alb", multiValueHeaders={"content-type": ["application/json", "text/csv"]})
    del balanced["headers"]
    assert handler(balanced, Context())["statusCode"] == 415
    balanced = event("alb", queryStringParameters={"outputs": "prediction%2Cprobabilities"})
    assert handler(balanced, Context())["statusCode"] == 200


@pytest.mark.parametrize(
    ("stage", "path", "status"),
    [
        ("prod", "/prod/predict", 200),
        ("prod", "/predict", 200),
        ("$default", "/predict", 200),
        ("prod", "/production/predict", 404),
        ("prod", "/prod/prod/predict", 404),
    ],
)
def test_the_stage_of_an_http_api_is_no_part_of_the_path(handler: Handler, stage: str, path: str, status: int) -> None:
    sent = event("apigateway-v2", rawPath=path)
    sent["requestContext"] |= {"stage": stage, "http": sent["requestContext"]["http"] | {"path": path}}
    assert handler(sent, Context())["statusCode"] == status


@pytest.mark.parametrize("front", FRONTS)
def test_csv_and_dialects_leave_as_text(handler: Handler, front: str) -> None:
    sent = event(front)
    sent["headers"] = {name: value for name, value in sent["headers"].items() if name.lower() != "accept"}
    sent.pop("multiValueHeaders", None)
    answer = handler(sent | {"headers": sent["headers"] | {"accept": "text/csv"}}, Context())
    assert answer["isBase64Encoded"] is False
    assert answer["body"].startswith("prediction,label")
