"""What leaves the function of a prediction: one line of a share of the requests, and no feature's value unasked."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from handler import runtime
from handler.api import create_app
from handler.front import Front
from handler.http_call import HttpCall
from handler.records import ROWS
from model.records import FeedbackRecord, PredictionRecord, encode, read
from model.reference import NULL
from model.registry import Registry
from model.rows import Request
from tests.conftest import ClientFactory, LogLines
from tests.events import Context, delivery, record
from tests.test_on_events import Start, start  # noqa: F401  -- a fixture

NAMED = {"gestation": 271.5, "parity": 1, "age": 28, "height": 64, "weight": None, "smoke": 0}
IRIS = [6.1, 2.8, 4.7, 1.2]
ON = {"MODEL_RECORD_SHARE": "1"}
Records = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def records(log_lines: LogLines) -> Records:
    """Return what tells the lines of one message."""
    return lambda message: [line for line in log_lines() if line["message"] == message]


def test_by_default_nothing_is_recorded(client: TestClient, records: Records) -> None:
    client.post("/predict", json={"features": IRIS})
    assert records("prediction") == []


def test_one_line_a_request_with_the_bins_of_the_manifests_histograms(serve: ClientFactory, records: Records) -> None:
    answer = serve(**ON).post("/models/babies/predict", json=NAMED).json()
    (line,) = records("prediction")
    assert (line["id"], line["model"], line["version"], line["rows"]) == (answer["id"], "babies", "1.0.0", [0])
    assert line["bins"] == [[2, 1, 5, 3, NULL, 0]]
    assert line["answers"] == [answer["prediction"]]
    assert len(line["answer_bins"]) == 1
    assert next(iter(line)) == "message"  # readers find the beginning of a record by it
    assert not {"values", "probabilities"} & set(line)


def test_no_feature_value_leaves_unless_it_is_asked_for(serve: ClientFactory, records: Records) -> None:
    for detail in ("bins", "answers", "values"):
        serve(**ON, MODEL_RECORD_DETAIL=detail).post("/models/babies/predict", json=NAMED)
    bins, answers, values = records("prediction")
    assert "271.5" not in json.dumps([bins, answers])
    assert not {"answers", "probabilities", "values"} & set(bins)
    assert "answers" in answers
    assert values["values"] == [[271.5, 1.0, 28.0, 64.0, None, 0.0]]


def test_probabilities_are_in_the_order_of_the_labels(serve: ClientFactory, records: Records) -> None:
    answer = serve(**ON).post("/predict", json={"features": IRIS}).json()
    (line,) = records("prediction")
    assert line["probabilities"] == [[round(p, 5) for p in answer["probabilities"].values()]]
    assert (line["answers"], line["answer_bins"]) == ([1], [1])


def test_what_was_not_answered_is_not_recorded(serve: ClientFactory, records: Records) -> None:
    client = serve(**ON)
    client.post("/predict", json={"features": IRIS, "outputs": ["probabilities"]})
    client.post("/predict", json={"features": [1]})
    client.post("/predict", json={"instances": []})
    (line,) = records("prediction")
    assert not {"answers", "answer_bins"} & set(line)
    assert line["bins"]


def test_of_many_rows_some_are_recorded_by_their_places(serve: ClientFactory, records: Records) -> None:
    rows = [[5 + i / 100, 3, 4, 1] for i in range(95)]
    answer = serve(**ON, MODEL_RECORD_DETAIL="values").post("/predict", json={"instances": rows}).json()
    (line,) = records("prediction")
    assert 9 <= len(line["rows"]) <= ROWS
    assert line["values"] == [rows[i] for i in line["rows"]]
    assert line["answers"] == [answer["predictions"][i] for i in line["rows"]]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/iris/infer", {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": IRIS}]}),
        ("/invocations", {"instances": [IRIS]}),
        ("/v1/models/iris:predict", {"instances": [IRIS]}),
    ],
)
@pytest.mark.parametrize("front", [False, True])
def test_predictions_in_a_dialect_are_recorded_under_the_requests_id(
    packed: Path, records: Records, path: str, body: dict[str, Any], front: bool
) -> None:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", **ON})
    parts = started.registry, started.settings, started.observer
    app: Any = create_app(*parts, recorder=started.recorder)
    if front:
        app = HttpCall(Front(*parts, started.recorder), started.observer)
    answer = TestClient(app).post(path, json=body)
    assert answer.status_code == 200
    (line,) = records("prediction")
    assert (line["id"], line["bins"], line["answers"]) == (answer.headers["x-request-id"], [[6, 2, 6, 2]], [1])


def test_a_what_if_question_is_not_recorded(packed: Path, records: Records) -> None:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", **ON})
    client = TestClient(create_app(started.registry, started.settings, started.observer, recorder=started.recorder))
    body = {"features": [6.1, 2.8, 4.7, 1.2]}
    assert client.post("/predict?record=false", json=body).status_code == 200
    refused = client.post("/predict?record=no", json=body)
    assert (refused.status_code, refused.json()["errors"]) == (
        400,
        [{"pointer": "", "detail": "query parameter record: expected true or false"}],
    )
    assert records("prediction") == []
    assert client.post("/predict?record=true", json=body).status_code == 200
    assert len(records("prediction")) == 1


def test_what_a_callers_options_made_of_an_answer_is_not_recorded(packed: Path, records: Records) -> None:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", **ON})
    assert started.recorder is not None
    client = TestClient(create_app(started.registry, started.settings, started.observer, recorder=started.recorder))
    assert client.post("/predict", json={"features": IRIS, "top_k": 1}).status_code == 200
    (line,) = records("prediction")
    assert (line["answers"], "probabilities" in line) == ([1], False)
    prediction = started.registry.scorer().score([tuple(IRIS)])
    started.recorder.answered("own", Request(rows=(tuple(IRIS),), threshold=0.9), prediction)
    started.recorder.answered("usual", Request(rows=(tuple(IRIS),)), prediction)
    assert [line["id"] for line in records("prediction")][1:] == ["usual"]


def test_the_share_follows_from_the_id_so_that_a_repeat_decides_alike(packed: Path, records: Records) -> None:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_RECORD_SHARE": "0.25"})
    assert started.recorder is not None
    scorer = started.registry.scorer()
    prediction = scorer.score([tuple(IRIS)])
    for _ in range(2):
        for i in range(1000):
            started.recorder.predicted(f"request-{i}", [tuple(IRIS)], prediction)
    found = [line["id"] for line in records("prediction")]
    assert found[: len(found) // 2] == found[len(found) // 2 :]
    assert 200 < len(found) / 2 < 300


def test_an_artifact_without_a_reference_is_recorded_without_bins_and_said_once(
    store: Path, serve: ClientFactory, records: Records
) -> None:
    file = store / "iris/1.0.0/manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["digests"]["reference.json"]
    file.write_text(json.dumps(manifest))
    client = serve(store, **ON)
    for _ in range(2):
        assert client.post("/predict", json={"features": IRIS}).status_code == 200
    assert [sorted(line) for line in records("prediction")] == [
        ["answers", "id", "message", "model", "probabilities", "rows", "service", "timestamp", "version"]
    ] * 2
    assert len(records("no histograms to record by")) == 1


def test_a_reference_that_is_not_the_packed_one_costs_the_bins_and_no_answer(
    store: Path, serve: ClientFactory, records: Records
) -> None:
    (store / "iris/1.0.0/reference.json").write_bytes(b"{}")
    assert serve(store, **ON).post("/predict", json={"features": IRIS}).status_code == 200
    assert "bins" not in records("prediction")[0]
    (told,) = records("no histograms to record by")
    assert (told["level"], told["error"]) == ("ERROR", "ArtifactCorrupt")


def test_a_recorder_that_fails_never_fails_the_request(
    packed: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", **ON})
    assert started.recorder is not None
    prediction = started.registry.scorer().score([tuple(IRIS)])
    started.recorder.predicted("a", [("not", "numbers", 1.0, 2.0)], prediction)
    assert records("prediction") == []
    (line,) = records("unexpected error")
    assert "numbers" not in json.dumps(line)


def test_direct_invokes_and_messages_are_recorded_too(
    start: Start,  # noqa: F811
    records: Records,
) -> None:
    start("on_invoke", **ON)({"features": IRIS}, Context())
    start("on_queue", **ON)(delivery(record({"features": IRIS, "id": "q-1"}, "m-1")), Context())
    first, second = records("prediction")
    assert (first["bins"], second["bins"], second["id"]) == ([[6, 2, 6, 2]], [[6, 2, 6, 2]], "q-1")


def test_the_reference_is_read_at_initialisation_not_in_a_request(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    own = Registry.reference

    def reference(self: Registry, name: str, version: str) -> Any:
        asked.append(name)
        return own(self, name, version)

    monkeypatch.setattr(Registry, "reference", reference)
    runtime.start({"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "babies", **ON})
    assert asked == ["babies"]


# --- feedback

TAKEN = {**ON, "MODEL_FEEDBACK": "on"}


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"id": "a", "actual": 118.5}, {"id": "a", "actual": 118.5}),
        ({"id": "a", "row": 7, "actual": "versicolor"}, {"id": "a", "row": 7, "actual": "versicolor"}),
        ({"id": "a", "row": 0, "actual": True}, {"id": "a", "actual": True}),
    ],
)
def test_feedback_is_accepted_and_becomes_one_line(
    serve: ClientFactory, records: Records, body: dict[str, Any], line: dict[str, Any]
) -> None:
    answer = serve(**TAKEN).post("/feedback", json=body)
    assert answer.status_code == 202
    assert answer.json() == {"id": "a", "row": body.get("row", 0), "status": "accepted"}
    (found,) = records("feedback")
    assert {key: found[key] for key in found if key not in {"message", "timestamp", "service"}} == line


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ('{"id": "a"}', "", "missing required field actual"),
        ('{"actual": 1}', "", "missing required field id"),
        ('{"id": "", "actual": 1}', "/id", "Expected str of length >= 1"),
        ('{"id": 5, "actual": 1}', "/id", "Expected str, got int"),
        ('{"id": "a", "actual": null}', "/actual", "got null"),
        ('{"id": "a", "actual": [1]}', "/actual", "got array"),
        ('{"id": "a", "actual": 1e39}', "/actual", "<= "),
        ('{"id": "a", "actual": NaN}', "", "not valid JSON"),
        ('{"id": "a", "row": -1, "actual": 1}', "/row", ">= 0"),
        ('{"id": "a", "row": 0.5, "actual": 1}', "/row", "Expected int"),
        ('{"id": "a", "actual": 1, "more": 1}', "", "unknown field more"),
        ("[]", "", "Expected object, got array"),
        ("", "", "not valid JSON"),
        ("[" * 4000, "", "Expected object, got array"),
        (b'{"id": "\xff", "actual": 1}', "", "expected UTF-8"),
    ],
)
def test_wrong_feedback_is_refused_by_a_pointer_to_its_member(
    serve: ClientFactory, records: Records, body: str | bytes, pointer: str, said: str
) -> None:
    answer = serve(**TAKEN).post("/feedback", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"] == 'expected {"id", "row": 0, "actual"}'
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert said in fault["detail"]
    assert records("feedback") == []


def test_feedback_has_a_limit_a_method_and_is_off_by_default(
    serve: ClientFactory, client: TestClient, records: Records
) -> None:
    taking = serve(**TAKEN)
    long = {"id": "a", "actual": "x" * 5000}
    assert taking.post("/feedback", json=long).status_code == 413
    assert taking.get("/feedback").status_code == 405
    for media in ("text/csv", "application/json; charset=latin-1"):
        answer = taking.post("/feedback", content='{"id": "a", "actual": 1}', headers={"content-type": media})
        assert answer.status_code == 415
    for other in (client, serve(**ON)):
        assert other.post("/feedback", json={"id": "a", "actual": 1}).status_code == 404
    assert records("feedback") == []


def test_the_page_is_told_whether_feedback_is_taken(serve: ClientFactory, client: TestClient) -> None:
    assert client.get("/").json()["feedback"] is False
    assert serve(**TAKEN).get("/").json()["feedback"] is True


def test_the_document_has_feedback_where_it_is_taken(serve: ClientFactory, client: TestClient) -> None:
    assert "/feedback" not in client.get("/openapi.json").json()["paths"]
    taken = serve(**TAKEN).get("/openapi.json").json()["paths"]["/feedback"]["post"]
    refusals = {"400", "401", "403", "408", "413", "415", "429", "500", "504"}
    assert set(taken["responses"]) == {"202", *refusals}


# --- reading


def prediction(identifier: str = "a", **more: Any) -> bytes:
    return encode(PredictionRecord("2026-11-21T09:00:00.000+00:00", "s", identifier, "m", "1", [0], **more))


def test_records_are_read_whatever_stands_between_them() -> None:
    tricky = encode(FeedbackRecord("t", "s", 'a"}{"message":"feedback"', "x"))
    text = prediction("a") + tricky + prediction("b") + b"\n\n" + prediction("c") + b"\n"
    found = list(read(text.splitlines(keepends=True), feedback=False))
    assert [r.id for r in found if isinstance(r, PredictionRecord)] == ["a", "b", "c"]
    assert len(found) == 3
    (feedback,) = read(text.splitlines(keepends=True), feedback=True)
    assert isinstance(feedback, FeedbackRecord)
    assert feedback.id == 'a"}{"message":"feedback"'


def test_a_damaged_record_is_none_and_other_lines_are_passed_over() -> None:
    lines = [b'{"level":"INFO","message":"request"}\n', prediction()[:-9] + b"\n", b"garbage\n", prediction() + b"\n"]
    lines.insert(3, prediction("é").replace("é".encode(), b"\xff") + b"\n")
    found: Iterator[Any] = read(lines, feedback=False)
    assert [record is None for record in found] == [True, True, True, False]
