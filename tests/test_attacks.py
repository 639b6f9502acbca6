"""Hostile requests: a 4xx in every case, nothing of the values in the log, memory bounded."""

import gzip
import io
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from starlette.testclient import TestClient

from model.pack import pack
from model.source import Source
from model.store import Store
from tests.conftest import ClientFactory, LogLines
from tests.test_api import NAMED, ROW

JSON = {"content-type": "application/json"}
MIB = 1024 * 1024
PREDICTS = ["/predict", "/invocations", "/v1/models/iris:predict", "/v2/models/iris/infer"]


def features(value: str) -> bytes:
    return f'{{"features": [{value}, 2.8, 4.7, 1.2]}}'.encode("utf-8", "surrogatepass")


HOSTILE: dict[str, bytes] = {
    "deep arrays": b"[" * 100_000,
    "deep arrays, closed": b"[" * 50_000 + b"]" * 50_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep beside strings that close": b'{"instances": ' + b'["]",' * 5_000 + b"1" + b"]" * 5_000 + b"}",
    "deep within a row": features("[" * 5_000 + "]" * 5_000),
    "a long integer": features("9" * 100_000),
    "a long fraction": features("0." + "3" * 100_000),
    "a long exponent": features("1e" + "9" * 100_000),
    "a huge exponent": features("1e400"),
    "a long string": features('"' + "x" * 1_000_000 + '"'),
    "escaped quotes, never closed": b'{"features": "' + b'\\"' * 500_000,
    "quotes, never closed": b'{"features": ' + b'"' * 999_999,
    "NaN": features("NaN"),
    "nan": features("nan"),
    "Infinity": features("Infinity"),
    "-Infinity": features("-Infinity"),
    "-inf": features("-inf"),
    "nan as a string": features('"NaN"'),
    "hexadecimal": features("0x10"),
    "underscores": features("1_000"),
    "a leading zero": features("01"),
    "a leading plus": features("+1"),
    "Arabic digits": features("٣"),
    "fullwidth digits": features("３"),
    "a minus that is none": features("−1"),
    "a comment": features("/* */ 1"),
    "single quotes": b"{'features': [1, 2, 3, 4]}",
    "two documents": json.dumps(NAMED).encode() * 2,
    "a byte of nought": json.dumps(NAMED).encode() + b"\0",
    "invalid UTF-8": b'{"features": ["\xff\xfe", 1, 2, 3]}',
    "overlong UTF-8": b'{"features": ["\xc0\xaf", 1, 2, 3]}',
    "half a surrogate": b'{"features": ["\\ud800", 1, 2, 3]}',
    "UTF-16": json.dumps(NAMED).encode("utf-16"),
    "UTF-32": json.dumps(NAMED).encode("utf-32"),
    "two BOMs": b"\xef\xbb\xbf" * 2 + json.dumps(NAMED).encode(),
    "a look-alike name": json.dumps(
        {("ѕepal_length" if k == "sepal_length" else k): v for k, v in NAMED.items()}
    ).encode(),
    "a decomposed name": json.dumps(NAMED | {"sepal_length\u0301": 1}).encode(),
    "prototype": json.dumps(NAMED | {"__proto__": {"x": 1}}).encode(),
    "spaces": b" " * (5 * MIB),
    "many empty rows": b'{"instances": [' + b"[]," * 1_000_000 + b"[]]}",
    "one endless row": b'{"instances": [[' + b"0," * 2_000_000 + b"0]]}",
    "many keys": b"{" + b",".join(b'"k%d":1' % i for i in range(200_000)) + b"}",
    "nothing": b"",
}


@pytest.mark.parametrize("path", PREDICTS)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bodies_are_refused(client: TestClient, log_lines: LogLines, path: str, body: bytes) -> None:
    response = client.post(path, content=body, headers=JSON)
    assert 400 <= response.status_code < 500
    assert response.headers["x-request-id"] in response.text
    assert len(response.content) < 30_000
    assert "Traceback" not in response.text
    (line,) = log_lines()
    assert line["status"] == response.status_code
    assert len(json.dumps(line)) < 2_000


