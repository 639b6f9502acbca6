"""What is run, how often, and how long it may take: ten minutes on two cores, `quick` two. Pure.

A slow machine starts fewer processes and makes fewer calls instead: see `seconds`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.figures import Case, Source

FAMILIES = ("forest", "boosted", "linear", "mixed")
SIZES = ("large", "larger")
"""Forests for S3: 10 MB as a pickle, 10 MB compiled."""
FULL, SMALL = 1.0, 0.29
"""vCPUs: 1,769 MB of memory, 512 MB."""
MANY = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """A case with the number of fresh processes, and of warm calls by their rows."""

    case: Case
    first: int
    warm: Mapping[int, int] = field(default_factory=dict)


Round = tuple[Step, ...]
"""Steps whose fresh processes are started in turn, so that a slow minute of the machine is everybody's."""


def plan(repeat: int = 9, *, quick: bool = False) -> list[Round]:
    """The rounds in their order; `repeat` is the number of fresh processes where it is largest."""
    if quick:
        few = min(repeat, 3)
        return [_round("forest", FULL, few, few, {1: 500, MANY: 20}), *_s3(few)]
    some, fewest = max(repeat * 5 // 9, 1), max(repeat // 3, 1)
    rounds = [_round("forest", FULL, repeat, repeat, {1: 2_000, MANY: 100}), *_s3(repeat)]
    rounds += [_round(family, FULL, some, 0, {1: 2_000, MANY: 100}) for family in FAMILIES[1:]]
    rounds.append(_round("forest", SMALL, some, min(fewest, 2), {1: 300, MANY: 20}))
    return rounds + [_round(family, SMALL, fewest, 0, {1: 300, MANY: 20}) for family in FAMILIES[1:]]


def _round(family: str, vcpus: float, first: int, shipped: int, warm: Mapping[int, int]) -> Round:
    """All contenders with a family. The tutorial as shipped is slow, and once warm the same as with bytecode."""
    steps = [Step(Case("shipped", family, vcpus), shipped)] if shipped else []
    if shipped:
        steps.append(Step(Case("card", family, vcpus), shipped))
        steps.append(Step(Case("v2", family, vcpus), first, warm))
    slow = {rows: max(calls // 4, 10) for rows, calls in warm.items()}
    for contender in ("tutorial", "joblib", "onnx", "floor", "empty"):
        calls = slow if contender in {"tutorial", "joblib"} else warm
        steps.append(Step(Case(contender, family, vcpus), first, calls))
    return tuple(steps)


def _s3(first: int) -> Iterator[Round]:
    """Each engine with the model beside it and in S3; the compiled one also with a graph that has 10 MB itself."""
    sources: tuple[Source, ...] = ("bundle", "s3")
    for family, contenders in zip(SIZES, (("tutorial", "joblib", "onnx"), ("onnx",)), strict=True):
        cases = [Case(contender, family, FULL, source) for contender in contenders for source in sources]
        yield tuple(Step(case, first) for case in cases)


_FIRST = {
    "shipped": 5.5,
    "tutorial": 1.7,
    "joblib": 1.4,
    "onnx": 0.3,
    "v2": 0.3,
    "card": 0.5,
    "floor": 0.2,
    "empty": 0.1,
}
"""Seconds that a fresh process takes at one vCPU, its end included: for sharing out time, nothing else."""
_CALL = {1: {"tutorial": 0.006, "joblib": 0.005}, MANY: {"tutorial": 0.025, "joblib": 0.025, "empty": 0.003}}


def first_seconds(steps: Round) -> float:
    """About what the fresh processes of a round take."""
    return sum(step.first * _FIRST[step.case.contender] / step.case.vcpus for step in steps)


def warm_seconds(steps: Round) -> float:
    """About what its warm calls take."""
    return sum(
        calls * _CALL.get(rows, {}).get(step.case.contender, 0.001 if rows == 1 else 0.02) / step.case.vcpus
        for step in steps
        for rows, calls in step.warm.items()
    )


def seconds(steps: Round) -> float:
    """About what a round takes: its share of the time that a run may take."""
    return first_seconds(steps) + warm_seconds(steps)


def fewest(steps: Round) -> int:
    """The fresh processes of each step that are started however long they take."""
    return 3 if steps[0].case.vcpus == FULL else 1
