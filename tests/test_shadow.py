"""A shadow costs what it may cost and no more, and tells figures only."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.artifact import Policy, open_artifact
from model.errors import ArtifactIncompatible
from model.scorer import Scorer
from model.shadow import BUDGET, Compared, Shadow
from model.store import Store
from tests.site import NAME


class Clock:
    """Advances by `cost` a row that is scored."""

    def __init__(self) -> None:
        self.now, self.cost = 0.0, 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def scorers(steps: Path) -> tuple[Scorer, Scorer]:
    store = Store((steps / "store").as_uri())
    live, new = (open_artifact(store, NAME, version, Policy()) for version in ("1.0.0", "1.1.0"))
    return live, new


def costly(scorer: Scorer, clock: Clock) -> None:
    score = scorer.score

    def slow(rows: Any, outputs: Any = None) -> Any:
        clock.now += clock.cost * len(rows)
        return score(rows, outputs)

    scorer.score = slow  # type: ignore[method-assign]


def follow(shadow: Shadow, live: Scorer, rows: int = 1, key: str = "k") -> Compared | None:
    asked = [(3.0, 4.0)] * rows
    return shadow.follow(asked, live.score(asked), key)


def test_a_dear_shadow_is_left_out_and_tried_again_after_a_while(scorers: tuple[Scorer, Scorer]) -> None:
    live, new = scorers
    clock = Clock()
    clock.cost = 3 * BUDGET
    costly(new, clock)
    shadow = Shadow(new, live, 1.0, clock)
    found = [follow(shadow, live) for _ in range(200)]
    assert found[0] is None
    assert 1 <= sum(compared is not None for compared in found) <= 6
    clock.cost = BUDGET / 100
    assert sum(follow(shadow, live) is not None for _ in range(200)) > 100


def test_of_many_rows_it_takes_what_fits(scorers: tuple[Scorer, Scorer]) -> None:
    live, new = scorers
    clock = Clock()
    clock.cost = BUDGET / 10
    costly(new, clock)
    compared = follow(Shadow(new, live, 1.0, clock), live, rows=1_000)
    assert compared is not None
    assert compared.rows == 10
    assert compared.disagreements == 10
    assert compared.seconds == pytest.approx(BUDGET)


def test_only_its_share_and_only_what_the_live_version_answered(scorers: tuple[Scorer, Scorer]) -> None:
    live, new = scorers
    shadow = Shadow(new, live, 0.2)
    seen = [key for key in map(str, range(500)) if follow(shadow, live, key=key)]
    assert 60 < len(seen) < 140
    assert follow(Shadow(new, live, 1.0), new) is None
    same = follow(Shadow(live, live, 1.0), live)
    assert same is not None
    assert (same.disagreements, same.error) == (0, None)


def test_one_that_takes_other_features_is_no_shadow(scorers: tuple[Scorer, Scorer]) -> None:
    live, new = scorers
    renamed = replace(new.manifest, features=tuple(replace(f, name=f"{f.name}_2") for f in new.manifest.features))
    with pytest.raises(ArtifactIncompatible, match="other features"):
        Shadow(Scorer(renamed, new.engine, "onnx"), live, 1.0)