@pytest.mark.parametrize("path", PREDICTS)
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (gzip.compress(b" " * (200 * MIB), 9), {"content-encoding": "gzip"}),
        (gzip.compress(gzip.compress(b"[" * (100 * MIB), 9), 9), {"content-encoding": "gzip"}),
        (b" " * (10 * MIB), {}),
        (b"[" * (6 * MIB), {}),
        (b'{"instances": [' + b"[]," * (2 * MIB - 8) + b"[]]}", {}),
        (b'{"instances": [[' + b"0," * (3 * MIB - 16) + b"0]]}", {}),
    ],
    ids=["a zip bomb", "a bomb in a bomb", "10 MB of spaces", "brackets", "empty rows", "one row"],
)
def test_memory_is_bounded(client: TestClient, path: str, body: bytes, headers: dict[str, str]) -> None:
    client.post(path, content=b"{}", headers=JSON)  # what is loaded at the first call is no part of it
    tracemalloc.start()
    response = client.post(path, content=body, headers=JSON | headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 400 <= response.status_code < 500
    # Six MB of `0,` become three million pointers; a bomb never more than the limit and its copy.
    assert peak - len(body) < 64 * MIB


@pytest.mark.parametrize(
    "name",
    [
        "...",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2Fbabies",
        "iris%00",
        "iris%2Fversions",
        "іris",
        "IRIS",
        "iris%20",
        "iris.",
        "a" * 65,
        "iris;x=1",
        "*",
        "%25",
        "%ff",
    ],
)
def test_names_lead_nowhere_else(client: TestClient, name: str) -> None:
    for route in (
        f"/models/{name}/predict",
        f"/models/iris/versions/{name}/predict",
        f"/v2/models/{name}/infer",
        f"/v2/models/iris/versions/{name}/infer",
        f"/v1/models/{name}:predict",
        f"/v1/models/iris/labels/{name}:predict",
        f"/endpoints/{name}/invocations",
    ):
        response = client.post(route, json=NAMED)
        assert response.status_code in {404, 405}, route
        assert "passwd" not in response.text or "no model" in response.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("content-type", "application/json"), ("content-type", "text/csv")], 415),
        ([("content-type", "application/json; charset=utf-16")], 415),
        ([("content-type", "application/json; charset=utf-8; charset=latin-1")], 200),
        ([("content-type", "application/json\t")], 200),
        ([("content-type", "multipart/form-data; boundary=x")], 415),
        ([("content-type", "text/html")], 415),
        ([("content-type", "application/x-ndjson")], 415),
        ([("content-type", "x" * 5000)], 415),
        ([("content-type", "application/json"), ("accept", "x" * 5000)], 406),
        ([("content-type", "application/json"), ("x-request-id", "forged\r\nset-cookie: x")], 200),
        ([], 200),
    ],
)
def test_headers(client: TestClient, headers: list[tuple[str, str]], status: int) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    response = client.post("/predict", content=json.dumps(NAMED), headers=raw)
    assert response.status_code == status
    assert "forged" not in str(response.headers)
    assert "set-cookie" not in response.headers


TENSOR = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", NAMED),
        ("/invocations", {"instances": [ROW]}),
        ("/v1/models/iris:predict", {"instances": [ROW]}),
        ("/v2/models/iris/infer", {"inputs": [TENSOR]}),
        ("/v2/repository/index", {}),
    ],
)
def test_a_bom_before_utf8_is_taken(client: TestClient, path: str, body: Any) -> None:
    assert client.post(path, content=b"\xef\xbb\xbf" + json.dumps(body).encode()).status_code == 200


# Of the smallest members 6 MB hold 300,000; if what follows each is copied whole, the work grows with their square.
def test_many_members_of_gzip_cost_no_more_than_their_bytes(client: TestClient) -> None:
    body = gzip.compress(b"") * 300_000
    before = time.process_time()
    response = client.post("/predict", content=body, headers=JSON | {"content-encoding": "gzip"})
    assert response.status_code == 400
    assert time.process_time() - before < 5


