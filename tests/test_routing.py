"""The canary's share: even, stable, growing with its weight, and unrelated from version to version."""

from hypothesis import given
from hypothesis import strategies as st

from model.routing import bound, point

KEYS = [f"caller-{i}" for i in range(20_000)]


def share(version: str, weight: float) -> set[str]:
    return {key for key in KEYS if point(version, key) < bound(weight)}


def test_a_share_is_as_large_as_its_weight() -> None:
    for weight in (0.01, 0.1, 0.5):
        assert abs(len(share("1.0.0", weight)) / len(KEYS) - weight) < 0.02


def test_who_sees_a_small_canary_sees_it_when_it_grows() -> None:
    assert share("1.0.0", 0.1) <= share("1.0.0", 0.2)
    assert share("1.0.0", 1.0) == set(KEYS)


def test_the_next_canary_meets_other_callers() -> None:
    first, second = share("1.0.0", 0.1), share("1.0.1", 0.1)
    assert abs(len(first & second) / len(KEYS) - 0.01) < 0.005


@given(st.text(), st.text(max_size=64))
def test_every_key_lies_somewhere(version: str, key: str) -> None:
    assert 0 <= point(version, key) < bound(1.0)
    assert point(version, key) == point(version, key)
