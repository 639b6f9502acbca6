"""The service over an S3 store: cold start from S3, and what it says when S3 or an artifact is not as it should be."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from handler import runtime
from handler.api import create_app
from model.manifest import digest
from tests.conftest import BUCKET, LogLines

BODY = {"features": [6.1, 2.8, 4.7, 1.2]}


def pins(s3: Any) -> str:
    found = []
    for name in ("iris", "babies"):
        body = s3.get_object(Bucket=BUCKET, Key=f"prefix/{name}/1.0.0/manifest.json")["Body"].read()
        found.append(f"{name}/1.0.0={digest(body)}")
    return ",".join(found)


def client(s3_endpoint: str, **settings: str) -> TestClient:
    env = {"MODEL_STORE": f"s3://{BUCKET}/prefix", "MODEL_DEFAULT": "iris", "AWS_ENDPOINT_URL": s3_endpoint}
    started = runtime.start(env | settings)
    return TestClient(create_app(started.registry, started.settings, started.observer))


def test_a_cold_start_from_s3_loads_the_pinned_model_and_answers(
    s3: Any, s3_endpoint: str, log_lines: LogLines
) -> None:
    service = client(s3_endpoint, MODEL_TRUST="pinned", MODEL_PINS=pins(s3))
    assert [(line["message"], line["model"]) for line in log_lines()] == [("model loaded", "iris")]
    for _ in range(2):
        assert service.post("/predict", json=BODY).json()["prediction"] == 1
    assert [line["message"] for line in log_lines()] == ["model loaded", "request", "request"]
    assert service.get("/models").json()["models"][0]["name"] == "babies"


def test_a_pickle_in_s3_without_pins_is_503_and_says_why_in_the_log(
    s3: Any, s3_endpoint: str, log_lines: LogLines
) -> None:
    response = client(s3_endpoint, MODEL_ENGINES="joblib").post("/predict", json=BODY)
    assert (response.status_code, response.json()["error"]) == (503, "ArtifactUntrusted")
    assert "set MODEL_TRUST=pinned" in log_lines()[0]["reason"]
    assert BUCKET not in response.text


@pytest.mark.parametrize(
    ("key", "content", "error"),
    [
        ("iris/1.0.0/model.onnx", b"altered", "ArtifactCorrupt"),
        ("iris/1.0.0/manifest.json", b"{}", "ArtifactUntrusted"),
        ("iris/1.0.0/model.onnx", None, "ArtifactMissing"),
        ("iris/1.0.0/manifest.json", None, "ArtifactMissing"),
    ],
)
def test_a_wrong_or_missing_object_is_503_and_the_service_is_up(
    s3: Any, s3_endpoint: str, key: str, content: bytes | None, error: str
) -> None:
    settings = {"MODEL_TRUST": "pinned", "MODEL_PINS": pins(s3)}
    if content is None:
        s3.delete_object(Bucket=BUCKET, Key=f"prefix/{key}")
    else:
        s3.put_object(Bucket=BUCKET, Key=f"prefix/{key}", Body=content)
    service = client(s3_endpoint, **settings)
    response = service.post("/predict", json=BODY)
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json()["error"]) == (503, error)
    assert "retry-after" in response.headers
    assert service.get("/health/live").status_code == 200
    assert service.get("/health").json()["ready"] is False
    baby = {"gestation": 270, "parity": 1, "age": 28, "height": 64, "weight": 125, "smoke": 0}
    assert service.post("/models/babies/predict", json=baby).status_code == 200


@pytest.mark.parametrize("engine", ["onnx", "joblib"])
def test_either_engine_comes_from_s3(s3: Any, s3_endpoint: str, engine: str) -> None:
    settings = {"MODEL_TRUST": "pinned", "MODEL_PINS": pins(s3), "MODEL_ENGINES": engine}
    assert client(s3_endpoint, **settings).post("/predict", json=BODY).json()["prediction"] == 1


def test_an_empty_prefix_is_503_for_the_default_and_404_by_name(s3: Any, s3_endpoint: str) -> None:
    service = client(s3_endpoint, MODEL_STORE=f"s3://{BUCKET}/elsewhere")
    assert service.post("/predict", json=BODY).status_code == 503
    assert service.post("/models/iris/predict", json=BODY).status_code == 404
    assert service.get("/models").json() == {"models": []}


def test_another_bucket_is_503(s3_endpoint: str) -> None:
    service = client(s3_endpoint, MODEL_STORE="s3://no-such-bucket/prefix")
    response = service.post("/predict", json=BODY)
    assert response.status_code == 503
    assert json.loads(response.text)["error"] in {"ArtifactMissing", "ArtifactUnavailable"}
