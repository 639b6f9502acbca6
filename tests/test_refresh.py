"""A label moves in the store: the service follows within one step, and answers from one whole version at any time."""

import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.conftest import LogLines
from tests.misbehaving_s3 import Fault
from tests.site import NAME, Site, ask


def health(service: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/health").json()
    return found


def test_a_moved_label_is_followed_after_the_interval_and_not_before(site: Site, log_lines: LogLines) -> None:
    service = site.serve()
    site.publish("1.1.0")
    site.label("1.1.0")
    site.later(59)
    assert ask(service) == "1.0.0"
    site.later(1)
    assert ask(service) == "1.1.0"
    swapped, request = log_lines()[-2:]
    assert (swapped["message"], swapped["moved"], swapped["Swaps"]) == (
        "model refreshed",
        {"live": ["1.0.0", "1.1.0"]},
        1,
    )
    assert swapped["_aws"]["CloudWatchMetrics"][0]["Metrics"][0] == {"Name": "Swaps", "Unit": "Count"}
    assert request["RefreshTime"] == swapped["refresh_ms"] > 0
    assert "RefreshTime" in [metric["Name"] for metric in request["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    site.label("1.0.0")  # back: the version is still in memory
    site.later()
    before = len(site.proxy.seen)
    assert ask(service) == "1.0.0"
    assert [path.rsplit("/", 1)[-1] for _, path, _ in site.proxy.seen[before:]] == ["labels.json"]


def test_an_unchanged_label_file_costs_one_conditional_read(site: Site) -> None:
    service = site.serve()
    for _ in range(3):
        ask(service)
    site.later()
    before = len(site.proxy.seen)
    for _ in range(3):
        ask(service)
    assert [(status, path.rsplit("/", 1)[-1]) for _, path, status in site.proxy.seen[before:]] == [(304, "labels.json")]


def test_without_an_interval_and_with_pins_nothing_is_read_again(site: Site) -> None:
    pin = f"{NAME}/1.0.0={site.target('1.0.0').manifest}"
    for settings in (
        {"MODEL_REFRESH_SECONDS": "0"},
        {"MODEL_TRUST": "pinned", "MODEL_PINS": pin, "MODEL_REFRESH_SECONDS": ""},
    ):
        service = site.serve(**settings)
        site.later(1e6)
        before = len(site.proxy.seen)
        ask(service)
        assert len(site.proxy.seen) == before


def test_a_folder_is_followed_too(site: Site, tmp_path: Any) -> None:
    import shutil  # noqa: PLC0415

    from model.labels import Labels, dump  # noqa: PLC0415

    shutil.copytree(site.folder / "store", tmp_path / "store")
    file = tmp_path / "store" / NAME / "labels.json"
    file.write_bytes(dump(Labels(live=site.target("1.0.0"))))
    service = site.serve(MODEL_STORE=(tmp_path / "store").as_uri())
    assert ask(service) == "1.0.0"
    file.write_bytes(dump(Labels(live=site.target("2.0.0"))))
    site.later()
    assert ask(service) == "2.0.0"


def test_a_second_version_without_labels_is_no_reason_to_stop(site: Site) -> None:
    site.s3.delete_object(Bucket="rollouts", Key=f"prefix/{NAME}/labels.json")
    service = site.serve(MODEL_TRUST="bundled")
    site.publish("1.1.0")
    site.later()
    assert ask(service) == "1.0.0"
    assert health(service)["degraded"] == [{"model": NAME, "label": "live", "error": "ArtifactMissing"}]
    site.label("1.1.0")
    site.later()
    assert ask(service) == "1.1.0"
    assert "degraded" not in health(service)


def test_the_label_vouches_for_the_manifest(site: Site, log_lines: LogLines) -> None:
    service = site.serve()
    site.publish("1.1.0")
    body = (site.folder / "store" / NAME / "1.1.0" / "manifest.json").read_bytes()
    site.put("1.1.0/manifest.json", body + b"\n")
    site.label("1.1.0")
    site.later()
    assert ask(service) == "1.0.0"
    line = next(line for line in log_lines() if line["message"] == "model degraded")
    assert (line["degraded"], line["Degraded"]) == ({"live": "ArtifactUntrusted"}, 1)
    assert (line["model"], line["version"]) == (NAME, "1.0.0")  # that which answers, not that which cannot
    assert log_lines()[-1]["degraded"] == "ArtifactUntrusted"


def test_a_share_of_the_keys_sees_the_canary_and_stays_with_it(site: Site) -> None:
    site.publish("1.1.0")
    site.label("1.0.0", canary=("1.1.0", 0.3))
    service = site.serve()
    seen = {str(key): ask(service, str(key)) for key in range(300)}
    assert 60 <= sum(version == "1.1.0" for version in seen.values()) <= 120
    assert all(ask(service, key) == version for key, version in list(seen.items())[:50])
    assert {ask(service) for _ in range(100)} == {"1.0.0", "1.1.0"}  # by the request's id
    assert ask(service, path=f"/models/{NAME}/versions/1.0.0/predict") == "1.0.0"
    assert service.get(f"/models/{NAME}").json()["labels"] == {
        "live": {"version": "1.0.0"},
        "canary": {"version": "1.1.0", "weight": 0.3},
    }


def test_a_broken_canary_leaves_all_to_the_live_version(site: Site) -> None:
    site.publish("1.1.0")
    site.put("1.1.0/model.onnx", b"altered")
    service = site.serve()
    site.label("1.0.0", canary=("1.1.0", 1.0))
    site.later()
    assert {ask(service, str(key)) for key in range(20)} == {"1.0.0"}
    found = health(service)
    assert (found["status"], found["ready"]) == ("degraded", True)
    assert found["degraded"] == [{"model": NAME, "label": "canary", "error": "ArtifactCorrupt"}]


def test_a_canary_that_the_store_held_back_comes_even_where_nothing_is_read_again(site: Site) -> None:
    site.publish("1.1.0")
    site.label("1.0.0", canary=("1.1.0", 1.0))
    site.proxy.faults = [Fault("denied", r"1\.1\.0")]
    service = site.serve(MODEL_REFRESH_SECONDS="0")
    assert ask(service) == "1.0.0"
    site.proxy.faults = []
    site.later(5)
    assert ask(service) == "1.1.0"
    site.later(1e6)
    before = len(site.proxy.seen)
    assert ask(service) == "1.1.0"
    assert len(site.proxy.seen) == before


def test_a_shadow_is_compared_and_never_seen(site: Site, log_lines: LogLines, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("1.1.0")
    site.label("1.0.0", shadow=("1.1.0", 1.0))
    service = site.serve()
    assert ask(service) == "1.0.0"
    line = log_lines()[-1]
    assert line["shadow"] == {"version": "1.1.0"}
    assert (line["ShadowRows"], line["ShadowDisagreements"], line["ShadowErrors"]) == (1, 1, 0)
    assert 0 < line["ShadowTime"] < line["Latency"]
    assert site.started is not None
    shadow = site.started.registry.shadow()
    assert shadow is not None
    monkeypatch.setattr(shadow.scorer, "score", None)
    assert ask(service) == "1.0.0"
    assert (log_lines()[-1]["ShadowErrors"], log_lines()[-1]["error"]) == (1, None)
    monkeypatch.undo()
    site.label("1.0.0", shadow=("1.1.0", 0.2))
    site.later()
    before = len(log_lines())
    for _ in range(100):
        ask(service)
    assert 5 <= sum("shadow" in found for found in log_lines()[before:]) <= 40


def test_a_large_file_goes_on_from_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from model import fetch  # noqa: PLC0415

    monkeypatch.setattr(fetch, "PART", 1_000)
    monkeypatch.setattr(fetch, "AT_ONCE", 1)
    monkeypatch.setattr(fetch, "scratch", lambda: tmp_path / "parts")
    service = site.serve(MODEL_REFRESH_BUDGET_MS="250")
    site.publish("1.1.0")
    site.label("1.1.0")
    site.proxy.faults = [Fault("slow", r"1\.1\.0/model", seconds=0.06)]
    site.later()
    versions = [ask(service)]
    kept = len(list((tmp_path / "parts").iterdir()))
    assert kept >= 1
    while versions[-1] == "1.0.0" and len(versions) < 20:
        versions.append(ask(service))  # the clock stands: each request goes on at once
    assert 2 <= len(versions) < 20
    parts = [path for _, path, status in site.proxy.seen if path.endswith("1.1.0/model.onnx") and status == 206]
    size = (site.folder / "store" / NAME / "1.1.0" / "model.onnx").stat().st_size
    assert len(parts) <= -(-size // 1_000) + len(versions)  # nothing twice, but for what was on its way
    assert not list((tmp_path / "parts").iterdir())


def test_while_one_thread_refreshes_others_are_answered(site: Site) -> None:
    service = site.serve(MODEL_REFRESH_BUDGET_MS="2000")
    site.publish("1.1.0")
    site.label("1.1.0")
    site.proxy.faults = [Fault("slow", r"labels\.json", seconds=0.5)]
    site.later()
    assert site.started is not None
    registry = site.started.registry
    first = threading.Thread(target=registry.scorer)
    first.start()
    while not any(path.endswith("labels.json") for _, path, _ in site.proxy.seen[-1:]) and first.is_alive():
        found = [registry.scorer().manifest.version for _ in range(100)]
        assert set(found) <= {"1.0.0"}
        break
    first.join()
    assert ask(service) == "1.1.0"
    moves = [path for _, path, _ in site.proxy.seen if path.endswith("1.1.0/manifest.json")]
    assert len(moves) == 1


def test_a_batch_is_grouped_by_the_version_that_each_message_meets(site: Site) -> None:
    from handler import batch, jobs  # noqa: PLC0415
    from handler.observe import Call  # noqa: PLC0415
    from tests.site import ROW, answer  # noqa: PLC0415

    site.publish("1.1.0")
    site.label("1.0.0", canary=("1.1.0", 0.5))
    site.serve()
    assert site.started is not None
    queue = {"eventSourceARN": "arn:aws:sqs:us-east-1:1:q", "attributes": {}, "messageAttributes": {}}
    records = [{"messageId": str(i), "body": f'{{"features": {ROW}}}', **queue} for i in range(40)]
    messages = jobs.from_queue({"Records": records}, 10**6)
    outcomes = batch.answer(messages, site.started, Call("queue", "r"))
    versions = set()
    for outcome in outcomes:
        assert isinstance(outcome, dict)
        versions.add(outcome["model"]["version"])
        assert outcome["prediction"] == answer(outcome["model"]["version"], ROW)
    assert versions == {"1.0.0", "1.1.0"}
