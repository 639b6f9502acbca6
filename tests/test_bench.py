"""The benchmark: its arithmetic, its tables, and one small run of it through the emulator."""

import io
import json
import math
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import measure, plan, prices, report, startup, targets
from bench.__main__ import run_round
from bench.figures import Case, Result, Run, Source, Warm, document, parse, percentile
from bench.lineup import Lineup, Request, _event
from bench.trees import Trees
from infra.emulator import EmulatorUnavailable, emulator
from tests.conftest import ROOT


def warm(rows: int = 1, *, outside: float = 1.0, own: float = 0.2) -> Warm:
    return Warm(rows, 100, outside, outside * 2, own, own * 2, math.ceil(outside), 1_000, 50_000_000)


def result(contender: str, first: float, family: str = "forest", source: Source = "bundle", own: float = 0.2) -> Result:
    calls = (warm(outside=0.6 + own, own=own), warm(plan.MANY, outside=9.0, own=8.0))
    return Result(Case(contender, family, 1.0, source), (first, first + 2, first + 1), calls, 1_000_000)


RUN = Run(
    [
        result("shipped", 5000),
        result("tutorial", 1500, own=5.0),
        result("joblib", 1200, own=4.0),
        result("onnx", 200),
        Result(Case("card", "forest", 1.0), (350.0, 360.0)),
        result("v2", 210, own=0.25),
        result("floor", 80, own=0.05),
        result("empty", 30, own=0.001),
        result("onnx", 300, "larger"),
        result("onnx", 350, "larger", "s3"),
    ],
    quota=True,
    machine={"busy": [0.01], "cores": 2},
)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([3.0], 0.5, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 102)), 0.99, 100),
        ([1.0, 2.0], 0.0, 1.0),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_bill_adds_up_to_the_price_lists() -> None:
    cost = prices.bill(billed=1.0, first=1000.0, log_bytes=1000, memory=1024)
    # A million calls of a millisecond in 1 GB are 1,000 GB-seconds; one in a hundred takes a second instead.
    assert cost.duration == pytest.approx(0.99 * 1000 * prices.LAMBDA_GB_SECOND)
    assert cost.cold == pytest.approx(10_000 * prices.LAMBDA_GB_SECOND)
    assert (cost.requests, cost.api, cost.logs) == pytest.approx((0.20, 3.50, 0.50))
    assert cost.total == pytest.approx(cost.requests + cost.duration + cost.cold + cost.api + cost.logs)


def test_every_share_of_a_cpu_that_is_measured_has_its_memory() -> None:
    assert {step.case.vcpus for steps in plan.plan() for step in steps} == set(prices.MEMORY)


def test_warm_calls_are_told_less_the_empty_handlers() -> None:
    ours = RUN.find("onnx", "forest", 1.0)
    assert ours
    assert RUN.less_empty(ours, 1) == pytest.approx((0.199, 0.398))
    assert RUN.less_empty(ours, 77) is None


def test_targets_are_ratios_of_medians_within_the_run() -> None:
    found = {verdict.name: verdict for verdict in targets.verdicts(RUN)}
    assert all(verdict.met for verdict in found.values())
    values = [verdict.value for verdict in found.values()]
    assert values == pytest.approx([201 / 1501, 201 / 5001, 201 / 81, 0.2, 0.4, 211 / 1501, 0.25, 1201 / 1501, 50.0])


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {verdict.met for verdict in targets.verdicts(Run([], quota=True))} == {None}


def test_the_plan_measures_what_the_targets_compare() -> None:
    for quick in (False, True):
        planned = plan.plan(quick=quick)
        full = Run([Result(s.case, (1.0,), tuple(warm(r) for r in s.warm)) for r in planned for s in r], quota=True)
        assert None not in {verdict.met for verdict in targets.verdicts(full)}


def test_the_plan_starts_every_process_at_least_once() -> None:
    assert all(step.first >= 1 for quick in (False, True) for steps in plan.plan(1, quick=quick) for step in steps)


def test_the_plan_fits_into_the_time_that_it_is_given() -> None:
    assert sum(map(plan.seconds, plan.plan())) < 600
    assert sum(map(plan.seconds, plan.plan(quick=True))) < 120


def test_the_document_holds_every_figure_and_is_json() -> None:
    plain = json.loads(json.dumps(document(RUN)))
    assert plain["results"][3]["case"] == {"contender": "onnx", "family": "forest", "vcpus": 1.0, "source": "bundle"}
    assert plain["results"][3]["first_median"] == 201
    assert plain["results"][3]["first_min"] == 200
    assert plain["results"][3]["warm"][0]["own_p50"] == 0.2
    assert document(parse(json.dumps(plain).encode())) == plain


def rendered(run: Run) -> str:
    report.show(run, Console(file=(output := io.StringIO()), width=160))
    return output.getvalue()


