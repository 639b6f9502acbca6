"""What becomes of each message: exactly one of answered, refused and returned, whatever the mixture."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import jobs
from handler.destinations import Failures, Outlets
from handler.exchange import Behind, Exchange, deadline
from handler.observe import Call, Observer
from handler.replies import BYTES, DeliveryFailed, Reply
from handler.runtime import Runtime
from handler.settings import Settings
from model.errors import ArtifactUnavailable, InvalidRows, PredictionFailed, TooLarge, UnknownModel
from model.manifest import Feature, Manifest, Output
from model.scorer import Scorer
from model.serving_store import ServingStore
from tests.conftest import LogLines
from tests.events import Context, delivery, record


class Place:
    """A destination that keeps what it got, and fails for the messages it is told to; after a while for all."""

    def __init__(self, *, ordered: bool = False, fails: Sequence[str] = (), takes: int = 1_000_000) -> None:
        self.ordered, self.fails, self.takes = ordered, fails, takes
        self.got: list[Reply] = []

    def send(self, replies: Sequence[Reply], late: Callable[[], bool]) -> Failures:
        failures: Failures = {}
        for i, reply in enumerate(replies):
            if late() or len(self.got) >= self.takes or json.loads(reply.body)["id"] in self.fails:
                failures[i] = DeliveryFailed("ThrottlingException")
            else:
                self.got.append(reply)
        return failures

    @property
    def ids(self) -> list[str]:
        return [json.loads(reply.body)["id"] for reply in self.got]


class Engine:
    """Doubles the row; raises for 13, and counts the predicts."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, matrix: Any, outputs: Any) -> Any:
        self.asked += 1
        if 13 in matrix:
            raise ValueError("13")
        return {name: np.array(matrix[:, 0] * 2) for name in outputs}


class Models:
    """A registry with one model, one whose store does not answer, and one that meets a bug."""

    def __init__(self, engine: Any = None) -> None:
        outputs = (Output("prediction", "number"),)
        features = (Feature("x", "number"),)
        manifest = Manifest(1, "m", "1", "regression", "Fake", "joblib", "array", features, outputs, {}, {}, "now")
        self.known = Scorer(manifest, engine or Engine())

    def scorer(
        self, name: str | None = None, version: str | None = None, key: str | None = None, left: Any = None
    ) -> Scorer:
        if name == "down":
            raise ArtifactUnavailable("the store did not answer")
        if name == "bug":
            raise RuntimeError("value 13")
        if name is not None:
            raise UnknownModel("no such model")
        return self.known


def runtime(engine: Any = None, **settings: Any) -> Runtime:
    known = Settings("file:///none", **settings)
    models: Any = Models(engine)
    return Runtime(known, models, Observer(known), ServingStore("file:///none"))


def run(
    records: Sequence[Any], outlets: Outlets | None, engine: Any = None, late: Callable[[], bool] = lambda: False
) -> tuple[Exchange, Call]:
    messages = jobs.from_queue(delivery(*records), 10**7)
    exchange, call = Exchange(messages, outlets, late), Call("queue", "r")
    exchange.run(runtime(engine), call)
    return exchange, call


BODIES: dict[str, Any] = {
    "good": {"features": [1]},
    "bad": {"features": ["x"]},
    "unknown": {"model": "nope", "features": [1]},
    "broken": "not json",
    "poison": {"features": [13]},
    "down": {"model": "down", "features": [1]},
    "bug": {"model": "bug", "features": [1]},
}
PERMANENT = {"bad", "unknown", "broken", "poison"}
kinds = st.lists(st.tuples(st.sampled_from(sorted(BODIES)), st.sampled_from(["a", "b"])), max_size=30)


