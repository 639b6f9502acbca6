"""The document is typed from the manifests, valid, and its examples work when they are sent."""

from typing import Any

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient

PATHS = ["/predict", "/models/iris/predict", "/models/babies/predict", "/models/babies/versions/1.0.0/predict"]


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


@pytest.mark.parametrize("path", PATHS)
def test_every_example_works(client: TestClient, document: dict[str, Any], path: str) -> None:
    content = document["paths"][path]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"]
    assert set(examples) == {"one row", "one row by name", "many rows"}
    for example in examples.values():
        assert client.post(path, json=example["value"]).status_code == 200
    csv = client.post(path, content=content["text/csv"]["example"], headers={"content-type": "text/csv"})
    assert csv.status_code == 200


def test_features_have_names_ranges_units_and_nullability(document: dict[str, Any]) -> None:
    named = document["components"]["schemas"]["babies.Features"]
    assert named["required"] == ["gestation", "parity", "age", "height", "weight", "smoke"]
    gestation = named["properties"]["gestation"]
    assert gestation["type"] == ["number", "null"]
    assert "in days" in gestation["description"]
    assert "seen 2" in gestation["description"]
    assert named["properties"]["smoke"]["description"].endswith("0 = no, 1 = yes")


def test_every_native_route_is_in_it(document: dict[str, Any]) -> None:
    native = {"/", "/health", "/health/live", "/health/ready", "/models", "/models/{name}"}
    assert native | set(PATHS) <= set(document["paths"])
