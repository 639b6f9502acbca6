"""The page as people meet it: Chromium against the running service, both examples, mouse, keyboard and phone."""

import contextlib
import csv
import io
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import joblib
import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, Route, expect
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from model.codec import csv_rows, json_rows
from model.errors import InvalidRows
from model.manifest import Feature, digest
from model.pack import pack
from model.rows import RowSchema
from model.source import read_source
from model.store import Store
from tests.chromium import PATH, chromium
from tests.conftest import ROOT
from tests.test_clients import KEY
from tests.test_local_service import running

pytestmark = pytest.mark.skipif(not PATH.exists(), reason=f"no browser at {PATH}: apt install chromium")

Visit = Callable[..., Page]
DESKTOP = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def url(packed: Path) -> Iterator[str]:
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris") as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    """Return what opens the page; at the end nothing was asked of another host, and the console said nothing.

    `errors` are the statuses that a test provokes: the browser says each in the console.
    """
    with contextlib.ExitStack() as opened:
        noise: list[str] = []
        elsewhere: list[str] = []
        allowed: list[str] = []
        hosts: set[str] = set()

        def opener(
            path: str = "/#iris",
            *,
            errors: tuple[int, ...] = (),
            before: Callable[[Page], None] | None = None,
            at: str = url,
            **options: Any,
        ) -> Page:
            context = browser.new_context(**options)
            opened.callback(context.close)
            context.set_default_timeout(10_000)
            page = context.new_page()
            allowed.extend(f"status of {status} " for status in errors)
            page.on("console", lambda message: noise.append(message.text))
            page.on("pageerror", lambda error: noise.append(str(error)))
            page.on("request", lambda request: elsewhere.append(request.url))
            if before:
                before(page)
            hosts.add(at)
            page.goto(at + path)
            return page

        yield opener
    assert [text for text in noise if not any(status in text for status in allowed)] == []
    own = tuple(f"{scheme}{host}/" for host in hosts for scheme in ("", "blob:"))
    assert [found for found in elsewhere if not found.startswith((*own, "data:image/svg+xml"))] == []


def ready(page: Page) -> Page:
    """Wait for the first answer and its curve."""
    page.locator("#curve .point").first.wait_for()
    return page


def ask(url: str, model: str, row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.post(f"{url}/models/{model}/predict", json={"features": row}).json()
    return found


def card(url: str, model: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{url}/models/{model}").json()["card"]
    return found


def example(url: str, model: str) -> dict[str, Any]:
    return {feature["name"]: feature["example"] for feature in card(url, model)["features"]}


def answered(page: Page, act: Callable[[], Any]) -> dict[str, Any]:
    """Do something, and return the single row that the page then asked about."""
    with page.expect_request(
        lambda request: request.url.endswith("/predict") and '"features"' in (request.post_data or "")
    ) as asked:
        act()
    row: dict[str, Any] = json.loads(asked.value.post_data or "")["features"]
    return row


# --- both examples


def test_iris_reads_as_three_species_with_centimetres(visit: Visit, url: str) -> None:
    page = ready(visit("/"))  # the default model
    expect(page.get_by_role("heading", level=1)).to_have_text("Iris")
    expect(page.locator(".field .unit")).to_have_text(["cm"] * 4)
    assert [box.input_value() for box in page.locator(".field input[type=text]").all()] == ["5.75", "3", "4.25", "1.3"]
    expected = ask(url, "iris", example(url, "iris"))
    expect(page.locator(".value strong")).to_have_text(expected["label"])
    expect(page.locator(".bars dt")).to_have_text(["setosa", "versicolor", "virginica"])
    expect(page.locator(".bars .figure")).to_have_text([f"{100 * p:.0f} %" for p in expected["probabilities"].values()])
    expect(page.locator("#meta")).to_have_text(re.compile(r"[\d.]+ ms · iris 1\.0\.0"))
    expect(page.locator("#version")).to_have_text("1.0.0 · live")


def test_babies_reads_as_ounces_with_days_inches_pounds_and_a_switch(visit: Visit, url: str) -> None:
    page = ready(visit("/#babies"))
    expect(page.locator(".field .unit")).to_have_text(["days", "years", "inches", "pounds"])
    expected = ask(url, "babies", example(url, "babies"))
    expect(page.locator(".value")).to_have_text(f"{expected['prediction']:.1f}oz")
    expect(page.locator(".also")).to_have_text(f"{expected['conversions']['g']:,.0f} g")
    smoke = page.get_by_role("group", name="Smoke")
    assert smoke.get_by_role("radio").count() == 3
    row = answered(page, lambda: smoke.get_by_label("yes").check())
    assert row == example(url, "babies") | {"smoke": 1}
    expect(page.locator(".value strong")).to_have_text(f"{ask(url, 'babies', row)['prediction']:.1f}")
    assert answered(page, lambda: smoke.get_by_label("unknown").check())["smoke"] is None


def test_the_card_tells_what_the_manifest_tells(visit: Visit, url: str) -> None:
    page = ready(visit("/#babies"))
    found = card(url, "babies")
    text = page.locator("#card").inner_text()
    for part in (
        "SimpleImputer → LinearRegression",
        "1,001 of 1,236",
        "ONNX",
        "20,000 rows",
        "R²",
        "0.337",
        "gestation",
        "1 yes",
    ):
        assert part in text
    page.get_by_text("Digests").click()
    digests = page.locator(".digests").inner_text()
    assert all(digest in digests for digest in [*found["digests"].values(), found["data"]["digest"]])


def test_models_are_switched_and_the_address_follows(visit: Visit) -> None:
    page = ready(visit("/#iris"))
    page.locator("#model").select_option("babies")
    expect(page.get_by_role("heading", level=1)).to_have_text("Babies")
    assert page.url.endswith("#babies/1.0.0")
    expect(page.locator(".value .unit")).to_have_text("oz")


def test_of_two_models_the_one_chosen_last_is_shown(visit: Visit) -> None:
    """The card of the first comes after that of the second."""
    held: list[Route] = []
    babies = "**/models/babies/versions/*"

    def hold(route: Route) -> None:
        held.append(route)

    page = ready(visit("/#iris", before=lambda page: page.route(babies, hold)))
    page.locator("#model").select_option("babies")
    page.wait_for_timeout(100)
    page.locator("#model").select_option("iris")
    page.wait_for_timeout(300)
    with page.expect_response(babies):
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.get_by_role("heading", level=1)).to_have_text("Iris")
    expect(page.locator("#model")).to_have_value("iris")


def test_a_model_that_cannot_be_opened_leaves_the_one_that_is_shown(visit: Visit) -> None:
    down = {"status": 500, "detail": "the manifest cannot be read"}
    page = ready(
        visit(
            "/#iris",
            errors=(500,),
            before=lambda page: page.route(
                "**/models/babies/versions/*", lambda route: route.fulfill(status=500, json=down)
            ),
        )
    )
    page.locator("#model").select_option("babies")
    expect(page.locator("#caution")).to_have_text("the manifest cannot be read")
    expect(page.locator("#model")).to_have_value("iris")
    expect(page.locator("#version")).to_have_value("1.0.0")


def test_a_link_carries_the_inputs_to_a_colleague(visit: Visit, url: str) -> None:
    page = ready(visit("/#babies", permissions=["clipboard-read", "clipboard-write"]))
    page.locator("[data-feature=gestation] input[type=text]").fill("301")
    page.locator("[data-feature=age] .unknown input").check()
    page.get_by_role("button", name="Copy link").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{url}/#babies/1.0.0?")
    other = visit("/" + link.removeprefix(f"{url}/"))
    row = answered(other, other.reload)
    assert row == example(url, "babies") | {"gestation": 301, "age": None}


# --- the form


def test_the_answer_follows_what_is_typed_in_one_request(visit: Visit, url: str) -> None:
    page = ready(visit())
    asked: list[str] = []
    page.on(
        "request",
        lambda request: asked.append(request.post_data or "") if '"features"' in (request.post_data or "") else None,
    )
    box = page.locator("[data-feature=petal_length] input[type=text]")
    box.fill("")
    box.press_sequentially("6.25", delay=10)
    expect(page.locator(".value strong")).to_have_text("virginica")
    assert [json.loads(body)["features"]["petal_length"] for body in asked] == [6.25]
    row = example(url, "iris") | {"petal_length": 6.25}
    expected = ask(url, "iris", row)
    expect(page.locator(".best .figure")).to_have_text(f"{100 * expected['probabilities']['virginica']:.0f} %")
    expect(page.locator("#live")).to_have_text(re.compile("^Prediction: virginica, [0-9]+ %$"))
    page.get_by_role("button", name="Example values").click()
    expect(page.locator(".value strong")).to_have_text("versicolor")


def test_a_value_outside_the_seen_range_is_marked_as_extrapolation(visit: Visit) -> None:
    page = ready(visit("/#babies"))
    page.locator("[data-feature=gestation] input[type=text]").fill("400")
    expect(page.locator("[data-feature=gestation] .hint")).to_have_text(
        "outside 234 – 318, seen in training: extrapolation"
    )
    expect(page.locator("#caution")).to_have_text("Extrapolation: gestation is outside what the model has seen.")
    expect(page.locator("#curve .beyond")).to_have_count(1)
    page.locator("[data-feature=gestation] input[type=text]").fill("300")
    expect(page.locator("#caution")).to_be_empty()


def test_an_unknown_is_a_null(visit: Visit, url: str) -> None:
    page = ready(visit("/#babies"))
    field = page.locator("[data-feature=gestation]")
    row = answered(page, lambda: field.get_by_role("checkbox").check())
    assert row == example(url, "babies") | {"gestation": None}
    expect(field.locator("input[type=text]")).to_be_disabled()
    expect(page.locator(".value strong")).to_have_text(f"{ask(url, 'babies', row)['prediction']:.1f}")
    assert answered(page, lambda: field.get_by_role("checkbox").uncheck())["gestation"] == 280


@pytest.mark.parametrize("typed", ["abc", "", "1e39", "nan", "1_0"])
def test_what_cannot_be_sent_is_said_at_the_field_and_not_sent(visit: Visit, typed: str) -> None:
    page = ready(visit())
    sent: list[dict[str, Any]] = []
    page.on("request", lambda request: sent.append(json.loads(request.post_data or "{}")))
    box = page.locator("[data-feature=sepal_width] input[type=text]")
    box.fill(typed)
    expect(page.locator("[data-feature=sepal_width] .hint")).to_have_text(re.compile("^expected a "))
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#answer")).to_have_class(re.compile("stale"))
    page.wait_for_timeout(500)
    # The curve of the row before may still be on its way; what was typed never is.
    assert not [body for body in sent if "features" in body]
    assert all(2 <= row["sepal_width"] <= 5 for body in sent for row in body["instances"])


def test_the_servers_own_refusal_lands_at_the_field_it_names(visit: Visit) -> None:
    """The page would not send it, so the request is spoilt on its way; the problem document is the service's own."""

    def spoil(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        if "features" in body and body["features"]["sepal_width"] == 4:
            body["features"] |= {"sepal_width": "x"}
        route.continue_(post_data=json.dumps(body))

    page = ready(visit(errors=(400,), before=lambda page: page.route("**/predict", spoil)))
    page.locator("[data-feature=sepal_width] input[type=text]").fill("4")
    expect(page.locator("[data-feature=sepal_width] .hint")).to_have_text("expected a number, got a string")
    expect(page.locator("#caution")).to_contain_text("the input does not fit the model's features")


# --- the curve


def test_a_curve_is_one_batched_request_with_a_line_a_class(visit: Visit, url: str) -> None:
    page = ready(visit())
    expect(page.locator("#curve path.line")).to_have_count(3)
    expect(page.locator("#curve .legend li")).to_have_text(["setosa", "versicolor", "virginica"])
    with page.expect_request(lambda request: '"instances"' in (request.post_data or "")) as asked:
        page.locator("#curve-feature").select_option("petal_width")
    rows = json.loads(asked.value.post_data or "")["instances"]
    held = {name: value for name, value in example(url, "iris").items() if name != "petal_width"}
    assert all({k: row[k] for k in held} == held for row in rows)
    seen = [row["petal_width"] for row in rows]
    assert (len(rows), seen[0], seen[-1]) == (61, 0.1, 2.5)
    expect(page.locator("#curve svg")).to_have_attribute(
        "aria-label", re.compile("^As Petal width goes from 0.1 to 2.5: setosa goes from")
    )
    expect(page.locator("#curve .point")).to_have_count(3)


def test_the_marked_point_lies_on_its_curve_and_moves_without_a_request(visit: Visit) -> None:
    page = ready(visit("/#babies"))
    page.locator("#curve-feature").select_option("gestation")
    page.wait_for_timeout(600)
    many: list[Request] = []
    page.on("request", lambda request: many.append(request) if '"instances"' in (request.post_data or "") else None)
    before = page.locator("#curve .point").bounding_box()
    page.locator("[data-feature=gestation] input[type=text]").fill("240")
    expect(page.locator(".value strong")).not_to_have_text("123.3")
    page.wait_for_timeout(600)
    after = page.locator("#curve .point").bounding_box()
    assert before
    assert after
    assert after["x"] < before["x"] - 50
    assert many == []
    distance = page.evaluate(
        """() => {
          const path = document.querySelector("#curve path.line"), point = document.querySelector("#curve .point");
          const at = [point.cx.baseVal.value, point.cy.baseVal.value], all = path.getTotalLength();
          return Math.min(...Array.from({length: 500}, (_, i) => path.getPointAtLength(i / 499 * all))
            .map((p) => Math.hypot(p.x - at[0], p.y - at[1])));
        }"""
    )
    assert distance < 1.5


def test_of_two_curves_the_one_asked_for_last_is_drawn(visit: Visit) -> None:
    """The first answer comes after the second: it is of a feature that nobody looks at any more."""

    def slow(route: Route) -> None:
        rows = json.loads(route.request.post_data or "{}").get("instances", [])
        if len(rows) == 61 and rows[0]["sepal_width"] != rows[-1]["sepal_width"]:
            held.append(route)
        else:
            route.continue_()

    held: list[Route] = []
    page = ready(visit(before=lambda page: page.route("**/predict?*", slow)))
    page.wait_for_timeout(800)  # the curves of the beginning would draw the right one over the wrong one
    page.locator("#curve-feature").select_option("sepal_width")
    page.wait_for_timeout(100)
    page.locator("#curve-feature").select_option("sepal_length")
    expect(page.locator("#curve svg")).to_have_attribute("aria-label", re.compile("^As Sepal length goes"))
    with page.expect_response(lambda response: response.url.endswith("/predict?record=false")):
        held[0].continue_()
    page.wait_for_timeout(400)
    expect(page.locator("#curve svg")).to_have_attribute("aria-label", re.compile("^As Sepal length goes"))
    expect(page.locator("#curve svg text").last).to_have_text("Sepal length, cm")


def test_a_curve_has_no_more_points_than_a_request_may_have_rows(visit: Visit, packed: Path) -> None:
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris", MODEL_MAX_ROWS="20") as small:
        page = visit("/", at=small)
        sizes: list[int] = []
        page.on(
            "request", lambda request: sizes.append(len(json.loads(request.post_data or "{}").get("instances", [])))
        )
        ready(page)
        page.locator("#curve-feature").select_option("petal_width")
        expect(page.locator("#curve svg")).to_have_attribute("aria-label", re.compile("^As Petal width goes"))
        assert max(sizes) == 20
        drop(page, ",".join(card_names(small, "iris")) + "\n" + "6,3,4,1\n" * 50)
        expect(page.locator(".summary p")).to_have_text("50 of 50 rows scored")
        assert sizes[-3:] == [20, 20, 10]


def test_a_choice_has_a_point_for_each_of_its_values(visit: Visit) -> None:
    page = ready(visit("/#babies"))
    page.locator("#curve-feature").select_option("smoke")
    expect(page.locator("#curve .dot")).to_have_count(2)
    expect(page.locator("#curve .tick").filter(has_text=re.compile("^(no|yes)$"))).to_have_count(2)


def test_the_curve_tells_its_figures_under_the_pointer(visit: Visit) -> None:
    page = ready(visit())
    page.locator("#curve svg").hover(position={"x": 60, "y": 100})
    expect(page.locator("#curve-said")).to_have_text(
        re.compile(r"^Petal \w+ [\d.]+ cm: setosa \d+ %, versicolor \d+ %")
    )


# --- many rows


def drop(page: Page, text: str, name: str = "rows.csv") -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})