@given(
    kinds=kinds,
    fifo=st.booleans(),
    ordered=st.booleans(),
    errors=st.booleans(),
    lost=st.sets(st.integers(0, 29)),
    takes=st.integers(0, 40),
    patience=st.integers(0, 60),
)
def test_each_message_is_exactly_one_of_answered_refused_and_returned(
    kinds: list[tuple[str, str]],
    fifo: bool,
    ordered: bool,
    errors: bool,
    lost: set[int],
    takes: int,
    patience: int,
) -> None:
    fails = [f"m-{i}" for i in lost]
    results = Place(ordered=ordered, fails=fails, takes=takes)
    refusals = Place(fails=fails, takes=takes)
    asked = iter(range(1000))
    records = [record(BODIES[k], f"m-{i}", group if fifo else None) for i, (k, group) in enumerate(kinds)]
    outlets = Outlets((results,), refusals if errors else None)
    exchange, call = run(records, outlets, late=lambda: next(asked) >= patience)
    back = {f"m-{i}" for i in exchange.back}
    answered, refused = set(results.ids) - back, set(refusals.ids) - back
    assert len(answered) + len(refused) + len(back) == len(kinds)
    assert not answered & refused
    assert {f"m-{i}" for i, (kind, _) in enumerate(kinds) if kind in {"down", "bug"}} <= back
    for name in answered | refused:
        kind = kinds[int(name[2:])][0]
        assert (name in answered) == (kind == "good")
        assert (name in refused) == (kind in PERMANENT)
    counted = {"messages": len(kinds), "answered": len(answered), "refused": len(refused), "returned": len(back)}
    assert {key: call.fields[key] for key in counted} == counted
    if fifo:
        for group in "ab":
            gone = [f"m-{i}" in back for i, (_, each) in enumerate(kinds) if each == group]
            assert gone == sorted(gone)  # from the first that goes back, all behind it go back
            if ordered:  # and what went out is the front of the group, in its order
                names = [f"m-{i}" for i, (_, each) in enumerate(kinds) if each == group]
                sent = [name for name in results.ids if name in names]
                assert sent == [name for name in names if name in sent]
                assert not set(sent) & back


def test_a_batch_is_one_predict_and_a_poisonous_message_fails_alone() -> None:
    engine, results, refusals = Engine(), Place(), Place()
    outlets = Outlets((results,), refusals)
    run([record({"features": [n]}, f"m-{n}") for n in range(10)], outlets, engine)
    assert (engine.asked, len(results.got)) == (1, 10)
    exchange, _ = run([record({"features": [n]}, f"m-{n}") for n in range(20)], outlets, engine)
    assert not exchange.back
    assert refusals.ids == ["m-13"]
    assert isinstance(exchange.outcomes[13], PredictionFailed)


def test_a_refusal_tells_the_reason_and_carries_the_message() -> None:
    refusals, bus = Place(), Place()
    body = json.dumps({"id": "mine", "features": ["x"]})
    run([record(body, "m-1")], Outlets((bus,), refusals, bus))
    (told,) = [json.loads(reply.body) for reply in refusals.got]
    assert told == {
        "id": "mine",
        "message_id": "m-1",
        "result_id": told["result_id"],
        "error": "InvalidRows",
        "detail": "the input does not fit the model's features",
        "errors": [{"pointer": "/features/0", "detail": "expected a number, got a string"}],
        "original": body,
    }
    (public,) = [json.loads(reply.body) for reply in bus.got]
    assert public == {key: value for key, value in told.items() if key != "original"}
    assert bus.got[0].kind == "Prediction Refused"


