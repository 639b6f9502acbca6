"""What was measured, as frozen dataclasses ↔ bench/results.json, and the arithmetic on it. Pure.

Times are milliseconds, sizes are bytes.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import msgspec

Source = Literal["bundle", "s3"]
FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One contender with one model at one share of a CPU; `source` is where it reads the model from."""

    contender: str
    family: str
    vcpus: float
    source: Source = "bundle"


@dataclass(frozen=True, slots=True)
class Warm:
    """Calls with `rows` rows to a warm process, one after the other.

    `outside` is what the client waited, `own` what the handler took, `billed` what the emulator's report would charge,
    a mean of whole milliseconds. `log_bytes` a call, with the platform's lines; `memory` is the peak so far.
    """

    rows: int
    calls: int
    outside_p50: float
    outside_p99: float
    own_p50: float
    own_p99: float
    billed: float
    log_bytes: int
    memory: int


@dataclass(frozen=True, slots=True)
class Result:
    """All of one case: the first prediction of each fresh process, the warm calls, the bytes that Lambda unzips."""

    case: Case
    first: Sequence[float]
    warm: Sequence[Warm] = ()
    package: int = 0

    @property
    def median(self) -> float:
        """Of the first predictions."""
        return statistics.median(self.first)

    def at(self, rows: int) -> Warm | None:
        """The warm calls with that many rows, if there were any."""
        return next((warm for warm in self.warm if warm.rows == rows), None)


@dataclass(frozen=True, slots=True)
class Run:
    """Everything of one run. `quota` is false where the machine could not hold processes to a share of a CPU."""

    results: Sequence[Result]
    quota: bool
    machine: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def find(self, contender: str, family: str, vcpus: float, source: Source = "bundle") -> Result | None:
        """The result of a case, if it was measured."""
        case = Case(contender, family, vcpus, source)
        return next((result for result in self.results if result.case == case), None)

    def less_empty(self, result: Result, rows: int) -> tuple[float, float] | None:
        """Warm p50 and p99 from outside, less the empty handler's on the same event."""
        empty = self.find("empty", result.case.family, result.case.vcpus)
        mine, nothing = result.at(rows), empty.at(rows) if empty else None
        if mine is None or nothing is None:
            return None
        return mine.outside_p50 - nothing.outside_p50, mine.outside_p99 - nothing.outside_p99


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed. Raises ValueError on none."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def document(run: Run) -> dict[str, Any]:
    """The run as results.json holds it: everything measured, and the two figures of the first prediction beside it."""
    plain = asdict(run)
    for result, entry in zip(run.results, plain["results"], strict=True):
        entry["first_median"], entry["first_min"] = result.median, min(result.first)
    return plain


def parse(content: bytes) -> Run:
    """The run in a results.json. Raises msgspec.ValidationError when it is none."""
    return msgspec.json.decode(content, type=Run)
