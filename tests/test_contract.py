"""The OpenAPI document is what the service does: compared with the committed one, attacked operation by operation."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import validate
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from handler import runtime
from handler.api import create_app
from tests.conftest import ROOT, ClientFactory

COMMITTED = ROOT / "tests" / "openapi.json"
EXAMPLES = 12


@pytest.fixture(scope="session")
def schema(packed: Path) -> Any:
    taking = {"MODEL_RECORD_SHARE": "1", "MODEL_FEEDBACK": "on"}
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", **taking})
    app = create_app(started.registry, started.settings, started.observer, recorder=started.recorder)
    # 413 is a refusal too: a generated shape may promise a billion rows.
    refused = {"negative_data_rejection": {"expected-statuses": ["400", "404", "405", "406", "413", "415"]}}
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}, "checks": refused})
    return schemathesis.openapi.from_asgi("/openapi.json", app, config=config)


def problems_of(operation: Any, mode: GenerationMode) -> list[str]:
    """Send generated requests to one operation; return what broke the contract, once each."""
    found: list[str] = []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attack(case: Any) -> None:
        # What a string of CSV or a tensor must hold besides its type, no schema can say.
        typed = case.media_type in {None, "application/json"} and operation.path.endswith("/predict")
        try:
            case.call_and_validate(excluded_checks=[] if typed else [positive_data_acceptance])
        except FailureGroup as failures:
            found.extend(f"{operation.label}: {failure}\n{case.as_curl_command()}" for failure in failures.exceptions)

    with contextlib.suppress(Unsatisfiable):  # nothing about a GET without parameters can be wrong
        attack()
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_operation_keeps_the_contract(schema: Any, mode: GenerationMode) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 30
    assert "POST /feedback" in {operation.label for operation in operations}
    broken = [problem for operation in operations for problem in problems_of(operation, mode)]
    assert not broken, "\n\n".join(broken[:20])


def document(serve: ClientFactory, **settings: str) -> dict[str, Any]:
    found: dict[str, Any] = serve(**settings).get("/openapi.json").json()
    return found


def test_the_committed_document_is_the_services_own(serve: ClientFactory) -> None:
    found = document(serve)
    validate(found)
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_OPENAPI"):
        COMMITTED.write_text(text)
    again = (
        "UPDATE_OPENAPI=1 python -m pytest tests/test_contract.py writes it anew; the difference is yours to explain"
    )
    assert COMMITTED.read_text() == text, again


def test_every_example_works_in_every_dialect(serve: ClientFactory) -> None:
    client, sent = serve(), 0
    for path, operations in document(serve)["paths"].items():
        for media, content in operations.get("post", {}).get("requestBody", {"content": {}})["content"].items():
            values = [example["value"] for example in content.get("examples", {}).values()] or [content["example"]]
            for value in values:
                body = value if isinstance(value, str) else json.dumps(value)
                response = client.post(path, content=body, headers={"content-type": media})
                assert response.status_code == 200, (path, media, response.text)
                sent += 1
    assert sent > 50


def test_every_get_without_a_name_to_fill_in_answers(serve: ClientFactory) -> None:
    client = serve()
    for path, operations in document(serve)["paths"].items():
        if "get" in operations and "{" not in path:
            response = client.get(path)
            assert response.status_code == 200, path
            assert response.headers["content-type"].split(";")[0] in operations["get"]["responses"]["200"]["content"]


@pytest.mark.parametrize(
    ("dialects", "there", "gone"),
    [("none", [], ["/v2", "/ping", "/v1/models"]), ("invocations", ["/ping"], ["/v2", "/v1/models"])],
)
def test_a_dialect_that_is_off_is_neither_served_nor_described(
    serve: ClientFactory, dialects: str, there: list[str], gone: list[str]
) -> None:
    client = serve(MODEL_DIALECTS=dialects)
    paths = document(serve, MODEL_DIALECTS=dialects)["paths"]
    for path in there:
        assert client.get(path).status_code == 200
        assert path in paths
    for path in gone:
        response = client.get(path)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"
        assert path not in paths
