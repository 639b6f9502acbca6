"""The run as tables on a terminal."""

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.table import Table

from bench.figures import Result, Run, Warm
from bench.lineup import TITLES
from bench.plan import FULL, MANY
from bench.prices import AS_OF, COLD_SHARE, MEMORY, REGION, Bill, bill
from bench.targets import verdicts
from infra.target import LIMIT

ABSENT = "–"


def tables(run: Run) -> list[RenderableType]:
    """What the run gave, in reading order."""
    return [_measured(run), _bills(run), _targets(run), _notes(run)]


def show(run: Run, console: Console) -> None:
    """Print it."""
    for table in tables(run):
        console.print(table)


def row(run: Run, result: Result) -> list[str]:
    """The cells of one case."""
    one, many = result.at(1), result.at(MANY)
    less, less_many = run.less_empty(result, 1), run.less_empty(result, MANY)
    package = f"{result.package / 1e6:.0f}{'*' if result.package > LIMIT else ''}" if result.package else ABSENT
    return [
        TITLES[result.case.contender] + (", from S3" if result.case.source == "s3" else ""),
        f"{result.median:,.0f}" if result.first else ABSENT,
        f"{min(result.first):,.0f}" if result.first else ABSENT,
        str(len(result.first)),
        *(f"{value:,.2f}" if value is not None else ABSENT for value in less or (None, None)),
        *(f"{value:,.3f}" for value in ((one.own_p50, one.own_p99) if one else ())),
        *([] if one else [ABSENT, ABSENT]),
        f"{less_many[0]:,.1f}" if less_many else ABSENT,
        f"{many.own_p50:,.1f}" if many else ABSENT,
        f"{one.memory / 1e6:,.0f}" if one else ABSENT,
        package,
    ]


def _measured(run: Run) -> Table:
    table = Table(title="First predictions and warm ones, milliseconds", title_justify="left")
    table.add_column("contender", no_wrap=True)
    for name in ("first\nmedian", "min", "of", "warm p50\nless empty", "p99", "own\np50", "p99"):
        table.add_column(name, justify="right")
    for name in (f"{MANY:,} rows\nless empty", "own\np50", "memory\nMB", "package\nMB"):
        table.add_column(name, justify="right")
    for (vcpus, family), results in _groups(run):
        table.add_section()
        table.add_row(f"[bold]{family}, {vcpus:g} vCPU ({MEMORY[vcpus]:,} MB)")
        for result in results:
            table.add_row(*row(run, result))
    return table


def _groups(run: Run) -> Iterator[tuple[tuple[float, str], list[Result]]]:
    keys = dict.fromkeys((result.case.vcpus, result.case.family) for result in run.results)
    for vcpus, family in keys:
        yield (vcpus, family), [r for r in run.results if (r.case.vcpus, r.case.family) == (vcpus, family)]


def warm_of(run: Run, result: Result) -> Warm | None:
    """The warm calls with one row; the tutorial's as shipped are those with bytecode, which was compiled by then."""
    if result.case.contender == "shipped":
        result = run.find("tutorial", result.case.family, result.case.vcpus) or result
    return result.at(1)


def bills(run: Run) -> list[tuple[Result, Bill]]:
    """The bill of each contender that predicts the forest's row, at each share of a CPU."""
    found = []
    for result in run.results:
        warm = warm_of(run, result)
        if warm and result.case.family == "forest" and result.case.contender not in {"empty", "v2"}:
            memory = MEMORY[result.case.vcpus]
            cost = bill(billed=warm.billed, first=result.median, log_bytes=warm.log_bytes, memory=memory)
            found.append((result, cost))
    return found


def _bills(run: Run) -> Table:
    title = f"A million predictions of the forest, one row each: dollars, {REGION}, list prices of {AS_OF}"
    table = Table(title=title, title_justify="left")
    names = ("billed ms", "log bytes", "requests", "duration", f"cold, {COLD_SHARE:.0%}", "REST API", "logs", "total")
    for name in ("contender", "MB", *names):
        table.add_column(name, justify="left" if name == "contender" else "right")
    for result, cost in bills(run):
        warm = warm_of(run, result)
        figures = (cost.requests, cost.duration, cost.cold, cost.api, cost.logs, cost.total)
        measured = (f"{warm.billed:.2f}", f"{warm.log_bytes:,}") if warm else (ABSENT, ABSENT)
        memory = f"{MEMORY[result.case.vcpus]:,}"
        table.add_row(TITLES[result.case.contender], memory, *measured, *(f"{figure:.2f}" for figure in figures))
    return table


def _targets(run: Run) -> Table:
    table = Table("target", title=f"Targets, the forest at {FULL:g} vCPU", title_justify="left")
    for name in ("at most", "aim", "measured"):
        table.add_column(name, justify="right")
    table.add_column("")
    for v in verdicts(run):
        digits = 3 if v.unit == "×" or v.limit < 10 else 0
        colour, word = {True: ("green", "pass"), False: ("red", "FAIL"), None: ("yellow", "not measured")}[v.met]
        word += ", aim too" if v.value is not None and v.aim is not None and v.value <= v.aim else ""
        value = ABSENT if v.value is None else f"{v.value:.{digits}f} {v.unit}"
        aim = ABSENT if v.aim is None else f"{v.aim:g}"
        table.add_row(v.name, f"{v.limit:g} {v.unit}", aim, value, f"[{colour}]{word}")
    return table


def _notes(run: Run) -> str:
    lines = [
        "The tutorial answers with predictions alone; ours adds labels and probabilities, its log line and metrics.",
        f"* more than the {LIMIT:,} bytes that Lambda unzips: it could not be deployed as a zip.",
    ]
    if not run.quota:
        lines.insert(0, "[red]No CPU quota on this machine: these are figures of whole cores, not of Lambda's shares.")
    paces = run.machine.get("pace") or [1.0]
    if max(paces) > 1.2 * min(paces):
        lines.insert(0, f"[red]This machine's own pace varied {max(paces) / min(paces):.1f}-fold between the rounds.")
    busy = max(run.machine.get("busy") or [0.0])
    if busy > 0.05:
        lines.insert(0, f"[red]Other processes took up to {busy:.0%} of this machine's cores between the rounds.")
    return "\n".join(lines)
