"""Each protocol as its specification has it: shapes, layouts, refusals in its own form."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from handler import runtime
from handler.api import create_app
from tests.conftest import ClientFactory, LogLines
from tests.test_api import BABY, NAMED, ROW

NAMES = list(NAMED)
BABIES = "/v2/models/babies/infer"
IRIS = "/v2/models/iris/infer"


def tensor(name: str = "x", shape: Any = (1, 4), datatype: str = "FP64", data: Any = None) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": ROW if data is None else data}


def columns(shape: Any = (1,), /, **data: Any) -> list[dict[str, Any]]:
    found = {name: [value] for name, value in NAMED.items()} | data
    return [tensor(name, shape, "FP32", values) for name, values in found.items()]


# --- Open Inference Protocol


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor()],
        [tensor("anything", datatype="FP32", data=[ROW])],
        columns(),
        columns((1, 1)),
        columns((1, 1), **{name: [[value]] for name, value in NAMED.items()}),
        columns()[::-1],
    ],
    ids=["flat", "nested", "columns", "columns of one", "nested columns", "any order"],
)
@pytest.mark.parametrize("path", [IRIS, "/v2/models/iris/versions/1.0.0/infer"])
def test_both_layouts_flat_and_nested(client: TestClient, path: str, inputs: Any) -> None:
    response = client.post(path, json={"inputs": inputs, "id": "mine"})
    assert response.json() == {
        "model_name": "iris",
        "model_version": "1.0.0",
        "id": "mine",
        "outputs": [{"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [1]}],
    }
    assert response.headers["x-request-id"]


def test_outputs_come_in_the_order_asked_for(client: TestClient) -> None:
    wanted = [{"name": "predict_proba"}, {"name": "predict"}]
    body = {"inputs": [tensor(shape=(2, 4), data=[*ROW, 5.1, 3.5, 1.4, 0.2])], "outputs": wanted}
    proba, predict = client.post(IRIS, json=body).json()["outputs"]
    assert (proba["name"], proba["shape"], proba["datatype"]) == ("predict_proba", [2, 3], "FP64")
    assert proba["data"][3:] == [1.0, 0.0, 0.0]
    assert predict["data"] == [1, 0]


def test_an_id_is_given_where_the_caller_has_none(client: TestClient) -> None:
    response = client.post(IRIS, json={"inputs": [tensor()]})
    assert response.json()["id"] == response.headers["x-request-id"]


def test_null_is_a_missing_value_where_the_column_takes_it(client: TestClient) -> None:
    inputs = [
        tensor(name, (1,), "FP64" if value is not None else "FP32", [None if name == "smoke" else value])
        for name, value in BABY.items()
    ]
    answer = client.post(BABIES, json={"inputs": inputs}).json()["outputs"][0]
    native = client.post("/models/babies/predict", json=BABY | {"smoke": None}).json()["prediction"]
    assert answer == {"name": "predict", "shape": [1, 1], "datatype": "FP64", "data": [native]}


def test_no_rows_are_no_answers(client: TestClient) -> None:
    answer = client.post(IRIS, json={"inputs": [tensor(shape=(0, 4), data=[])]}).json()["outputs"]
    assert answer == [{"name": "predict", "shape": [0, 1], "datatype": "INT64", "data": []}]


BAD = [
    ([tensor(shape=(2, 4))], "/inputs/0/data: expected 8 values"),
    ([tensor(shape=(1, 3), data=ROW[:3])], "/inputs/0/shape: expected [n, 4]"),
    ([tensor(shape=(4,))], "/inputs/0/shape: expected [n, 4]"),
    ([tensor(data=[ROW[:3]])], "/inputs/0/data: expected 4 values"),
    ([tensor(data=[[*ROW[:3], [1]]])], "/inputs/0/data: expected 4 values"),
    ([tensor(datatype="FP8")], "/inputs/0/datatype: expected one of BOOL"),
    ([tensor(datatype="BYTES", data=["a"] * 4)], "/inputs/0/datatype: expected FP64, got BYTES"),
    ([tensor(datatype="BOOL", data=[True] * 4)], "/inputs/0/datatype: expected FP64, got BOOL"),
    ([tensor(data=[*ROW[:3], "secret"])], "/inputs/0/data/3: expected FP64"),
    ([tensor(datatype="INT64")], "/inputs/0/data/0: expected INT64"),
    ([tensor(datatype="UINT8", data=[1, 2, 3, 256])], "/inputs/0/data/3: out of the range of UINT8"),
    ([tensor(datatype="INT8", data=[[1, 2, -129, 3]])], "/inputs/0/data/0/2: out of the range of INT8"),
    ([tensor(shape=(2, 4), data=[ROW, [*ROW[:3], None]])], "/inputs/0/data/1/3: expected a number, got null"),
    ([tensor(data=[*ROW[:3], 1e39])], "/inputs/0/data/3: expected a number within"),
    (columns()[:3], "/inputs: missing a tensor called petal_width"),
    ([*columns(), tensor("colour", (1,), "FP64", [1])], "/inputs/4/name: not a feature"),
    ([*columns(), columns()[0]], "/inputs/4/name: given twice"),
    (columns((1, 2)), "/inputs/0/shape: expected [n] or [n, 1]"),
    ([*columns()[:3], tensor("petal_width", (2,), "FP64", [1, 2])], "/inputs: tensors of 1 to 2 rows"),
    (columns(petal_width=[None]), "/inputs/3/data/0: expected a number, got null"),
    ([], "/inputs: Expected array of length >= 1"),
    ([tensor(shape=(-1, 4))], "/inputs/0/shape"),
    ([{"name": "x", "shape": [1, 4], "datatype": "FP64"}], "/inputs/0/data: missing"),
    ([tensor() | {"shape": "1,4"}], "/inputs/0/shape: Expected array, got str"),
]


@pytest.mark.parametrize(("inputs", "words"), BAD, ids=[words for _, words in BAD])
def test_what_does_not_fit_is_400_with_its_place(client: TestClient, inputs: Any, words: str) -> None:
    response = client.post(IRIS, json={"inputs": inputs})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    (error,) = response.json().items()
    assert error[0] == "error"
    assert words in error[1]
    assert response.headers["x-request-id"] in error[1]
    assert "secret" not in error[1]


def test_wrong_outputs_are_refused(client: TestClient) -> None:
    for names in (["nope"], ["decision_function"], ["predict", "predict"]):
        response = client.post(IRIS, json={"inputs": [tensor()], "outputs": [{"name": name} for name in names]})
        assert response.status_code == 400
        assert "/outputs/" in response.json()["error"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"inputs": [tensor() | {"parameters": {"binary_data_size": 32}}]}, {"inference-header-content-length": "99"}),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}]}, {}),
        ({"inputs": [tensor()], "parameters": {"binary_data_output": True}}, {}),
        ({"inputs": [tensor()], "outputs": [{"name": "predict", "parameters": {"binary_data": True}}]}, {}),
    ],
)
def test_the_binary_extension_is_refused_by_name(client: TestClient, body: Any, headers: dict[str, str]) -> None:
    response = client.post(IRIS, json=body, headers=headers)
    assert response.status_code == 400
    assert "binary tensor extension is not supported" in response.json()["error"]


def test_the_server_and_its_models_describe_themselves(client: TestClient) -> None:
    for path in ("/v2", "/v2/"):
        assert set(client.get(path).json()) == {"name", "version", "extensions"}
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/babies", "/v2/models/babies/versions/1.0.0"):
        card = client.get(path).json()
        assert (card["name"], card["versions"]) == ("babies", ["1.0.0"])
        assert card["inputs"][:2] == [
            {"name": "gestation", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "parity", "datatype": "INT64", "shape": [-1, 1]},
        ]
        assert card["outputs"] == [{"name": "predict", "datatype": "FP64", "shape": [-1, 1]}]
        assert client.get(f"{path}/ready").json() == {"name": "babies", "ready": True}


def test_the_repository_tells_states(serve: ClientFactory) -> None:
    client = serve()
    states = {model["name"]: model["state"] for model in client.post("/v2/repository/index", json={}).json()}
    assert states == {"iris": "READY", "babies": "UNKNOWN"}
    ready = client.post("/v2/repository/index", json={"ready": True}).json()
    assert ready == [{"name": "iris", "version": "1.0.0", "state": "READY", "reason": ""}]


def test_one_spoiled_model_makes_the_server_not_ready(store: Path, serve: ClientFactory) -> None:
    (store / "babies/1.0.0/model.onnx").write_bytes(b"spoiled")
    client = serve(store)
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/babies/ready").json() == {"name": "babies", "ready": False}
    assert client.get("/v2/models/babies/ready").status_code == 503
    refused = client.post(BABIES, json={"inputs": [tensor()]})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert str(store) not in refused.text
    assert client.get("/ping").status_code == 200
    assert client.get("/v1/models/babies").json()["model_version_status"][0]["state"] == "END"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/nope", 404),
        ("GET", "/v2/models/iris/versions/9", 404),
        ("POST", "/v2/models/nope/infer", 404),
        ("POST", "/v2/models/..%2Firis/infer", 404),
        ("GET", "/v2/nope", 404),
        ("GET", IRIS, 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/v1/models/nope", 404),
        ("GET", "/v1/models/iris/labels/canary", 404),
        ("POST", "/v1/models/iris:classify", 404),
        ("GET", "/v1/models/iris:predict", 405),
    ],
)
def test_errors_of_paths_are_in_the_dialects_form(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert list(response.json()) == ["error"]


def test_what_nobody_foresaw_is_in_the_dialects_form_too(packed: Path) -> None:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"})
    started.registry.scorer().score = None  # type: ignore[assignment, method-assign]
    client = TestClient(create_app(started.registry, started.settings, started.observer))
    response = client.post(IRIS, json={"inputs": [tensor()]})
    assert response.status_code == 500
    assert list(response.json()) == ["error"]
    assert "NoneType" not in response.text


def test_a_call_is_logged_with_its_model_and_operation(client: TestClient, log_lines: LogLines) -> None:
    client.post(IRIS, json={"inputs": [tensor()]})
    (line,) = log_lines()
    assert (line["model"], line["version"], line["Predictions"]) == ("iris", "1.0.0", 1)
    assert line["operation"] == "open_inference.infer"


# --- SageMaker and MLflow

SPLIT = {"columns": NAMES[::-1], "data": [ROW[::-1], [0.2, 1.4, 3.5, 5.1]], "index": [7, 8]}
SETOSA = dict(zip(NAMES, [5.1, 3.5, 1.4, 0.2], strict=True))


@pytest.mark.parametrize("path", ["/invocations", "/endpoints/iris/invocations"])
@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_records": [NAMED, SETOSA]},
        {"instances": [ROW, SETOSA]},
        {"inputs": [ROW, [5.1, 3.5, 1.4, 0.2]]},
        {"inputs": {name: [NAMED[name], SETOSA[name]] for name in NAMES}},
        {"inputs": {name: [[NAMED[name]], [SETOSA[name]]] for name in NAMES}},
        [ROW, [5.1, 3.5, 1.4, 0.2]],
    ],
    ids=["split", "records", "instances", "inputs", "columns", "nested columns", "bare"],
)
def test_every_frame_is_scored(client: TestClient, path: str, body: Any) -> None:
    response = client.post(path, json=body)
    assert response.json() == {"predictions": [1, 0]}


@pytest.mark.parametrize(
    "body",
    ["6.1,2.8,4.7,1.2\n5.1,3.5,1.4,0.2\n", f"{','.join(NAMES)}\r\n6.1,2.8,4.7,1.2\r\n5.1,3.5,1.4,0.2\r\n"],
    ids=["without a header", "with one"],
)
def test_csv_in_and_out(client: TestClient, body: str) -> None:
    headers = {"content-type": "text/csv", "accept": "text/csv"}
    response = client.post("/invocations", content=body, headers=headers)
    assert response.headers["content-type"] == "text/csv"
    assert response.text == "1\r\n0\r\n"


def test_params_choose_the_output(client: TestClient) -> None:
    body = {"instances": [ROW], "params": {"output": "probabilities", "top_k": 1}}
    assert client.post("/invocations", json=body).json() == {"predictions": [{"versicolor": 1.0}]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [ROW], "inputs": [ROW]}, "expected exactly one of"),
        ({}, "expected exactly one of"),
        ({"instances": [ROW], "colour": 1}, "/colour: not expected here"),
        ({"instances": [[*ROW[:3], "secret"]]}, "/instances/0/3: expected a number"),
        ({"dataframe_records": [SETOSA | {"colour": 1}]}, "/dataframe_records/0/colour: not a feature"),
        ({"dataframe_split": SPLIT | {"columns": NAMES[:3]}}, "/dataframe_split/columns: missing petal_width"),
        ({"dataframe_split": SPLIT | {"columns": [*NAMES, NAMES[0]]}}, "/dataframe_split/columns/4: given twice"),
        (
            {"dataframe_split": {"columns": NAMES[::-1], "data": [[None, 1, 2, 3]]}},
            "/dataframe_split/data/0/0: expected",
        ),
        ({"dataframe_split": {"columns": NAMES, "data": [[1]]}}, "/dataframe_split/data/0: expected an array of 4"),
        ({"inputs": {name: [1] for name in NAMES[:3]}}, "/inputs/petal_width: missing"),
        ({"inputs": {name: [1, None] for name in NAMES}}, "/inputs/sepal_length/1: expected a number, got null"),
        ({"inputs": {**SETOSA}}, "/inputs/sepal_length: expected an array"),
        ({"instances": [ROW], "params": {"threshold": 2}}, "/params/threshold"),
        ({"instances": [ROW], "params": {"method": "x"}}, "/params/method: expected output, threshold, top_k"),
        ("x", "expected an object"),
    ],
)
def test_frames_that_do_not_fit(client: TestClient, body: Any, words: str) -> None:
    response = client.post("/invocations", json=body)
    assert response.status_code == 400
    assert response.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert words in response.json()["message"]
    assert "secret" not in response.text


def test_the_rest_of_the_hosting_contract(client: TestClient, serve: ClientFactory, tmp_path: Path) -> None:
    assert client.get("/ping").status_code == 200
    assert client.get("/version").headers["content-type"].startswith("text/plain")
    asked = client.get("/execution-parameters").json()
    assert asked == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
    assert client.post("/invocations", content="x", headers={"content-type": "image/png"}).status_code == 415
    assert client.post("/endpoints/nope/invocations", json=[ROW]).json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert serve(tmp_path / "nope").get("/ping").status_code == 503


# --- TF Serving


@pytest.mark.parametrize("path", ["/v1/models/iris", "/v1/models/iris/versions/1.0.0", "/v1/models/iris/labels/live"])
def test_rows_and_columns(client: TestClient, path: str) -> None:
    rows = client.post(f"{path}:predict", json={"signature_name": "serving_default", "instances": [ROW, SETOSA]})
    assert rows.json() == {"predictions": [1, 0]}
    columns = {name: [NAMED[name], SETOSA[name]] for name in NAMES}
    assert client.post(f"{path}:predict", json={"inputs": columns}).json() == {"outputs": [1, 0]}
    assert client.get(path).json() == {
        "model_version_status": [
            {"version": "1.0.0", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    signature = client.get(f"{path}/metadata").json()
    assert signature["model_spec"] == {"name": "iris", "signature_name": "", "version": "1.0.0"}
    definition = signature["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["inputs"]["sepal_length"]["dtype"] == "DT_DOUBLE"


def test_curls_default_content_type_is_not_looked_at(client: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = json.dumps({"instances": [ROW]})
    assert client.post("/v1/models/iris:predict", content=body, headers=headers).json() == {"predictions": [1]}


@pytest.mark.parametrize(
    "body",
    [{"instances": [ROW], "inputs": {}}, {}, {"instances": [ROW], "signature_name": "x"}, {"dataframe_split": SPLIT}],
)
def test_both_or_neither_is_refused(client: TestClient, body: Any) -> None:
    response = client.post("/v1/models/iris:predict", json=body)
    assert response.status_code == 400
    assert list(response.json()) == ["error"]
