"""Every native route, every request form, every refusal, over the real examples."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.conftest import ClientFactory, LogLines

ROW = [6.1, 2.8, 4.7, 1.2]
NAMED = dict(zip(("sepal_length", "sepal_width", "petal_length", "petal_width"), ROW, strict=True))
BABY = {"gestation": 270, "parity": 1, "age": 28, "height": 64, "weight": 125, "smoke": 0}
CSV = {"content-type": "text/csv"}


@pytest.mark.parametrize("path", ["/predict", "/models/iris/predict", "/models/iris/versions/1.0.0/predict"])
@pytest.mark.parametrize("body", [{"features": ROW}, {"features": NAMED}, NAMED])
def test_one_row_gets_one_answer(client: TestClient, path: str, body: dict[str, Any]) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 200
    answer = response.json()
    assert response.headers["content-type"] == "application/json"
    assert answer["id"] == response.headers["x-request-id"]
    assert {key: answer[key] for key in ("prediction", "label", "model")} == {
        "prediction": 1,
        "label": "versicolor",
        "model": {"name": "iris", "version": "1.0.0"},
    }
    assert list(answer["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_many_rows_get_lists_in_their_order(client: TestClient) -> None:
    answer = client.post("/predict", json={"instances": [[5.1, 3.5, 1.4, 0.2], NAMED]}).json()
    assert answer["predictions"] == [0, 1]
    assert answer["labels"] == ["setosa", "versicolor"]
    assert [max(row, key=row.get) for row in answer["probabilities"]] == ["setosa", "versicolor"]


def test_csv_is_always_many_rows(client: TestClient) -> None:
    body = "petal_width,petal_length,sepal_width,sepal_length\n1.2,4.7,2.8,6.1\n"
    assert client.post("/predict", content=body, headers=CSV).json()["predictions"] == [1]


def test_no_rows_are_no_predictions(client: TestClient) -> None:
    answer = client.post("/predict", json={"instances": []}).json()
    assert (answer["predictions"], answer["probabilities"]) == ([], [])


def test_only_the_outputs_asked_for(client: TestClient) -> None:
    answer = client.post("/predict", json={"features": ROW, "outputs": ["probabilities"]}).json()
    assert "prediction" not in answer
    assert "label" not in answer
    assert "probabilities" in answer


def test_birth_weights_carry_their_unit_and_grams(client: TestClient) -> None:
    answer = client.post("/models/babies/predict", json=BABY).json()
    assert 100 < answer["prediction"] < 140
    assert answer["unit"] == "oz"
    assert answer["conversions"] == {"g": pytest.approx(answer["prediction"] * 28.35)}
    without = client.post("/models/babies/predict", json=BABY | {"gestation": None, "smoke": None})
    assert without.status_code == 200
    many = client.post("/models/babies/predict", json={"instances": [BABY, BABY]}).json()
    assert len(many["conversions"]) == len(many["predictions"]) == 2


def test_numbers_as_a_data_frame_sends_them(client: TestClient) -> None:
    """A column with one missing value makes pandas send 1.0 for 1."""
    assert client.post("/models/babies/predict", json=BABY | {"smoke": 1.0}).status_code == 200
    assert client.post("/models/babies/predict", json=BABY | {"smoke": 0.5}).status_code == 400


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"features": [6.1, "2.8", 4.7, 1.2]}, ["/features/1"]),
        ({"features": ROW[:3]}, ["/features"]),
        ({"features": [*ROW, 1]}, ["/features"]),
        ({key: NAMED[key] for key in list(NAMED)[1:]}, ["/sepal_length"]),
        (NAMED | {"colour": "red"}, ["/colour"]),
        ({"features": [None, *ROW[1:]]}, ["/features/0"]),
        ({"instances": [ROW, ["x", 1, 2, None]]}, ["/instances/1/0", "/instances/1/3"]),
    ],
)
def test_400_points_to_each_bad_field(client: TestClient, body: dict[str, Any], pointers: list[str]) -> None:
    response = client.post("/predict", json=body)
    assert response.status_code == 400
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["title"], problem["error"]) == (400, "Bad Request", "InvalidRows")
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert all(error["detail"] for error in problem["errors"])
    assert problem["id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e39", "1e999"])
def test_numbers_that_are_none_are_refused(client: TestClient, number: str) -> None:
    body = f'{{"features": [{number}, 2.8, 4.7, 1.2]}}'
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/features/0"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/models/nope/predict", {}, "{}", 404),
        ("POST", "/models/iris/versions/9.9.9/predict", {}, "{}", 404),
        ("POST", "/models/..%2Fbabies/predict", {}, "{}", 404),
        ("GET", "/models/nope", {}, None, 404),
        ("GET", "/models/iris/versions/9", {}, None, 404),
        ("GET", "/nope", {}, None, 404),
        ("GET", "/predict", {}, None, 405),
        ("DELETE", "/models", {}, None, 405),
        ("POST", "/predict", {"content-type": "image/png"}, "x", 415),
        ("POST", "/predict", {"content-type": "application/json; charset=utf-16"}, "x", 415),
        ("POST", "/predict", {"content-type": "application/json"}, "[", 400),
        ("POST", "/predict", {"content-type": "application/json"}, "", 400),
    ],
)
def test_every_refusal_is_a_problem(
    client: TestClient, method: str, path: str, headers: dict[str, str], body: str | None, status: int
) -> None:
    response = client.request(method, path, headers=headers, content=body)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    if status == 405:
        assert "allow" in response.headers


@pytest.mark.parametrize("media", ["", "application/json; charset=utf-8", "application/vnd.x+json"])
def test_json_by_any_of_its_names(client: TestClient, media: str) -> None:
    response = client.post("/predict", content=json.dumps(NAMED), headers={"content-type": media})
    assert response.status_code == 200


def test_limits_hold_at_the_edge_and_one_beyond(serve: ClientFactory) -> None:
    body = json.dumps({"instances": [ROW, ROW]})
    at = serve(MODEL_MAX_ROWS="2", MODEL_MAX_BODY_BYTES=str(len(body)))
    assert at.post("/predict", content=body).status_code == 200
    for beyond in ({"MODEL_MAX_ROWS": "1"}, {"MODEL_MAX_BODY_BYTES": str(len(body) - 1)}):
        response = serve(**beyond).post("/predict", content=body)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"


def test_a_body_without_a_length_is_cut_at_the_limit(serve: ClientFactory) -> None:
    response = serve(MODEL_MAX_BODY_BYTES="100").post("/predict", content=(b" " * 60 for _ in range(1000)))
    assert response.status_code == 413


def test_a_model_that_cannot_be_loaded_is_503_and_the_service_is_up(store: Path, serve: ClientFactory) -> None:
    (store / "iris/1.0.0/model.onnx").write_bytes(b"spoiled")
    client = serve(store)
    response = client.post("/predict", json=NAMED)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["error"] == "ArtifactCorrupt"
    assert str(store) not in response.text
    assert client.get("/health").json() | {"models": []} == {
        "status": "unavailable",
        "live": True,
        "ready": False,
        "reason": "ArtifactCorrupt",
        "models": [],
    }
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert client.post("/models/babies/predict", json=BABY).status_code == 200


def test_a_store_that_is_not_there_is_503_and_the_service_is_up(tmp_path: Path, serve: ClientFactory) -> None:
    client = serve(tmp_path / "nope")
    assert client.get("/").json()["status"] == "unavailable"
    assert client.get("/health").json()["reason"] == "ArtifactMissing"
    assert client.get("/models").status_code == 503
    assert client.post("/predict", json=NAMED).status_code == 503


def test_an_estimator_that_fails_is_a_failed_prediction_without_its_words(store: Path, serve: ClientFactory) -> None:
    from handler import runtime  # noqa: PLC0415
    from handler.api import create_app  # noqa: PLC0415

    started = runtime.start({"MODEL_STORE": store.as_uri(), "MODEL_DEFAULT": "iris"})

    class Failing:
        def predict(self, matrix: Any, outputs: Any) -> Any:
            raise ValueError("could not convert 6.1")

    started.registry.scorer()._engine = Failing()
    client = TestClient(create_app(started.registry, started.settings, started.observer))
    response = client.post("/predict", json=NAMED)
    assert response.status_code == 400
    assert response.json()["error"] == "PredictionFailed"
    assert "6.1" not in response.text


def test_what_nobody_foresaw_is_a_500_problem_without_a_trace(store: Path, log_lines: LogLines) -> None:
    from handler import runtime  # noqa: PLC0415
    from handler.api import create_app  # noqa: PLC0415

    started = runtime.start({"MODEL_STORE": store.as_uri(), "MODEL_DEFAULT": "iris"})
    started.registry.scorer().score = None  # type: ignore[assignment, method-assign]
    response = TestClient(create_app(started.registry, started.settings, started.observer)).post("/predict", json=NAMED)
    assert response.status_code == 500
    assert response.json()["id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    assert "NoneType" not in response.text
    logged = log_lines()
    assert {"message": "unexpected error", "error": "TypeError"}.items() <= logged[-2].items()
    assert logged[-1]["status"] == 500


def test_the_service_describes_itself(client: TestClient) -> None:
    assert client.get("/").json()["models"] == ["babies", "iris"]
    health = client.get("/health").json()
    assert (health["status"], health["live"], health["ready"]) == ("ready", True, True)
    assert client.get("/health/ready").json() == {"ready": True}
    listed = client.get("/models").json()["models"]
    assert [(model["name"], model["live"]) for model in listed] == [("babies", "1.0.0"), ("iris", "1.0.0")]
    card = client.get("/models/babies").json()["card"]
    assert card["metrics"]["published"] == {"r2": 0.34, "mse": 228.5}
    assert {feature["name"]: feature["unit"] for feature in card["features"]}["gestation"] == "days"
    version = client.get("/models/iris/versions/1.0.0").json()
    assert (version["state"], version["task"]) == ("ready", "classification")
    assert "environment" not in version


def test_docs_are_served(client: TestClient) -> None:
    assert "swagger" in client.get("/docs").text


def test_one_line_a_call_with_metrics_and_no_values(client: TestClient, log_lines: LogLines) -> None:
    client.post("/predict", json={"features": [6.123456, 2.8, 4.7, 1.2]})
    client.post("/predict", json={"features": ["6.123456", 2.8, 4.7, 1.2]})
    good, bad = log_lines()
    assert good["ColdStartTime"] > 0
    assert "ColdStartTime" not in bad
    assert "6.123456" not in json.dumps([good, bad])
    assert {
        "message": "request",
        "model": "iris",
        "version": "1.0.0",
        "status": 200,
        "operation": "predict",
    }.items() <= good.items()
    names = {metric["Name"] for metric in bad["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {"Requests", "Errors", "Faults", "Latency", "ColdStart", "Predictions", "PriceMicroUSD"}
    assert {metric["Name"] for metric in good["_aws"]["CloudWatchMetrics"][0]["Metrics"]} == names | {"ColdStartTime"}
    assert (good["ColdStart"], good["Errors"], good["Predictions"]) == (1, 0, 1)
    assert (bad["ColdStart"], bad["Errors"], bad["error"]) == (0, 1, "InvalidRows")
