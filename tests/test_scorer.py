"""The heart: rows in, answers out, in order, and nothing that is not finite."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.artifact import Policy, open_artifact
from model.errors import PredictionFailed
from model.manifest import Feature, Manifest, Output
from model.rows import Request
from model.scorer import Scorer
from model.store import Store

numbers = st.floats(-1e6, 1e6)
flowers = st.lists(st.tuples(*[st.floats(0, 10)] * 4), min_size=1, max_size=8)
babies = st.lists(
    st.tuples(*[st.none() | numbers] * 5, st.sampled_from([0.0, 1.0, None])).map(lambda r: (r[0], r[5], *r[1:5])),
    min_size=1,
    max_size=8,
)
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)


@pytest.fixture(scope="module")
def scorers(packed: Path) -> dict[str, Scorer]:
    return {name: open_artifact(Store(packed.as_uri()), name, "1.0.0", Policy()) for name in ("iris", "babies")}


@reuse
@given(data=st.data(), name=st.sampled_from(["iris", "babies"]))
def test_many_rows_are_each_row_alone_and_their_order_does_not_matter(
    scorers: dict[str, Scorer], data: st.DataObject, name: str
) -> None:
    rows: list[Any] = data.draw(flowers if name == "iris" else babies)
    order = data.draw(st.permutations(range(len(rows))))
    scorer = scorers[name]
    together = scorer.score(rows).values
    alone = [scorer.score([row]).values for row in rows]
    shuffled = scorer.score([rows[i] for i in order]).values
    assert together is not None
    assert shuffled is not None
    assert together == pytest.approx([value[0] for value in alone if value], rel=1e-12)
    assert shuffled == pytest.approx([together[i] for i in order], rel=1e-12)


class Fake:
    """An engine that answers what it is told to."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def predict(self, matrix: Any, outputs: Any) -> Any:
        return {name: np.array(self.answers[name]) for name in outputs}


def scorer_of(*outputs: Output, **answers: Any) -> Scorer:
    manifest = Manifest(
        1, "m", "1", "regression", "Fake", "joblib", "array", (Feature("x", "number"),), outputs, {}, {}, "now"
    )
    return Scorer(manifest, Fake(**answers))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_a_failed_prediction(bad: float) -> None:
    with pytest.raises(PredictionFailed, match="prediction is not a finite number"):
        scorer_of(Output("prediction", "number"), prediction=[1.0, bad]).score([(1,), (2,)])


def test_an_answer_too_few_is_a_failed_prediction() -> None:
    with pytest.raises(PredictionFailed, match="1 answers for 2 rows"):
        scorer_of(Output("prediction", "number"), prediction=[1.0]).score([(1,), (2,)])


def test_units_are_converted() -> None:
    scorer = scorer_of(Output("prediction", "number", unit="oz", conversions={"g": 28.35}), prediction=[2.0])
    assert scorer.score([(1,)]).conversions == [{"g": 56.7}]
    assert scorer.score([(1,)]).unit == "oz"


def test_decision_values_come_only_when_asked_for() -> None:
    scorer = scorer_of(Output("prediction", "number"), Output("decision", "number"), prediction=[1.0], decision=[0.5])
    assert scorer.score([(1,)]).decisions is None
    asked = scorer.score([(1,)], ("decision",))
    assert (asked.values, asked.decisions) == (None, [0.5])


class Poisoned:
    """An engine that doubles each row, counts how often it is asked, and raises where a 13 is among the rows."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, matrix: Any, outputs: Any) -> Any:
        self.asked += 1
        if 13 in matrix:
            raise ValueError("13")
        return {name: matrix[:, 0] * (2 if name == "prediction" else 3) for name in outputs}


def poisoned() -> tuple[Scorer, Poisoned]:
    engine = Poisoned()
    outputs = (Output("prediction", "number"), Output("decision", "number"))
    manifest = Manifest(
        1, "m", "1", "regression", "Fake", "joblib", "array", (Feature("x", "number"),), outputs, {}, {}, "now"
    )
    return Scorer(manifest, engine), engine


groups = st.lists(
    st.builds(
        Request,
        rows=st.lists(st.integers(0, 20).map(lambda n: (float(n),)), max_size=3).map(tuple),
        single=st.just(False),
        outputs=st.sampled_from([None, ("prediction",), ("decision",), ("decision", "prediction")]),
    ),
    max_size=12,
)


@given(groups)
def test_a_group_is_answered_as_if_it_were_alone(asked: list[Request]) -> None:
    together, alone = poisoned()[0].score_groups(asked), poisoned()[0]
    assert len(together) == len(asked)
    for group, found in zip(asked, together, strict=True):
        if (13.0,) in group.rows:
            assert isinstance(found, PredictionFailed)
        else:
            assert found == alone.score(group.rows, group.outputs)


def test_all_groups_are_one_predict_and_a_culprit_among_1000_costs_20_more() -> None:
    scorer, engine = poisoned()
    scorer.score_groups([Request(((1.0,),))] * 1000)
    assert engine.asked == 1
    found = scorer.score_groups([Request(((float(n),),)) for n in range(1000)])
    assert [i for i, each in enumerate(found) if isinstance(each, PredictionFailed)] == [13]
    assert engine.asked <= 1 + 1 + 2 * 10


@pytest.mark.parametrize("name", ["iris", "babies"])
def test_a_real_model_answers_groups_as_it_does_alone(scorers: dict[str, Scorer], name: str) -> None:
    scorer = scorers[name]
    rows: list[Any] = [(6.1, 2.8, 4.7, 1.2), (5.1, 3.5, 1.4, 0.2)] if name == "iris" else [(270, 1, 28, 64, 125, 0)]
    asked = [Request(tuple(rows)), Request(()), Request((rows[0],), True, ("prediction",))]
    assert scorer.score_groups(asked) == [scorer.score(each.rows, each.outputs) for each in asked]