# --- strings: what a model of numbers refuses by its type, one of texts has to look at


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a model of each kind of string: one of known towns, one of any town, one of texts."""
    store = Store(tmp_path_factory.mktemp("words").as_uri())
    data = pd.DataFrame({"word": ["Bern", "Rome", "Bern", "Oslo"] * 3})
    for name, encoder in (
        ("closed", OneHotEncoder()),
        ("open", OneHotEncoder(handle_unknown="ignore")),
        ("text", CountVectorizer()),
    ):
        columns = make_column_transformer((encoder, "word" if name == "text" else ["word"]))
        buffer = io.BytesIO()
        joblib.dump(make_pipeline(columns, LogisticRegression()).fit(data, [0, 1] * 6), buffer)
        pack(Source(buffer.getvalue()), store, name, "1.0.0", sample=data)
    return Path(store.url.removeprefix("file://"))


NO_STRINGS = {
    "invalid UTF-8": b'"marker\xff\xfe"',
    "overlong UTF-8": b'"marker\xc0\xaf"',
    "a surrogate in UTF-8": b'"marker\xed\xa0\x80"',
    "half a surrogate": b'"marker\\ud800"',
    "a line break": b'"marker\n"',
    "no end": b'"marker',
    "a number": b"1",
    "an array": b'["marker", 1]',
    "an object": b'{"marker": 1}',
}


@pytest.mark.parametrize("string", NO_STRINGS.values(), ids=NO_STRINGS.keys())
@pytest.mark.parametrize("name", ["closed", "open", "text"])
def test_what_is_no_string_is_refused(
    words: Path, serve: ClientFactory, log_lines: LogLines, name: str, string: bytes
) -> None:
    client = serve(words, MODEL_DEFAULT=name)
    tensor = b'{"name": "word", "shape": [1], "datatype": "BYTES", "data": [' + string + b"]}"
    for path, body in (
        ("/predict", b'{"word": ' + string + b"}"),
        ("/predict", b'{"features": [' + string + b"]}"),
        ("/predict", b'{"instances": [[' + string + b"]]}"),
        ("/predict", b'{"marker": 1, "word\xff": ' + string + b"}"),
        ("/invocations", b'{"instances": [[' + string + b"]]}"),
        (f"/v1/models/{name}:predict", b'{"inputs": {"word": [' + string + b"]}}"),
        (f"/v2/models/{name}/infer", b'{"inputs": [' + tensor + b"]}"),
    ):
        response = client.post(path, content=body, headers=JSON)
        assert response.status_code == 400, (path, response.text)
    for text in (b"word\nmarker\xff\n", b'word\n"marker', b"marker\xff\nBern\n"):
        response = client.post("/predict", content=text, headers={"content-type": "text/csv"})
        assert response.status_code == 400
    assert "marker" not in json.dumps(log_lines())


@pytest.mark.parametrize("string", ["Вern", "Be\u0301rn", "Bern\0", "BERN", "Bern ", "", "x" * 60_000, "🏔"])
def test_look_alikes_of_a_category_are_none(words: Path, serve: ClientFactory, string: str) -> None:
    closed, anything = (serve(words, MODEL_DEFAULT=name) for name in ("closed", "open"))
    assert closed.post("/predict", json={"word": string}).status_code == 400
    answers = [anything.post("/predict", json={"word": word}).json() for word in (string, "no town", "Bern")]
    unseen, nowhere, bern = [answer["probabilities"] for answer in answers]
    assert unseen == nowhere != bern


@pytest.mark.parametrize(
    "cell", ["３", "٣", "1_0", "0x10", "nan", "inf", "-Infinity", "1e400", "−1", "1\0", "1,5", "'1"]
)
def test_cells_that_only_look_like_numbers(client: TestClient, cell: str) -> None:
    body = f'{",".join(NAMED)}\n"{cell}",2.8,4.7,1.2\n'
    response = client.post("/predict", content=body.encode(), headers={"content-type": "text/csv"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/instances/0/0"
    assert cell not in response.text or len(cell) < 3


def test_of_equal_keys_the_last_counts(client: TestClient) -> None:
    for first in ("[1, 1, 1, 1]", '"wrong"', "null"):
        body = f'{{"features": {first}, "features": {ROW}}}'
        assert client.post("/predict", content=body).json()["prediction"] == 1
    assert client.post("/predict", content=f'{{"features": {ROW}, "features": "wrong"}}').status_code == 400


EDGES: list[tuple[str, int, Any]] = [
    ("MODEL_MAX_ROWS", 3, lambda n: json.dumps({"instances": [ROW] * n})),
    ("MODEL_MAX_DIGITS", 20, lambda n: f'{{"features": [{"0." + "1" * n}, 2.8, 4.7, 1.2]}}'),
    ("MODEL_MAX_DIGITS", 300, lambda n: f'{{"features": [{"0." + "1" * n}, 2.8, 4.7, 1.2]}}{" " * 1000}'),
    ("MODEL_MAX_BODY_BYTES", 100, lambda n: json.dumps(NAMED).ljust(n)),
]


@pytest.mark.parametrize(("setting", "limit", "body"), EDGES)
def test_limits_at_the_edge_and_one_over(serve: ClientFactory, setting: str, limit: int, body: Any) -> None:
    client = serve(**{setting: str(limit)})
    assert client.post("/predict", content=body(limit)).status_code == 200
    refused = client.post("/predict", content=body(limit + 1))
    assert refused.status_code == 413
    assert str(limit) in refused.json()["detail"]


@pytest.mark.parametrize(
    ("setting", "limit", "body"),
    [
        ("MODEL_MAX_DEPTH", 5, lambda n: "[" * n + "]" * n),
        ("MODEL_MAX_STRING", 40, lambda n: json.dumps({"features": ["x" * n, 1, 2, 3]})),
        ("MODEL_MAX_STRING", 40, lambda n: json.dumps({"features": ['"' * n, 1, 2, 3]})),
        ("MODEL_MAX_STRING", 40, lambda n: json.dumps({"x" * n: 1, "features": []})),
        ("MODEL_MAX_COLUMNS", 8, lambda n: json.dumps({"instances": [[1.5] * n, [2] * 3]})),
    ],
)
def test_what_is_refused_either_way_names_its_limit(serve: ClientFactory, setting: str, limit: int, body: Any) -> None:
    client = serve(**{setting: str(limit)})
    assert client.post("/predict", content=body(limit)).status_code == 400
    refused = client.post("/predict", content=body(limit + 1))
    assert refused.status_code == 413
    assert str(limit) in refused.json()["detail"]


@pytest.mark.parametrize(
    ("setting", "limit", "body"),
    [
        ("MODEL_MAX_ROWS", 3, lambda n: ",".join(NAMED) + "\n" + "6.1,2.8,4.7,1.2\n" * n),
        ("MODEL_MAX_DIGITS", 30, lambda n: ",".join(NAMED) + f"\n0.{'1' * n},2.8,4.7,1.2\n"),
        ("MODEL_MAX_STRING", 60, lambda n: ",".join(NAMED) + f"\n{' ' * (n - 3)}6.1,2.8,4.7,1.2\n"),
    ],
)
def test_limits_of_csv(serve: ClientFactory, setting: str, limit: int, body: Any) -> None:
    client = serve(**{setting: str(limit)})
    headers = {"content-type": "text/csv"}
    assert client.post("/predict", content=body(limit), headers=headers).status_code == 200
    assert client.post("/predict", content=body(limit + 1), headers=headers).status_code == 413


def test_columns_of_csv_and_of_tensors(serve: ClientFactory) -> None:
    client = serve(MODEL_MAX_COLUMNS="8", MODEL_MAX_ROWS="3")
    for count, status in ((8, 400), (9, 413)):
        body = ",".join(f"c{i}" for i in range(count)) + "\n"
        assert client.post("/predict", content=body, headers={"content-type": "text/csv"}).status_code == status
    for count, status in ((3, 200), (4, 413)):
        tensor = {"name": "x", "shape": [count, 4], "datatype": "FP64", "data": ROW * count}
        assert client.post("/v2/models/iris/infer", json={"inputs": [tensor]}).status_code == status


def test_a_string_of_many_digits_is_no_number(serve: ClientFactory) -> None:
    client = serve(MODEL_MAX_DIGITS="20")
    response = client.post("/predict", json={"features": ["1" * 50, 2.8, 4.7, 1.2]})
    assert response.status_code == 400
    assert response.json()["errors"][0]["pointer"] == "/features/0"


def test_every_bad_field_of_every_bad_row_up_to_a_bound(client: TestClient) -> None:
    errors = client.post("/predict", json={"instances": [["x", None, 1, 2]] * 10}).json()["errors"]
    assert [error["pointer"] for error in errors] == [f"/instances/{i}/{j}" for i in range(10) for j in range(2)]
    many = client.post("/predict", json={"instances": [["x", None, 1, 2]] * 1000}).json()["errors"]
    assert len(many) == 101
    assert "only the first 100" in many[-1]["detail"]
