"""The line of a call as CloudWatch reads it: who is to blame, what a cold start took, what it cost, and valid EMF."""

import subprocess
import sys
import time

import pytest

from handler import observe
from handler.observe import Call, Observer, is_fault, process_age
from handler.price import PER_GB_SECOND, MicroUsd
from handler.settings import Settings
from model import errors
from model.labels import Label
from model.registry import Refreshed
from tests.conftest import LogLines


@pytest.fixture
def observer() -> Observer:
    return Observer(Settings(store="file:///x", function="demo-ApiFunction-x", function_mb=1024))


@pytest.mark.parametrize(
    ("error", "status", "fault"),
    [
        ("InvalidRows", 400, False),
        ("InvalidRows", None, False),
        ("TooLarge", 413, False),
        ("UnknownModel", 404, False),
        ("JobRefused", None, False),
        ("Http404", 404, False),
        ("Http415", 415, False),
        ("Http503", 503, True),
        ("PredictionFailed", 400, True),  # the estimator raised, whatever the caller is told
        ("ArtifactUnavailable", 503, True),
        ("ArtifactCorrupt", None, True),
        ("DeliveryFailed", None, True),
        ("ZeroDivisionError", 500, True),
    ],
)
def test_who_is_to_blame(error: str, status: int | None, fault: bool, observer: Observer, log_lines: LogLines) -> None:
    call = Call("http", "id", error=error, status=status)
    assert is_fault(call) is fault
    observer.finish(call)
    (line,) = log_lines()
    assert (line["Errors"], line["Faults"]) == (1, int(fault))


def test_every_refusal_is_an_error_of_ours_by_name() -> None:
    assert all(hasattr(errors, name) for name in observe.REFUSALS)


def test_every_dimension_and_metric_that_is_announced_is_in_the_line(observer: Observer, log_lines: LogLines) -> None:
    """CloudWatch drops a line without a word if one is missing."""
    observer.ready()
    for call in (Call("http", "id"), Call("http", "id", model="iris", version="1.0.0", rows=2)):
        observer.finish(call)
    for line in log_lines():
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["function_name"], ["function_name", "model", "version"]]
        assert all(isinstance(line[name], str) and line[name] for names in directive["Dimensions"] for name in names)
        assert all(isinstance(line[metric["Name"]], int | float) for metric in directive["Metrics"])


def test_the_cold_start_is_in_the_first_line_and_in_its_price(observer: Observer, log_lines: LogLines) -> None:
    observer.ready()
    for _ in range(2):
        observer.finish(Call("http", "id"))
    cold, warm = log_lines()
    assert (cold["ColdStart"], warm["ColdStart"]) == (1, 0)
    assert cold["ColdStartTime"] > 0
    assert "ColdStartTime" not in warm
    rate = max(PER_GB_SECOND.values()) / 1000
    assert cold["PriceMicroUSD"] - warm["PriceMicroUSD"] <= rate * cold["ColdStartTime"] + rate
    assert cold["PriceMicroUSD"] > warm["PriceMicroUSD"] + 0.7 * rate * cold["ColdStartTime"]


def test_the_age_of_a_process_is_counted_from_its_start() -> None:
    code = "import time; time.sleep(0.2); from handler.observe import process_age; print(process_age())"
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 190 < float(done.stdout) <= (time.perf_counter() - before) * 1000 + 20
    assert process_age() is not None


def test_a_gigabyte_for_a_second_costs_the_list_price(monkeypatch: pytest.MonkeyPatch) -> None:
    price = MicroUsd(1024)
    assert price.of(999.5) == pytest.approx(price.of(999.0))  # each millisecond that has begun
    assert price.of(999.5) == pytest.approx(0.20 + 16.6667, rel=0.25)  # arm64 is a fifth less
    assert MicroUsd(0).of(1000) == 0


def test_outside_lambda_the_line_is_still_whole(log_lines: LogLines) -> None:
    Observer(Settings.from_env({})).finish(Call("http", "id"))
    (line,) = log_lines()
    assert (line["function_name"], line["PriceMicroUSD"], line["model"], line["version"]) == (
        "local",
        0,
        "none",
        "none",
    )


def test_a_degraded_model_is_counted_by_every_dimension_that_is_announced(log_lines: LogLines) -> None:
    """DegradedAlarm looks by function alone; without `version` in it CloudWatch would drop the line."""
    fault: dict[Label, errors.ArtifactError] = {"live": errors.ArtifactCorrupt("altered")}
    for settings in (Settings.from_env({}), Settings(store="file:///x", function="demo-ApiFunction-x")):
        Observer(settings).refreshed(Refreshed("iris", 0.01, {}, fault, "1.0.0"))
    for line, function in zip(log_lines(), ("local", "demo-ApiFunction-x"), strict=True):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Dimensions"] == [["function_name"], ["function_name", "model", "version"]]
        assert (line["function_name"], line["model"], line["version"]) == (function, "iris", "1.0.0")
        assert (line["Degraded"], line["Swaps"]) == (1, 0)
        assert [metric["Name"] for metric in directive["Metrics"]] == ["Swaps", "Degraded"]
