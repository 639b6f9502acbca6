"""`python -m bench.soak [--calls N]`: our functions for a long while in one process; memory must not grow.

Each engine takes the mixed rows one at a time, then a thousand at once. Exits with 1 on growth or a wrong answer.
"""

import argparse
import math
import time

from bench import trees
from bench.figures import Case
from bench.lineup import Lineup, Request
from bench.measure import check
from bench.plan import FULL, MANY
from infra.built import Function
from infra.emulator import Emulator

GROWTH = 4_000_000
"""Bytes of peak memory that may come after the first tenth of the calls: an allocator settles, a leak goes on."""


def soak(function: Function, request: Request, calls: int) -> int:
    """The growth of peak memory over the last nine tenths of the calls, bytes. Raises WrongAnswer."""
    with Emulator(function) as emulator:
        settled = 0
        for i in range(calls):
            answer = emulator.invoke_raw(request.payload)
            if i % max(calls // 100, 1) == 0:
                check(function, answer, request, emulator)
            if i == math.ceil(calls / 10):
                settled = emulator.peak_memory()
        return emulator.peak_memory() - settled


def main() -> None:
    """Soak both engines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=30_000, help="with one row; a hundredth of them with many")
    options = parser.parse_args()
    with trees.alone():
        grown = soak_all(Lineup(trees.build()), options.calls)
    if grown:
        raise SystemExit(f"memory grew by more than {GROWTH / 1e6:g} MB: {', '.join(grown)}")


def soak_all(lineup: Lineup, one: int) -> list[str]:
    """Soak both engines, with one row and with many; returns those whose memory grew."""
    grown = []
    for engine in trees.ENGINES:
        case = Case(engine, "mixed", FULL)
        for rows, calls in ((1, one), (MANY, max(one // 100, 100))):
            started = time.monotonic()
            growth = soak(lineup.function(case), lineup.requests(case.family)[rows], calls)
            seconds = time.monotonic() - started
            print(f"{engine}: {calls:,} calls with {rows:,} rows in {seconds:.0f} s, memory +{growth / 1e6:.1f} MB")
            grown += [engine] if growth > GROWTH else []
    return grown


if __name__ == "__main__":
    main()
