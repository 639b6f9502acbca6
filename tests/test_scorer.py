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