def test_the_tables_say_what_was_measured() -> None:
    text = rendered(RUN)
    assert "ours, compiled, from S3" in text
    assert "FAIL" not in text
    assert text.count("pass") == len(targets.TARGETS)
    (cells,) = [report.row(RUN, r) for r in RUN.results if r.case == Case("floor", "forest", 1.0)]
    assert cells == [
        "tuned floor, no framework",
        "81",
        "80",
        "3",
        "0.05",
        "0.10",
        "0.050",
        "0.100",
        "0.0",
        "8.0",
        "50",
        "1",
    ]
    assert {len(report.row(RUN, r)) for r in (*RUN.results, Result(Case("onnx", "forest", 1.0), (1.0,)))} == {12}


def test_the_tables_confess_a_missing_quota_and_a_busy_machine() -> None:
    text = rendered(Run(RUN.results, quota=False, machine={"busy": [0.0, 0.4]}))
    assert "No CPU quota" in text
    assert "up to 40%" in text


def test_the_bill_of_the_tutorial_as_shipped_is_warm_as_with_bytecode() -> None:
    costs = {entry.case.contender: cost for entry, cost in report.bills(RUN)}
    assert costs.keys() == {"shipped", "tutorial", "joblib", "onnx", "floor"}
    assert costs["shipped"].duration == costs["tutorial"].duration
    assert costs["shipped"].cold > costs["tutorial"].cold


def test_the_emulators_own_lines_reach_no_bill() -> None:
    assert measure.log_bytes('21 Nov (rapid) INVOKE START\n{"a": 1}\n\nEND RequestId: 1\n') == 9 + 17


@pytest.fixture
def lineup(packed: Path, tmp_path: Path) -> Lineup:
    """Every contender over this environment's packages instead of built ones: quick to have, slower to start."""
    try:
        emulator()
    except EmulatorUnavailable as reason:
        pytest.skip(str(reason))
    (site,) = [path for path in map(Path, sys.path) if path.name == "site-packages" and path.is_relative_to(sys.prefix)]
    code, layer, timed, models = (tmp_path / name for name in ("code", "layer", "timed", "models"))
    for folder in (code, layer, timed / "python", models / "iris"):
        folder.mkdir(parents=True)
    for package in ("handler", "model"):
        (code / package).symlink_to(ROOT / package)
    (layer / "python").symlink_to(site)
    shutil.copy(ROOT / "bench" / "contenders" / "timed.py", timed / "python")
    shutil.copytree(packed / "iris", models / "iris" / "store" / "iris")
    rows = [[6.1, 2.8, 4.7, 1.2], [5.1, 3.5, 1.4, 0.2], [7.7, 3.0, 6.1, 2.3]]
    asked = {str(n): {"body": json.dumps({"instances": rows[:n]}), "predictions": [1, 0, 2][:n]} for n in (1, 3)}
    (models / "iris" / "requests.json").write_text(json.dumps(asked))
    layers = dict.fromkeys(("tutorial", "onnx", "joblib", "floor"), layer) | {"timed": timed}
    return Lineup(Trees(code, layers, models), scratch=tmp_path)


def test_a_small_run_measures_every_contender(lineup: Lineup) -> None:
    names = ("tutorial", "onnx", "card", "v2", "floor", "empty")
    warm = {1: 10, 3: 10}
    steps = tuple(plan.Step(Case(name, "iris", 1.0), 1, {} if name == "card" else warm) for name in names)
    (tutorial, onnx, card, v2, floor, empty) = results = run_round(
        lineup, steps, Console(file=io.StringIO()), quota=False
    )
    assert [r.case.contender for r in results] == list(names)
    assert empty.median < floor.median < tutorial.median
    assert onnx.median < card.median  # FastAPI, at the first call that needs it
    assert not card.warm
    for found in (tutorial, onnx, v2, floor, empty):
        one, many = found.at(1), found.at(3)
        assert one
        assert many
        assert (one.calls, many.calls) == (10, 10)
        assert one.own_p50 < one.outside_p50
        assert one.billed >= 1
    ours = onnx.at(1)
    assert ours
    assert ours.log_bytes > 300
    assert "ours, compiled" in rendered(Run(results, quota=False))


def test_a_wrong_answer_is_no_measurement(lineup: Lineup) -> None:
    wrong = Request(_event(json.dumps({"instances": [[6.1, 2.8, 4.7, 1.2]]})), [2])
    with pytest.raises(measure.WrongAnswer, match="floor"):
        measure.first(lineup.function(Case("floor", "iris", 1.0)), wrong, None)


def test_the_import_report_is_added_up_by_package() -> None:
    report = """import time: self [us] | cumulative | imported package
import time:      1500 |       1500 |     numpy._core
import time:       500 |       2000 |   numpy
import time:       250 |        250 |   json.decoder
import time:      4000 |       9000 | handler.on_http
import time:       100 |        100 |   model.rows
"""
    found = startup.parts(report)
    assert found == {"numpy": 2.0, "the standard library": 0.25, startup.LOAD: 4.0, "our own modules": 0.1}