def downloaded(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as found:
        page.get_by_role("button", name="Download CSV").click()
    return list(csv.DictReader(io.StringIO(found.value.path().read_text(), newline="")))


def test_a_file_is_scored_with_its_bad_rows_explained_in_their_place(visit: Visit, url: str) -> None:
    page = ready(visit("/#babies"))
    lines = (ROOT / "data" / "babies.csv").read_text().splitlines()[:41]
    lines[3] = "3,128,279x,0,28,64,115,0.5"
    lines[6] += ",9"
    drop(page, "\r\n".join(lines))
    expect(page.locator(".summary p")).to_have_text("38 of 40 rows scored · 2 refused · not inputs: case, bwt")
    assert page.locator(".refused td.answer").all_inner_texts() == [
        "gestation: expected a number or null, got a string; smoke: expected an integer or null, got another value",
        "expected 8 cells, got 9",
    ]
    expect(page.locator(".refused td.bad")).to_have_text(["279x", "0.5"])
    expect(page.locator(".refused th")).to_have_text(["4", "7"])  # the file's own lines
    found = downloaded(page)
    good = [lines[0], *(line for i, line in enumerate(lines[1:], 1) if i not in {3, 6})]
    columns = "\n".join(",".join(line.split(",")[2:]) for line in good)
    expected = httpx2.post(f"{url}/models/babies/predict", content=columns, headers={"content-type": "text/csv"}).json()
    assert [float(row["prediction"]) for row in found if row["prediction"]] == pytest.approx(expected["predictions"])
    assert [row["case"] for row in found] == [str(i) for i in range(1, 41)]
    assert [row["error"] for row in found if row["error"]] == page.locator(".refused td.answer").all_inner_texts()
    heights = page.locator("#batch .column title").all_text_contents()
    assert sum(int(text.rpartition(": ")[2]) for text in heights) == 38
    page.get_by_label("only the refused").check()
    expect(page.locator(".result tbody tr")).to_have_count(2)


def test_many_rows_go_in_batches_with_progress(visit: Visit, url: str) -> None:
    page = ready(visit())
    sizes: list[int] = []
    page.on("request", lambda request: sizes.append(len(json.loads(request.post_data or "{}").get("instances", []))))
    seen = page.evaluate_handle(
        """() => {
          const seen = [];
          new MutationObserver(() => {
            const bar = document.querySelector("#batch progress");
            if (bar) seen.push(bar.value / bar.max);
          }).observe(document.querySelector("#batch"), {subtree: true, childList: true, attributes: true});
          return seen;
        }"""
    )
    rows = [f"{4 + i % 40 / 10},3.1,{1 + i % 57 / 10:.1f},{i % 25 / 10}" for i in range(2500)]
    drop(page, "sepal_length,sepal_width,petal_length,petal_width\n" + "\n".join(rows))
    expect(page.locator(".summary p")).to_have_text("2,500 of 2,500 rows scored")
    assert [size for size in sizes if size > 100] == [1000, 1000, 500]
    assert {0.4, 0.8, 1} <= set(seen.json_value())
    found = downloaded(page)
    last = dict(zip(card_names(url, "iris"), map(float, rows[-1].split(",")), strict=True))
    assert found[-1]["label"] == ask(url, "iris", last)["label"]
    expect(page.locator("#batch .column")).to_have_count(3)


def card_names(url: str, model: str) -> list[str]:
    return [feature["name"] for feature in card(url, model)["features"]]


def test_figures_stand_in_columns_and_a_histogram_takes_any_number_of_them(visit: Visit) -> None:
    page = ready(visit("/#babies"))
    drop(page, "\n".join((ROOT / "data" / "babies.csv").read_text().splitlines()[:60]))
    expect(page.locator(".result thead th.right")).to_have_text(
        ["case", "bwt", "gestation", "parity", "age", "height", "weight", "smoke", "prediction, oz", "g"]
    )
    shown = page.locator(".result tbody td.answer:nth-last-child(2)").all_inner_texts()
    assert all(re.fullmatch(r"\d+\.\d", text) for text in shown)
    assert any(text.endswith(".0") for text in shown)
    expect(page.locator("#batch svg text").last).to_have_text("prediction, oz")
    found = page.evaluate(
        """async () => {
          const { bins } = await import('./page/0/charts.js');
          const { aligned } = await import('./page/0/features.js');
          const many = bins(Array.from({length: 400_000}, (_, i) => i % 100));
          const write = aligned([1.5, 0, 2, 300, 0.00001]);
          return [many.reduce((sum, bin) => sum + bin.count, 0), [1.5, 0, 2, 300, 0.00001].map(write)];
        }"""
    )
    assert found == [400_000, ["1.500", "0.000", "2.000", "300.000", "1e-5"]]


def test_rows_are_pasted_from_a_spreadsheet_without_a_header(visit: Visit) -> None:
    page = ready(visit())
    page.get_by_text("Paste rows instead").click()
    page.get_by_label("Rows to score").fill("6.1\t2.8\t4.7\t1.2\n5.1\t3.5\t1.4\t0.2\n")
    page.get_by_role("button", name="Score the rows").click()
    expect(page.locator(".summary p")).to_have_text(
        "2 of 2 rows scored · no header: columns taken in the order of the inputs"
    )
    expect(page.locator(".result tbody td.answer:nth-child(6)")).to_have_text(["versicolor", "setosa"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is nothing in it"),
        ("sepal_length,sepal_width,petal_length\n1,2,3\n", "missing column: petal_width"),
        ('sepal_length,sepal_width,petal_length,petal_width\n1,2,3,"4\n', "line 2: a quote is not closed"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(visit: Visit, text: str, said: str) -> None:
    page = ready(visit())
    drop(page, text)
    expect(page.locator("#batch").get_by_role("alert")).to_have_text(said)


def test_rows_that_only_the_server_refuses_are_explained_and_the_others_scored(visit: Visit) -> None:
    def spoil(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        for row in body.get("instances", []):
            if row["petal_width"] == 2.25:
                row["petal_width"] = "x"
        route.continue_(post_data=json.dumps(body))

    page = ready(visit(errors=(400,), before=lambda page: page.route("**/predict", spoil)))
    drop(page, "sepal_length,sepal_width,petal_length,petal_width\n6,3,4,1\n6,3,4,2.25\n5,3,1,0.2\n")
    expect(page.locator(".summary p")).to_have_text("2 of 3 rows scored · 1 refused")
    expect(page.locator(".refused td.answer")).to_have_text("petal_width: expected a number, got a string")


# fmt: off
TEXTS = [
    "a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\r1,2", "a,b\n\n1,2\n\n", '"a","b"\n"x,y","z\nw"\n', 'a\n""\n', ",\n,,\n",
    'a,b\n"q""q",\n', "\ufeffa\n1", 'a"b,c\n', "a\n \n", '"a\r\nb"\r\nc', "", "\n\n", '"",""\n', "a,b", 'x,"y"\nz',
    "a,\n", '"a"b\n', 'a\n"b', '"a" ,b\n',
]
# fmt: on


def test_the_browsers_csv_reader_is_pythons(visit: Visit) -> None:
    script = """async (texts) => {
      const { parse } = await import('./page/0/csv.js');
      return texts.map((text) => { try { return parse(text).map((row) => row.cells); } catch { return null; } });
    }"""
    found = visit().evaluate(script, TEXTS)
    for text, cells in zip(TEXTS, found, strict=True):
        assert cells == read_by_python(text.removeprefix("\ufeff")), text


def read_by_python(text: str) -> list[list[str]] | None:
    try:
        return [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error:
        return None


# fmt: off
FEATURES = [
    Feature("number", "number"), Feature("nullable", "number", nullable=True), Feature("integer", "integer"),
    Feature("boolean", "boolean", nullable=True), Feature("flag", "boolean"), Feature("text", "text"),
    Feature("town", "category", categories=("Bern", "Rome")), Feature("grade", "category", categories=(1, 2, 3)),
    Feature("open", "category", categories=("Bern",), open=True, nullable=True), Feature("none", "category"),
    Feature("either", "category", categories=(True, False)), Feature("empty", "category", categories=()),
    Feature("many", "category", categories=tuple(f"c{i}" for i in range(25))),
]
CELLS = [
    "", " ", "NA", "1", " 2 ", "1.0", "-1.5e3", "+.5", "5.", "1e39", "-1e400", "nan", "Infinity", "-inf", "1_000",
    "0x10", "1,5", "one", "true", "False", " TRUE ", "yes", "Bern", "bern", "Paris", "3", "4", "c24", "constructor",
    "3.4e38", "1e-320", "３", "٣",
]
# fmt: on


def test_the_browser_refuses_a_cell_when_the_service_does_and_in_its_words(visit: Visit) -> None:
    page = visit()
    script = """async ([features, cells]) => {
      const { read, fault } = await import('./page/0/features.js');
      return features.map((feature) => cells.map((cell) => fault(read(cell, feature), feature)));
    }"""
    described = [json.loads(json_rows.encode(feature)) for feature in FEATURES]
    found = page.evaluate(script, [described, CELLS])
    for (i, feature), (k, cell) in itertools.product(enumerate(FEATURES), enumerate(CELLS)):
        body = io.StringIO()
        csv.writer(body).writerows([[feature.name], [cell]])
        if not cell:
            body.write('""\r\n')
        try:
            csv_rows.decode(body.getvalue().encode(), RowSchema([feature]))
            expected = None
        except InvalidRows as error:
            expected = error.faults[0].detail
        assert found[i][k] == expected, (feature.name, cell)


# --- take it with you


def snippet(page: Page, language: str) -> str:
    page.get_by_role("tab", name=language).click()
    return page.locator("#snippet").inner_text()


@pytest.mark.parametrize("model", ["iris", "babies"])
def test_the_snippets_answer_what_the_page_answers(visit: Visit, url: str, model: str) -> None:
    page = ready(visit(f"/#{model}"))
    if model == "babies":
        answered(page, lambda: page.locator("[data-feature=age] .unknown input").check())
    expected = ask(url, model, json.loads(row_of(snippet(page, "curl"))))
    curl = subprocess.run(["bash", "-c", snippet(page, "curl")], capture_output=True, text=True, check=True).stdout
    python = subprocess.run(
        [sys.executable, "-c", snippet(page, "Python")], capture_output=True, text=True, check=True
    ).stdout
    script = snippet(page, "JavaScript").replace("console.log(await response.json());", "return await response.json();")
    found = [json.loads(curl), eval(python, {}), page.evaluate(f"async () => {{ {script} }}")]
    assert [answer["prediction"] for answer in found] == [expected["prediction"]] * 3
    power = snippet(page, "PowerShell")
    assert f"-Uri '{url}/models/{model}/predict'" in power
    assert json.loads(power.split("'")[1]) == {"features": json.loads(row_of(snippet(page, "curl")))}
    expect(page.locator(".value strong")).to_contain_text(str(expected.get("label", round(expected["prediction"], 1))))


def row_of(curl: str) -> str:
    found = re.search(r'"features": (\{.*\})\}', curl)
    assert found
    return found[1]


def test_quotes_and_letters_survive_every_language(visit: Visit, url: str) -> None:
    page = visit()
    body = {"features": {"it's": 'a "b" \\ $HOME `x` é 😀', "n": None, "t": True, "f": 2.5e-9}}
    script = """async ([url, body]) => {
      const { LANGUAGES } = await import('./page/0/snippets.js');
      return Object.fromEntries(Object.entries(LANGUAGES).map(([name, write]) => [name, write(url, body, false)]));
    }"""
    found = page.evaluate(script, [url, body])
    shell = found["curl"].replace("curl -s", "printf '%s\\n'")
    printed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout.splitlines()
    assert json.loads(printed[-1]) == body
    literal = re.search(r"json\.dumps\((.*)\)\.encode", found["Python"])
    assert literal
    assert eval(literal[1], {}) == body
    quoted = re.search(r"(?s)\$body = '(.*)'\nInvoke", found["PowerShell"])
    assert quoted
    assert re.fullmatch("(?:[^']|'')*", quoted[1])  # no quote that would end the string
    assert json.loads(quoted[1].replace("''", "'")) == body
    assert found["PowerShell"].isascii()


def test_a_snippet_is_copied(visit: Visit) -> None:
    page = ready(visit(permissions=["clipboard-read", "clipboard-write"]))
    shown = snippet(page, "Python")
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == shown


# --- key, feedback, cold, down


def test_a_key_is_asked_for_kept_in_the_tab_and_named_in_the_snippets(visit: Visit) -> None:
    sent: list[str | None] = []

    def guard(route: Route) -> None:
        key = route.request.headers.get("x-api-key")
        sent.append(key)
        if key == "s3cret":
            route.continue_()
        else:
            route.fulfill(status=403, json={"message": "Forbidden"})

    page = visit(errors=(403,), before=lambda page: page.route(re.compile(r"/models"), guard))
    expect(page.get_by_label("API key")).to_be_focused()
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-about")).to_have_text("This API key is not accepted.")
    page.get_by_label("API key").fill("s3cret")
    page.get_by_role("button", name="Use it").click()
    ready(page)
    expect(page.locator("#key")).to_be_hidden()
    assert page.evaluate("[Object.values(sessionStorage), localStorage.length, document.cookie]") == [["s3cret"], 0, ""]
    for language, name in {
        "curl": "$API_KEY",
        "Python": 'os.environ["API_KEY"]',
        "JavaScript": "API_KEY",
        "PowerShell": "$env:API_KEY",
    }.items():
        text = snippet(page, language)
        assert "x-api-key" in text
        assert name in text
        assert "s3cret" not in text
    assert "s3cret" not in page.content()


def test_the_local_key_opens_the_models_and_not_the_page(visit: Visit, packed: Path) -> None:
    """The service itself asks: the page comes without a key, its models and its answers do not."""
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris", MODEL_API_KEY=KEY) as guarded:
        page = visit("/", at=guarded, errors=(403,))
        expect(page.get_by_label("API key")).to_be_focused()
        expect(page.locator("#loading-text")).to_have_text("The endpoint asks for an API key.")
        page.keyboard.type(KEY)
        page.keyboard.press("Enter")
        ready(page)
        expect(page.locator("#model")).to_be_focused()
        call = subprocess.run(
            ["bash", "-c", snippet(page, "curl")], env={"API_KEY": KEY}, capture_output=True, text=True, check=True
        )
        assert json.loads(call.stdout)["label"] == page.locator(".value strong").inner_text()


REFUSED = {"content-type": "application/problem+json"}


def test_a_token_is_asked_for_where_tokens_count(visit: Visit) -> None:
    """What the gateway answers with AuthMode=Jwt: 401 and WWW-Authenticate."""

    def gateway(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer a.b.c":
            return route.continue_()
        assert "x-api-key" not in route.request.headers
        document = {"status": 401, "detail": "expected a valid token in Authorization", "error": "Unauthorized"}
        return route.fulfill(status=401, headers=REFUSED | {"www-authenticate": "Bearer"}, json=document)

    page = visit(errors=(401,), before=lambda page: page.route(re.compile(r"/models"), gateway))
    expect(page.get_by_label("Access token")).to_be_focused()
    page.get_by_label("Access token").fill("old")
    page.keyboard.press("Enter")
    expect(page.locator("#key-about")).to_have_text("This access token is not accepted.")
    page.get_by_label("Access token").fill("a.b.c")
    page.keyboard.press("Enter")
    ready(page)
    for language, part in {
        "curl": '-H "authorization: Bearer $TOKEN"',
        "Python": '"authorization": "Bearer " + os.environ["TOKEN"]',
        "JavaScript": '"authorization": "Bearer " + TOKEN',
        "PowerShell": "-Headers @{ 'authorization' = \"Bearer $env:TOKEN\" }",
    }.items():
        assert part in snippet(page, language)
    assert "a.b.c" not in page.content()


def test_where_requests_are_signed_the_page_says_that_it_cannot(visit: Visit) -> None:
    document = {"status": 403, "detail": "expected a signed request", "error": "MissingAuthenticationToken"}
    page = visit(
        errors=(403,),
        before=lambda page: page.route(
            re.compile(r"/models"), lambda route: route.fulfill(status=403, headers=REFUSED, json=document)
        ),
    )
    expect(page.locator("#loading-text")).to_contain_text("signed with AWS credentials")
    expect(page.locator("#key")).to_be_hidden()


@pytest.fixture(scope="module")
def listening(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A service that records its predictions and takes feedback: its URL, and its log."""
    log = tmp_path_factory.mktemp("listening") / "log"
    settings = {"MODEL_STORE": packed.as_uri(), "MODEL_RECORD_SHARE": "1", "MODEL_FEEDBACK": "on"}
    with running(log, MODEL_DEFAULT="iris", **settings) as found:
        yield found, log


def recorded(log: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("message") == kind]


@pytest.mark.parametrize(
    ("model", "given", "actual"), [("babies", "131.5", 131.5), ("babies", "1e2", 100), ("iris", "virginica", 2)]
)
def test_the_true_value_arrives_beside_the_prediction_that_it_is_of(
    visit: Visit, listening: tuple[str, Path], model: str, given: str, actual: Any
) -> None:
    """The page, the route, the log: what the page sends is what drift and accuracy are computed from."""
    url, log = listening
    page = ready(visit(f"/#{model}", at=url))
    before = len(recorded(log, "feedback"))
    first = page.locator(f"[data-feature={card_names(url, model)[0]}] input[type=text]")
    send_it = page.get_by_role("button", name="Send feedback")
    with page.expect_response(
        lambda response: response.url.endswith("/predict") and '"features"' in (response.request.post_data or "")
    ) as answer:
        first.fill("5" if model == "iris" else "290")
    expect(send_it).to_be_enabled()
    control = page.get_by_label("Know the true value?")
    if model == "iris":
        control.select_option(given)
    else:
        control.fill(given)
    send_it.click()
    expect(page.locator("#feedback-said")).to_have_text("Thank you, it is noted.")
    expect(control).to_have_value("")  # nothing stays to be sent for the next prediction
    expect(send_it).to_be_disabled()
    (record,) = recorded(log, "feedback")[before:]
    identifier = answer.value.json()["id"]
    assert (record["id"], record["actual"], record.get("row", 0)) == (identifier, actual, 0)
    assert [line["model"] for line in recorded(log, "prediction") if line["id"] == identifier] == [model]


def test_no_truth_is_sent_that_nobody_chose_or_for_other_inputs(visit: Visit, listening: tuple[str, Path]) -> None:
    url, log = listening
    page = ready(visit("/#iris", at=url))
    before = len(recorded(log, "feedback"))
    send_it = page.get_by_role("button", name="Send feedback")
    send_it.click()
    expect(page.locator("#feedback-said")).to_have_text("choose the true class")
    expect(page.get_by_label("Know the true value?")).to_be_focused()
    page.get_by_label("Know the true value?").select_option("setosa")
    page.evaluate(
        """() => {
          const box = document.querySelector(".field input[type=text]");
          box.value = "6.5";
          box.dispatchEvent(new Event("input"));
        }"""
    )
    assert send_it.is_disabled()  # until the answer for these inputs is there
    expect(send_it).to_be_enabled()
    page.locator("#model").select_option("babies")
    ready(page)
    for given in ("", "heavy", "nan", "1e39"):
        page.get_by_label("Know the true value?").fill(given)
        send_it.click()
        expect(page.locator("#feedback-said")).to_have_text("expected a number")
    assert len(recorded(log, "feedback")) == before


def feedback(page: Page, url: str, received: list[Any], status: int = 202) -> None:
    """A deployment that takes feedback, at the seam of its two routes."""

    def front(route: Route) -> None:
        if "application/json" not in route.request.headers["accept"]:
            return route.continue_()
        answer = route.fetch()
        return route.fulfill(response=answer, json=answer.json() | {"feedback": True})

    def take(route: Route) -> None:
        received.append(json.loads(route.request.post_data or ""))
        if status == 202:
            route.fulfill(status=202, body="")
        else:
            route.fulfill(
                status=status,
                content_type="application/problem+json",
                json={"status": status, "detail": "no such prediction"},
            )

    page.route(f"{url}/", front)
    page.route(f"{url}/feedback", take)


def test_feedback_is_offered_only_where_it_is_taken(visit: Visit) -> None:
    expect(ready(visit()).locator("#feedback")).to_be_hidden()


@pytest.mark.parametrize(("model", "given", "actual"), [("babies", "131.5", 131.5), ("iris", "virginica", 2)])
def test_feedback_sends_the_true_value_of_the_last_prediction(
    visit: Visit, url: str, model: str, given: str, actual: Any
) -> None:
    received: list[Any] = []
    page = visit(f"/#{model}", before=lambda page: feedback(page, url, received))
    with page.expect_response(
        lambda response: response.url.endswith("/predict") and '"id"' in response.text()
    ) as answer:
        ready(page)
    del answer
    control = page.get_by_label("Know the true value?")
    if model == "iris":
        control.select_option(given)
    else:
        control.fill("heavy")
        page.get_by_role("button", name="Send feedback").click()
        expect(page.locator("#feedback-said")).to_have_text("expected a number")
        control.fill(given)
    page.get_by_role("button", name="Send feedback").click()
    expect(page.locator("#feedback-said")).to_have_text("Thank you, it is noted.")
    expect(page.get_by_role("button", name="Send feedback")).to_be_disabled()
    (sent,) = received
    assert (sent["row"], sent["actual"], sorted(sent)) == (0, actual, ["actual", "id", "row"])
    assert re.fullmatch(r"[0-9a-f-]{36}", sent["id"])


def test_feedback_that_is_refused_says_so(visit: Visit, url: str) -> None:
    page = ready(visit(errors=(404,), before=lambda page: feedback(page, url, [], status=404)))
    page.get_by_label("Know the true value?").select_option("setosa")
    page.get_by_role("button", name="Send feedback").click()
    expect(page.locator("#feedback-said")).to_have_text("no such prediction")
    expect(page.get_by_role("button", name="Send feedback")).to_be_enabled()  # the choice is still there: again
    expect(page.get_by_label("Know the true value?")).to_have_value("0")


def test_a_cold_function_is_waited_for_and_told_of(visit: Visit) -> None:
    def slow(route: Route) -> None:
        time.sleep(1.6)
        route.continue_()

    page = visit(before=lambda page: page.route("**/models", slow, times=1))
    expect(page.locator("#loading-text")).to_have_text(re.compile("^Waking the function"))
    ready(page)


def test_a_model_that_is_down_is_asked_again_and_then_reported(visit: Visit) -> None:
    down = {"status": 503, "detail": "the model cannot be served now"}
    asked: list[Route] = []

    def unavailable(route: Route) -> None:
        asked.append(route)
        route.fulfill(status=503, headers={"retry-after": "1"}, content_type="application/problem+json", json=down)

    page = visit(errors=(503,), before=lambda page: page.route("**/predict", unavailable))
    expect(page.locator("#caution")).to_have_text("the model cannot be served now")
    assert len(asked) == 2


def test_below_a_stage_without_a_slash(visit: Visit, url: str) -> None:
    """API Gateway answers at /prod as well as at /prod/; a proxy in the browser stands for the stage."""

    def stage(route: Route) -> None:
        inner = route.request.url.removeprefix(f"{url}/prod").removeprefix("/")
        route.fulfill(response=route.fetch(url=f"{url}/{inner}"))

    page = ready(visit("/prod", before=lambda page: page.route(re.compile(r"/prod(/|$|#|\?)"), stage)))
    assert f"{url}/prod/models/iris/predict" in page.locator("#snippet").inner_text()
    assert page.locator("nav a").first.evaluate("(a) => a.href") == f"{url}/prod/docs"


# --- everybody


def test_the_keyboard_alone_is_enough(visit: Visit) -> None:
    page = ready(visit(permissions=["clipboard-read", "clipboard-write"]))

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            ring = page.evaluate(
                """() => {
                  const style = getComputedStyle(document.activeElement);
                  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
                }"""
            )
            assert ring or page.evaluate("document.activeElement.matches('body, [type=radio], #file')")
            if page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{selector} is never reached")

    tab_to("#model")
    page.keyboard.press("b")
    expect(page.get_by_role("heading", level=1)).to_have_text("Babies")
    ready(page)
    before = page.locator(".value strong").inner_text()
    tab_to("[data-feature=gestation] input[type=range]")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-feature=gestation] input[type=text]")).to_have_value("285")
    expect(page.locator(".value strong")).not_to_have_text(before)
    tab_to("[data-feature=smoke] input")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("group", name="Smoke").get_by_label("yes")).to_be_checked()
    tab_to("#curve-feature")
    page.keyboard.press("s")
    expect(page.locator("#curve .dot")).to_have_count(2)
    tab_to("summary")
    page.keyboard.press("Enter")
    tab_to("#pasted")
    page.keyboard.type("gestation,parity,age,height,weight,smoke\n280,0,26,64,125,0\n")
    tab_to("#batch details button")
    page.keyboard.press("Enter")
    expect(page.locator(".summary p")).to_have_text("1 of 1 rows scored")
    tab_to("#copy")
    page.keyboard.press("Enter")
    tab_to("[role=tab]")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.locator("#snippet")).to_contain_text("urllib.request")


@pytest.mark.parametrize(
    ("model", "scheme", "size"),
    [
        ("iris", "light", DESKTOP),
        ("iris", "dark", NARROW),
        ("babies", "dark", DESKTOP),
        ("babies", "light", NARROW),
    ],
    ids=["iris-light", "iris-dark-phone", "babies-dark", "babies-light-phone"],
)
def test_axe_finds_nothing(visit: Visit, url: str, model: str, scheme: Any, size: Any) -> None:
    page = ready(
        visit(
            f"/#{model}",
            color_scheme=scheme,
            viewport=size,
            reduced_motion="reduce",
            before=lambda page: feedback(page, url, []),
        )
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(246, 245, 242)") == (scheme == "light")
    names = card_names(url, model)
    drop(page, "\n".join([",".join(names), ",".join("1" for _ in names), ",".join("x" for _ in names)]))
    page.locator(".summary").wait_for()
    page.locator(".field input[type=text]").first.fill("999")  # an extrapolation
    page.locator(".field input[type=text]").last.fill("x")  # and a fault
    expect(page.locator("#answer")).to_have_class(re.compile("stale"))
    page.get_by_text("Digests").click()
    # A stale answer is dimmed on purpose: it is not the answer to what is in the form.
    found = Axe().run(page, options={"resultTypes": ["violations"]}, context={"exclude": [["#answer.stale"]]})
    assert found.response["violations"] == [], found.generate_report()


@pytest.mark.parametrize("model", ["iris", "babies"])
def test_a_phone_needs_no_sideways_scrolling(visit: Visit, model: str) -> None:
    page = ready(visit(f"/#{model}", viewport=NARROW, has_touch=True, is_mobile=True))
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    page.locator("#fields").scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("#pin")).to_have_text(re.compile("^Prediction: "))
    expect(page.locator("#pin")).to_be_visible()


SHIFTS = """
window.moved = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.moved += entry.value; }))
  .observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("size", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_nothing_moves_while_it_loads_and_it_is_small(visit: Visit, size: Any) -> None:
    page = visit("/", viewport=size, before=lambda page: page.add_init_script(SHIFTS))
    ready(page)
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") < 0.02
    sizes = page.evaluate(
        "['navigation', 'resource'].flatMap((type) => performance.getEntriesByType(type)).map((e) => e.transferSize)"
    )
    assert len(sizes) > 12
    assert sum(sizes) < 60_000


def test_it_says_what_to_do_when_there_is_no_model(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with running(MODEL_STORE=(tmp_path / "store").as_uri()) as empty:
        context = browser.new_context()
        page = context.new_page()
        page.goto(empty)
        expect(page.locator("#loading-text")).to_have_text(re.compile("^No model is served yet|cannot be read"))
        context.close()


# --- whatever is packed


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with models that are unlike the examples: every kind of input, every kind of answer."""
    folder = tmp_path_factory.mktemp("zoo")
    store = Store(folder.as_uri())
    rng = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "age": [*rng.integers(18, 80, 58).astype(float), None, None],
            "town": rng.choice(["Bern", "Oslo", "Rome"], 60),
            "plan_type": rng.choice([f"plan {i}" for i in range(6)], 60),
            "member": rng.choice([True, False], 60),
        }
    )
    columns = make_column_transformer(
        (SimpleImputer(), ["age"]),
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        (OneHotEncoder(), ["plan_type"]),
        ("passthrough", ["member"]),
    )
    many = (rng.normal(size=(60, 3)), [f"class {i % 12}" for i in range(60)])
    estimators: dict[str, tuple[Any, pd.DataFrame | None]] = {
        "mixed": (
            make_pipeline(columns, LogisticRegression()).fit(people, rng.choice(["stays", "leaves"], 60)),
            people,
        ),
        "words": (make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(["good day", "bad day"] * 5, [1, 0] * 5), None),
        "bare": (LinearRegression().fit(many[0], many[0][:, :2]), None),
        "dozen": (GaussianNB().fit(*many), pd.DataFrame(many[0], columns=["a", "b/c~d", "instances"])),
        "margin": (LinearSVC().fit(many[0], rng.choice(["no", "yes"], 60)), pd.DataFrame(many[0], columns=list("abc"))),
        "groups": (KMeans(3, n_init=1, random_state=0).fit(many[0]), pd.DataFrame(many[0], columns=list("abc"))),
    }
    for name, (estimator, sample) in estimators.items():
        file = folder.parent / f"{name}.joblib"
        joblib.dump(estimator, file)
        for version in ("1.0.0", "1.1.0") if name == "mixed" else ("1.0.0",):
            pack(read_source(file), store, name, version, sample=sample, engine="joblib")
    live = digest((folder / "mixed" / "1.0.0" / "manifest.json").read_bytes())
    labels = {"format": 1, "live": {"version": "1.0.0", "manifest": live}}
    (folder / "mixed" / "labels.json").write_text(json.dumps(labels))
    with running(MODEL_STORE=folder.as_uri()) as found:
        yield found


@pytest.mark.parametrize(
    ("model", "value", "controls", "curve"),
    [
        (
            "mixed",
            "^(stays|leaves)$",
            {"input[list]": 1, "select": 1, "input[type=radio]": 2, "input[type=range]": 1},
            True,
        ),
        ("words", r"^[01]$", {"textarea": 1}, False),
        ("bare", r"^-?[\d.e-]+, -?[\d.e-]+$", {"input[type=text]": 3, "input[type=range]": 0}, False),
        ("dozen", r"^class \d+$", {"input[type=range]": 3}, True),
        ("margin", "^(no|yes)$", {"input[type=range]": 3}, True),
        ("groups", r"^[012]$", {"input[type=range]": 3}, True),
    ],
)
def test_any_model_gets_its_page(
    visit: Visit, zoo: str, model: str, value: str, controls: dict[str, int], curve: bool
) -> None:
    page = visit(f"/#{model}", at=zoo)
    expect(page.locator(".value strong")).to_have_text(re.compile(value))
    for selector, count in controls.items():
        expect(page.locator(f"#fields {selector}")).to_have_count(count)
    if curve:
        ready(page)
    else:
        expect(page.locator("#curve-said")).to_have_text(re.compile("^No input"))
    if model == "margin":
        expect(page.locator("#curve .tick").filter(has_text=re.compile("^(no|yes)$"))).to_have_count(2)
    names = card_names(zoo, model)
    row = [feature["example"] for feature in card(zoo, model)["features"]]
    text = io.StringIO()
    csv.writer(text).writerows([names, row, row])
    drop(page, text.getvalue())
    expect(page.locator(".summary p")).to_have_text("2 of 2 rows scored")
    curl = subprocess.run(["bash", "-c", snippet(page, "curl")], capture_output=True, text=True, check=True).stdout
    assert "prediction" in json.loads(curl)


@pytest.mark.parametrize(("model", "offered"), [("margin", True), ("groups", False), ("bare", False)])
def test_a_truth_is_asked_for_where_it_can_be_compared(visit: Visit, zoo: str, model: str, offered: bool) -> None:
    """Nobody knows the true cluster; of several targets one value would say nothing."""
    page = visit(f"/#{model}", at=zoo, before=lambda page: feedback(page, zoo, []))
    expect(page.locator(".value strong")).not_to_have_text("–")
    expect(page.locator("#feedback")).to_be_visible(visible=offered)


def test_another_version_is_chosen_and_asked_by_its_number(visit: Visit, zoo: str) -> None:
    page = ready(visit("/#mixed", at=zoo))
    expect(page.locator("#version option")).to_have_text(["1.0.0 · live", "1.1.0"])
    page.locator("#version").select_option("1.1.0")
    expect(page.locator("#meta")).to_contain_text("mixed 1.1.0")
    assert f"{zoo}/models/mixed/versions/1.1.0/predict" in snippet(page, "curl")


def test_an_open_category_takes_a_new_word_and_a_closed_one_offers_its_own(visit: Visit, zoo: str) -> None:
    page = ready(visit("/#mixed", at=zoo))
    row = answered(page, lambda: page.locator("[data-feature=town] input").fill("Paris"))
    assert row["town"] == "Paris"
    row = answered(page, lambda: page.locator("[data-feature=plan_type] select").select_option("plan 4"))
    assert row["plan_type"] == "plan 4"
    row = answered(page, lambda: page.locator("[data-feature=member]").get_by_label("yes").check())
    assert row["member"] is True
