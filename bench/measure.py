"""Measure a function behind the emulator: the first prediction of a fresh process, or many calls to a warm one."""

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from bench.figures import Case, Warm, percentile
from bench.lineup import Request
from infra.built import Function
from infra.emulator import Emulator

BLOCKS = 10
"""Warm calls come in so many blocks, the contenders taking turns: a slow second of the machine is everybody's."""
_RAMP = 5
"""Calls before a block that do not count: caches went to another contender meanwhile."""
_BILLED = re.compile(r"\tDuration: [\d.]+ ms\tBilled Duration: (\d+) ms")


class WrongAnswer(Exception):
    """A contender did not give the estimator's own predictions: its times mean nothing."""


def first(function: Function, request: Request, vcpus: float | None) -> float:
    """Milliseconds from the event to the answer of a process that is yet to start: interpreter, imports, model, call.

    Raises WrongAnswer, QuotaUnavailable or EmulatorUnavailable.
    """
    with Emulator(function, vcpus=vcpus) as emulator:
        started = time.perf_counter()
        answer = emulator.invoke_raw(request.payload)
        elapsed = time.perf_counter() - started
        check(function, answer, request, emulator)
    return round(elapsed * 1000, 3)


class Warmed:
    """A process that is called again and again; behind a timed function."""

    def __init__(self, function: Function, emulator: Emulator) -> None:
        self._function, self._emulator = function, emulator
        self._outside: list[float] = []
        self._own: list[float] = []
        self._billed: list[int] = []
        self._log_bytes = 0

    def block(self, request: Request, calls: int) -> None:
        """Call it so often, and keep what that took. Raises WrongAnswer."""
        for _ in range(_RAMP):
            answer = self._emulator.invoke_raw(request.payload)
        check(self._function, answer, request, self._emulator)
        before = len(self._emulator.log)
        for _ in range(calls):
            started = time.perf_counter()
            self._emulator.invoke_raw(request.payload)
            self._outside.append((time.perf_counter() - started) * 1000)
        log = self._emulator.log[before:]
        self._own += [nanoseconds / 1e6 for nanoseconds in self._emulator.invoke({"bench": calls})]
        self._billed += [int(milliseconds) for milliseconds in _BILLED.findall(log)]
        self._log_bytes += log_bytes(log)

    def figures(self, rows: int) -> Warm:
        """What all blocks so far gave, which are then forgotten."""
        outside, own, billed, logged = self._outside, self._own, self._billed, self._log_bytes
        self._outside, self._own, self._billed, self._log_bytes = [], [], [], 0
        return Warm(
            rows=rows,
            calls=len(outside),
            outside_p50=round(percentile(outside, 0.5), 4),
            outside_p99=round(percentile(outside, 0.99), 4),
            own_p50=round(percentile(own, 0.5), 4),
            own_p99=round(percentile(own, 0.99), 4),
            billed=round(sum(billed) / len(billed), 3),
            log_bytes=logged // len(outside),
            memory=self._emulator.peak_memory(),
        )


def warm(
    steps: Mapping[Case, tuple[Function, Mapping[int, int]]],
    requests: Mapping[Case, Mapping[int, Request]],
    vcpus: float | None,
    seconds: float = math.inf,
) -> dict[Case, list[Warm]]:
    """Call a process of each case, all alive together; the mapping says how often with how many rows.

    The functions are timed ones. After `seconds` there are no more blocks than one. Raises the errors of `first`.
    """
    with ExitStack() as alive:
        processes = {
            case: Warmed(function, alive.enter_context(Emulator(function, vcpus=vcpus)))
            for case, (function, _) in steps.items()
        }
        found: dict[Case, list[Warm]] = {case: [] for case in steps}
        sizes = sorted({rows for _, calls in steps.values() for rows in calls})
        for rows in sizes:
            deadline = time.monotonic() + seconds / len(sizes)
            for block in range(BLOCKS):
                if block and time.monotonic() > deadline:
                    break
                for case, (_, calls) in steps.items():
                    processes[case].block(requests[case][rows], math.ceil(calls[rows] / BLOCKS))
            for case, process in processes.items():
                found[case].append(process.figures(rows))
    return found


def _right(predictions: list[Any], expected: list[Any]) -> bool:
    return bool(predictions) and predictions == expected[: len(predictions)]


def log_bytes(log: str) -> int:
    """Bytes that would reach CloudWatch: all lines but the emulator's own."""
    return sum(len(line.encode()) + 1 for line in log.splitlines() if line and "(rapid)" not in line)


def check(function: Function, answer: bytes, request: Request, emulator: Emulator) -> None:
    """Raise WrongAnswer, with the log's end, unless the answer holds the predictions expected, or is a card."""
    if function.name == "empty":
        return
    try:
        body: Any = json.loads(json.loads(answer)["body"])
        given = body["outputs"][0]["data"] if "outputs" in body else body.get("predictions", ())
        right = _right(given, request.predictions) if request.predictions else "card" in body
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        end = answer[:300].decode(errors="replace")
        raise WrongAnswer(f"{function.name} ({function.handler}) answered {end}\n{emulator.log[-2000:]}")