def test_a_message_too_large_to_go_beside_its_reason_stays_where_it_is() -> None:
    refusals = Place()
    body = json.dumps({"features": ['"' * (BYTES // 2)]})
    exchange, _ = run([record(body, "m-1")], Outlets((), refusals))
    (told,) = [json.loads(reply.body) for reply in refusals.got]
    assert "original" not in told
    assert told["original_bytes"] > BYTES
    assert isinstance(exchange.back[0], InvalidRows)


def test_an_oversized_answer_is_the_callers_and_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.replies.BYTES", 600)
    refusals, results = Place(), Place()
    records = [record({"instances": [[0.5]] * 200}, "m-1"), record({"features": [1]}, "m-2")]
    exchange, _ = run(records, Outlets((results,), refusals))
    assert isinstance(exchange.outcomes[0], TooLarge)
    assert results.ids == ["m-2"]


def test_without_a_place_for_them_answers_are_told_and_refusals_come_back() -> None:
    exchange, _ = run([record(BODIES["good"], "m-1"), record(BODIES["bad"], "m-2"), record(BODIES["down"])], None)
    assert set(exchange.back) == {1, 2}
    told = exchange.beside()
    assert [answer["prediction"] for answer in told["results"]] == [2.0]
    assert [(reason["id"], reason["error"]) for reason in told["refused"]] == [("m-2", "InvalidRows")]


def test_a_message_is_acknowledged_only_if_every_destination_took_it() -> None:
    queue, bus = Place(), Place(fails=["m-1"])
    exchange, _ = run([record(BODIES["good"], "m-1"), record(BODIES["good"], "m-2")], Outlets((queue, bus), None, bus))
    assert set(exchange.back) == {0}
    assert (queue.ids, bus.ids) == (["m-1", "m-2"], ["m-2"])
    again, _ = run([record(BODIES["good"], "m-1")], Outlets((queue, Place()), None))
    assert not again.back
    assert queue.got[0].result == queue.got[2].result  # by which the consumer drops it


def test_a_fifo_group_waits_behind_its_first_failure_and_others_do_not() -> None:
    records = [record(BODIES["good"], "m-0", "a"), record(BODIES["down"], "m-1", "a")]
    records += [record(BODIES["good"], "m-2", "a"), record(BODIES["good"], "m-3", "b")]
    results = Place(ordered=True)
    exchange, _ = run(records, Outlets((results,), None))
    assert set(exchange.back) == {1, 2}
    assert isinstance(exchange.back[2], Behind)
    assert set(results.ids) == {"m-0", "m-3"}


def test_in_a_fifo_group_nothing_is_sent_before_what_stands_in_front_has_arrived() -> None:
    results = Place(ordered=True, fails=["m-1"])
    exchange, _ = run([record(BODIES["good"], f"m-{i}", "a") for i in range(4)], Outlets((results,), None))
    assert results.ids == ["m-0"]
    assert set(exchange.back) == {1, 2, 3}


def test_a_refused_message_does_not_hold_up_its_group() -> None:
    results, refusals = Place(ordered=True), Place()
    records = [record(BODIES["bad"], "m-0", "a"), record(BODIES["good"], "m-1", "a")]
    exchange, _ = run(records, Outlets((results,), refusals))
    assert (exchange.back, results.ids, refusals.ids) == ({}, ["m-1"], ["m-0"])


def test_what_is_not_begun_in_time_goes_back() -> None:
    engine = Engine()
    exchange, call = run([record(BODIES["good"])] * 3, Outlets((Place(),), None), engine, late=lambda: True)
    assert (set(exchange.back), engine.asked) == ({0, 1, 2}, 0)
    assert call.fields["causes"] == {"OutOfTime": 3}


@pytest.mark.parametrize(("left", "late"), [(60_000, False), (3_000, False), (0, True)])
def test_a_function_with_a_short_timeout_still_works(left: int, late: bool) -> None:
    assert deadline(Context(left))() is late


def test_every_message_without_an_answer_is_logged_without_a_value(log_lines: LogLines) -> None:
    records = [record({"features": [f"{kind}-6.123456"]} | more, kind) for kind, more in CASES.items()]
    run(records, Outlets((Place(),), Place()))
    found = log_lines()
    lines = {line["message_id"]: (line["message"], line["error"]) for line in found if "message_id" in line}
    assert lines == {
        "bad": ("message refused", "InvalidRows"),
        "down": ("message returned", "ArtifactUnavailable"),
        "bug": ("message returned", "RuntimeError"),
    }
    assert "6.123456" not in json.dumps(found)
    assert "value 13" not in json.dumps(found)


CASES: dict[str, dict[str, Any]] = {"bad": {}, "down": {"model": "down"}, "bug": {"model": "bug"}}


def test_the_line_counts_what_became_of_the_batch() -> None:
    _, call = run([record(BODIES[kind]) for kind in ("good", "good", "bad", "down")], Outlets((Place(),), Place()))
    assert call.fields == {
        "messages": 4,
        "answered": 2,
        "refused": 1,
        "returned": 1,
        "causes": {"InvalidRows": 1, "ArtifactUnavailable": 1},
    }
    assert (call.rows, call.model, call.error) == (2, "m", "InvalidRows")


def test_too_many_rows_are_refused() -> None:
    messages = jobs.from_queue(delivery(record({"instances": [[1], [2]]})), 10**7)
    exchange = Exchange(messages, None, lambda: False)
    exchange.run(runtime(max_rows=1), Call("queue", "r"))
    assert isinstance(exchange.outcomes[0], TooLarge)
