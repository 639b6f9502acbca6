"""What the run must show, as ratios within it: machines differ, and a ratio carries over. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.figures import Run, Source


@dataclass(frozen=True, slots=True)
class Target:
    """A bound, and the better one that is aimed at."""

    name: str
    unit: str
    limit: float
    value: Callable[[Run], float | None]
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target with what the run gave; None where the run did not measure it."""

    name: str
    unit: str
    limit: float
    aim: float | None
    value: float | None

    @property
    def met(self) -> bool | None:
        return None if self.value is None else self.value <= self.limit


def _first(run: Run, contender: str, family: str = "forest", source: Source = "bundle") -> float | None:
    found = run.find(contender, family, 1.0, source)
    return found.median if found else None


def _ratio(contender: str, to: str) -> Callable[[Run], float | None]:
    def value(run: Run) -> float | None:
        ours, theirs = _first(run, contender), _first(run, to)
        return ours / theirs if ours is not None and theirs is not None else None

    return value


def _own(figure: str) -> Callable[[Run], float | None]:
    def value(run: Run) -> float | None:
        found = run.find("onnx", "forest", 1.0)
        warm = found.at(1) if found else None
        return float(getattr(warm, figure)) if warm else None

    return value


def _v2_own(run: Run) -> float | None:
    found = run.find("v2", "forest", 1.0)
    warm = found.at(1) if found else None
    return warm.own_p50 if warm else None


def _s3_adds(run: Run) -> float | None:
    remote, bundled = _first(run, "onnx", "larger", "s3"), _first(run, "onnx", "larger")
    return remote - bundled if remote is not None and bundled is not None else None


TARGETS = (
    Target("first prediction, of the tutorial's with bytecode", "×", 0.20, _ratio("onnx", "tutorial"), 0.15),
    Target("first prediction, of the tutorial's as shipped", "×", 0.06, _ratio("onnx", "shipped")),
    Target("first prediction, of the tuned floor's", "×", 3.2, _ratio("onnx", "floor"), 2.5),
    Target("own time of a warm prediction, p50", "ms", 0.30, _own("own_p50"), 0.2),
    Target("own time of a warm prediction, p99", "ms", 1.0, _own("own_p99")),
    Target("first prediction by Open Inference v2, of the tutorial's", "×", 0.20, _ratio("v2", "tutorial"), 0.15),
    Target("own time of a warm one by Open Inference v2, p50", "ms", 0.30, _v2_own),
    Target("joblib engine's first prediction, of the tutorial's", "×", 0.85, _ratio("joblib", "tutorial")),
    Target("what S3 adds to the first prediction, a graph of 10 MB", "ms", 80.0, _s3_adds),
)


def verdicts(run: Run) -> list[Verdict]:
    """Each target with the run's figure."""
    return [Verdict(t.name, t.unit, t.limit, t.aim, t.value(run)) for t in TARGETS]
