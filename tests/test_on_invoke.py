"""Direct invokes: a dict back, or an error whose class name Step Functions can match."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidRows, TooLarge, UnknownModel
from tests.conftest import ROOT, LogLines
from tests.test_on_http import Context, Handler


@pytest.fixture
def handler(packed: Path, monkeypatch: pytest.MonkeyPatch) -> Handler:
    monkeypatch.setenv("MODEL_STORE", packed.as_uri())
    monkeypatch.setenv("MODEL_DEFAULT", "iris")
    monkeypatch.setenv("MODEL_MAX_ROWS", "3")
    import handler.on_invoke  # noqa: PLC0415

    found: Handler = importlib.reload(handler.on_invoke).handler
    return found


@pytest.mark.parametrize("name", ["invoke", "invoke-babies"])
def test_the_sample_events_answer(handler: Handler, name: str) -> None:
    event = json.loads((ROOT / "events" / f"{name}.json").read_text())
    answer = handler(event, Context())
    assert answer["model"]["name"] == event["model"]
    assert answer["id"] == Context().aws_request_id
    json.dumps(answer, allow_nan=False)


def test_one_row_a_named_version_and_the_default_model(handler: Handler) -> None:
    row = [6.1, 2.8, 4.7, 1.2]
    assert handler({"features": row}, Context())["prediction"] == 1
    assert handler({"model": "iris", "version": "1.0.0", "features": row}, Context())["label"] == "versicolor"


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        ({"model": "nope", "instances": []}, UnknownModel, "no model is called 'nope'"),
        ({"model": "iris", "version": "7", "instances": []}, UnknownModel, "iris has no version '7'"),
        ({"instances": [[1, 2, 3, "x"]]}, InvalidRows, "/instances/0/3: expected a number"),
        ({"instances": [[1, 2, 3, float("nan")]]}, InvalidRows, "/instances/0/3: expected a finite number"),
        ({"model": 1}, InvalidRows, "/model: expected a string"),
        ([], InvalidRows, "/: expected an object"),
        ({}, InvalidRows, 'expected "features"'),
        ({"instances": [[1, 2, 3, 4]] * 4}, TooLarge, "4 rows in one request, at most 3"),
    ],
)
def test_errors_have_names(handler: Handler, event: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        handler(event, Context())
    assert type(caught.value) is error
    assert message in str(caught.value)


def test_one_line_a_call(handler: Handler, log_lines: LogLines) -> None:
    handler({"features": [6.123456, 2.8, 4.7, 1.2]}, Context())
    with pytest.raises(InvalidRows):
        handler({"features": ["6.123456"]}, Context())
    good, bad = log_lines()
    assert (good["entry"], good["model"], good["id"]) == ("invoke", "iris", Context().aws_request_id)
    assert good.get("error") is None
    assert bad["error"] == "InvalidRows"
    assert "6.123456" not in json.dumps([good, bad])
