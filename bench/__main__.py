"""`make bench`: build, measure, print the tables, write bench/results.json and bench/results.svg."""

import argparse
import json
import math
import os
import platform
import sys
import time
import timeit
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench import measure, plan, plot, report, trees
from bench.figures import Case, Result, Run, document, parse
from bench.lineup import CARD, Lineup, package
from bench.s3 import bucket
from bench.targets import verdicts
from infra.cgroup import QuotaUnavailable, cpu_quota
from infra.emulator import EmulatorUnavailable, emulator

FOLDER = Path(__file__).parent


def quota() -> bool:
    """Tell whether this machine holds processes to a share of a CPU."""
    try:
        with cpu_quota(1):
            return True
    except QuotaUnavailable as reason:
        print(f"Without a CPU quota: {reason}", file=sys.stderr)
        return False


def run_round(
    lineup: Lineup, steps: plan.Round, console: Console, *, quota: bool, seconds: float = math.inf
) -> list[Result]:
    """Start the fresh processes of all steps in turn, then call warm ones in turn, all in about `seconds`."""
    case = steps[0].case
    vcpus = case.vcpus if quota else None
    requests = {step.case: lineup.requests(case.family, step.case.contender) for step in steps}
    functions = {step.case: lineup.function(step.case) for step in steps}
    first: dict[Case, list[float]] = {step.case: [] for step in steps}
    share = plan.first_seconds(steps) / plan.seconds(steps)
    deadline = time.monotonic() + seconds * share
    for i in range(max(step.first for step in steps)):
        if i >= plan.fewest(steps) and time.monotonic() > deadline:
            break
        for step in (step for step in steps if i < step.first):
            request = requests[step.case][CARD if step.case.contender == "card" else 1]
            first[step.case].append(measure.first(functions[step.case], request, vcpus))
    timed = {step.case: (lineup.timed(functions[step.case]), step.warm) for step in steps if step.warm}
    warm = measure.warm(timed, requests, vcpus, seconds * (1 - share))
    console.log(f"{case.family}, {case.vcpus:g} vCPU: {max(map(len, first.values()))} starts each")
    return [
        Result(step.case, tuple(first[step.case]), tuple(warm.get(step.case, ())), package(functions[step.case]))
        for step in steps
    ]


def pace() -> float:
    """Milliseconds that a fixed piece of Python takes now, the best of three: a shared host slows without a trace."""
    return round(min(timeit.repeat("sum(range(1_000_000))", number=1, repeat=3)) * 1000, 2)


def busy(seconds: float = 1.0) -> float:
    """The share of all cores (0 to 1) that others take now, while nothing of this benchmark runs. Linux."""

    def ticks() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(fields), fields[3] + fields[4]

    total, idle = ticks()
    time.sleep(seconds)
    total_after, idle_after = ticks()
    return round(1 - (idle_after - idle) / max(total_after - total, 1), 3)


def run(rounds: Sequence[plan.Round], console: Console, seconds: float) -> Run:
    """Build everything, then measure the rounds in about `seconds`. Exits where the emulator cannot run."""
    try:
        emulator()
    except EmulatorUnavailable as reason:
        raise SystemExit(f"make bench {reason}") from None
    built = trees.build()
    held = quota()
    started, before = datetime.now(UTC), time.monotonic()
    results: list[Result] = []
    others: list[float] = []
    paces: list[float] = []
    with bucket(built.models) as environment:
        for i, steps in enumerate(rounds):
            if held or steps[0].case.vcpus == plan.FULL:
                left = seconds - (time.monotonic() - before)
                share = left * plan.seconds(steps) / sum(map(plan.seconds, rounds[i:]))
                others.append(busy())
                paces.append(pace())
                results += run_round(Lineup(built, environment), steps, console, quota=held, seconds=share)
    machine = {
        "started": started.isoformat(timespec="seconds"), "seconds": round(time.monotonic() - before),
        "cores": os.cpu_count(), "busy": others, "pace": paces, "machine": platform.machine(),
        "python": platform.python_version(), "system": platform.platform(),
    }  # fmt: skip
    return Run(results, held, machine)


def main() -> None:
    """Measure, print and write; with --strict, exit with 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes: one family, one vCPU, few repetitions")
    parser.add_argument("--repeat", type=int, default=9, help="fresh processes, where most are started")
    parser.add_argument("--minutes", type=float, help="measure for about so long: 10, quick 2")
    parser.add_argument("--output", type=Path, help="where results.json and results.svg go")
    parser.add_argument("--strict", action="store_true", help="a missed target is an error")
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing, show an earlier results.json")
    options = parser.parse_args()
    output = options.output or (trees.CACHE if options.quick else FOLDER)
    if options.show:
        done = parse(options.show.read_bytes())
    else:
        minutes = options.minutes or (2 if options.quick else 10)
        with trees.alone():
            done = run(plan.plan(options.repeat, quick=options.quick), Console(stderr=True), minutes * 60)
        (output / "results.json").write_text(json.dumps(document(done), indent=1) + "\n")
    console = Console(width=max(Console().width, 150))
    report.show(done, console)
    try:
        plot.draw(done, output / "results.svg")
    except plot.PlotUnavailable as reason:
        console.print(str(reason))
    if options.strict and any(verdict.met is False for verdict in verdicts(done)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
