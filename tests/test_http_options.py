"""What a request may ask beyond its rows: media types, codings, outputs, classes, thresholds, labels."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from starlette.testclient import TestClient

from model.pack import pack
from model.source import Source
from model.store import Store
from tests.conftest import ClientFactory
from tests.test_api import BABY, NAMED, ROW

GZIP = {"content-encoding": "gzip"}
# Without the second it was made in: parameters are names of tests, and processes that share the tests compare names.
TWO_BYTES = gzip.compress(b"{}", mtime=0)


# --- what comes back


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV ; q=0.5", "text/csv"),
        ("application/json;q=0.1, text/csv", "text/csv"),
        ("text/*, application/json;q=0.9", "text/csv"),
        ("text/html, */*;q=0.8", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
        (", ,", "application/json"),
    ],
)
def test_the_caller_chooses_the_media_type(client: TestClient, accept: str, media: str) -> None:
    response = client.post("/predict", json=NAMED, headers={"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == media


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "text/csv;q=x", "nonsense"])
@pytest.mark.parametrize("path", ["/predict", "/v2/models/iris/infer", "/v1/models/iris:predict", "/invocations"])
def test_406_says_what_there_is(client: TestClient, path: str, accept: str) -> None:
    response = client.post(path, json=NAMED, headers={"accept": accept})
    assert response.status_code == 406
    assert "application/json" in response.text


def test_csv_out_has_a_header_and_a_line_a_row(client: TestClient) -> None:
    asked = {"instances": [ROW, [5.1, 3.5, 1.4, 0.2]]}
    response = client.post("/predict", json=asked, headers={"accept": "text/csv"})
    lines = list(csv.DictReader(io.StringIO(response.text)))
    assert [line["label"] for line in lines] == ["versicolor", "setosa"]
    assert lines[0]["probabilities.versicolor"] == "1.0"
    assert (response.headers["x-model-name"], response.headers["x-model-version"]) == ("iris", "1.0.0")
    assert response.headers["x-request-id"]
    weights = client.post("/models/babies/predict", json=BABY, headers={"accept": "text/csv"}).text
    assert weights.splitlines()[0] == "prediction,conversions.g"


# --- how the body comes


def test_gzip_is_inflated_member_by_member(client: TestClient) -> None:
    text = json.dumps(NAMED).encode()
    for body in (gzip.compress(text), gzip.compress(text[:9]) + gzip.compress(text[9:])):
        assert client.post("/predict", content=body, headers=GZIP).json()["label"] == "versicolor"
        chunks = (body[i : i + 1] for i in range(len(body)))
        assert client.post("/predict", content=chunks, headers=GZIP).status_code == 200


@pytest.mark.parametrize("body", [b"plain", TWO_BYTES[:-4], TWO_BYTES + b"x", b"", TWO_BYTES[:5]])
def test_what_is_not_gzip_is_400(client: TestClient, body: bytes) -> None:
    response = client.post("/predict", content=body, headers=GZIP)
    assert response.status_code == 400
    assert "gzip" in response.json()["errors"][0]["detail"]


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_another_coding_is_415(client: TestClient, coding: str) -> None:
    response = client.post("/predict", content=b"x", headers={"content-encoding": coding})
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip")


def test_the_inflated_size_is_what_is_limited(serve: ClientFactory) -> None:
    text = json.dumps(NAMED)
    for length, status in ((5000, 200), (5001, 413)):
        body = gzip.compress(text.ljust(length).encode())
        assert serve(MODEL_MAX_BODY_BYTES="5000").post("/predict", content=body, headers=GZIP).status_code == status


# --- options


@pytest.fixture
def binary(tmp_path: Path, serve: ClientFactory) -> TestClient:
    """A model of two classes, whose feature is called like an option."""
    data = pd.DataFrame({"top_k": [0.0, 1.0, 2.0, 3.0]})
    estimator = LogisticRegression().fit(data, ["ham", "ham", "spam", "spam"])
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    pack(Source(buffer.getvalue()), Store(tmp_path.as_uri()), "mail", "1.0.0", sample=data)
    return serve(tmp_path, MODEL_DEFAULT="mail")


@pytest.mark.parametrize("way", ["body", "query"])
def test_top_k_keeps_the_most_probable(client: TestClient, way: str) -> None:
    body: dict[str, Any] = {"features": [6.3, 2.8, 5.1, 1.5]}
    full = client.post("/predict", json=body).json()["probabilities"]
    asked = client.post("/predict", json=body | {"top_k": 2}) if way == "body" else None
    found = (asked or client.post("/predict?top_k=2", json=body)).json()["probabilities"]
    assert list(found.items()) == sorted(full.items(), key=lambda item: -item[1])[:2]
    assert len(client.post("/predict?top_k=9", json=body).json()["probabilities"]) == 3


def test_a_threshold_moves_the_decision(binary: TestClient) -> None:
    body = {"instances": [[0.5], [1.6], [3.0]]}
    spam = [row["spam"] for row in binary.post("/predict", json=body).json()["probabilities"]]
    for threshold in (0, spam[0], spam[1], spam[2], 1):
        expected = ["spam" if probability >= threshold else "ham" for probability in spam]
        for answer in (
            binary.post("/predict", json=body | {"threshold": threshold}),
            binary.post(f"/predict?threshold={threshold!r}&outputs=prediction", json=body),
        ):
            assert answer.json()["labels"] == answer.json()["predictions"] == expected
        frame = {"instances": body["instances"], "params": {"threshold": threshold}}
        assert binary.post("/invocations", json=frame).json() == {"predictions": expected}
        inputs = [{"name": "top_k", "shape": [3], "datatype": "FP64", "data": [0.5, 1.6, 3.0]}]
        infer = {"inputs": inputs, "parameters": {"threshold": threshold}}
        assert binary.post("/v2/models/mail/infer", json=infer).json()["outputs"][0]["data"] == expected
    assert "probabilities" not in binary.post("/predict?threshold=1&outputs=prediction", json=body).json()


def test_a_features_own_name_comes_before_an_options(binary: TestClient) -> None:
    assert binary.post("/predict", json={"top_k": 3.0}).json()["prediction"] == "spam"
    assert len(binary.post("/predict?top_k=1", json={"top_k": 3.0}).json()["probabilities"]) == 1
    assert binary.post("/predict", json={"features": [3.0], "top_k": 1}).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/predict?top_k=0", NAMED, "query parameter top_k: expected a whole number above 0"),
        ("/predict?top_k=99999999999", NAMED, "query parameter top_k"),
        ("/predict?threshold=nan", NAMED, "query parameter threshold"),
        ("/predict?threshold=0.5", NAMED, "only a model of two classes"),
        ("/models/babies/predict?top_k=1", BABY, "gives no probabilities"),
        ("/predict?outputs=prediction,nope", NAMED, "query parameter outputs: expected some of"),
        ("/predict?colour=red", NAMED, "query parameter colour: no such option"),
        ("/predict?top_k=1&top_k=2", NAMED, "query parameter top_k: given more than once"),
        ("/predict?top_k", NAMED, "not a valid query string"),
        ("/predict?" + "&".join(["top_k=1"] * 30), NAMED, "not a valid query string"),
        ("/models/iris/versions/1.0.0/predict?label=live", NAMED, "not expected beside a version"),
        ("/predict", {"features": ROW, "top_k": 0}, "/top_k"),
        ("/predict", {"features": ROW, "top_k": None}, "/top_k"),
        ("/predict", {"features": ROW, "threshold": 1.5}, "/threshold"),
        ("/predict", NAMED | {"threshold": "x"}, "/threshold"),
    ],
)
def test_a_wrong_option_is_named(client: TestClient, path: str, body: Any, words: str) -> None:
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert words in json.dumps(response.json()["errors"])


def test_a_label_names_a_version(client: TestClient) -> None:
    assert client.post("/predict?label=live", json=NAMED).json()["model"]["version"] == "1.0.0"
    assert client.post("/models/babies/predict?label=live", json=BABY).status_code == 200
    for label in ("canary", "..", "%00"):
        assert client.post(f"/predict?label={label}", json=NAMED).status_code == 404


# --- the documentation


def test_docs_load_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert "//" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"docs/{name}" in page.text
        assert client.get(f"/docs/{name}").headers["content-type"].startswith("text/")  # no base64 on a REST API
        found = client.get(f"/docs/{name}")
        assert (found.status_code, bool(found.content)) == (200, True)
        assert "max-age" in found.headers["cache-control"]
        assert client.get(f"/docs/{name}", headers={"if-none-match": found.headers["etag"]}).status_code == 304
    assert "3.1" in client.get("/docs/swagger-ui-bundle.js").text
    for name in ("redoc.standalone.js", "..%2Fcore.py", "nope"):
        assert client.get(f"/docs/{name}").status_code == 404
