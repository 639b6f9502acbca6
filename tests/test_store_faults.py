"""Every fault of the store and of an artifact has one answer: the last known good where there is one, else 503."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model import loader
from model.errors import ArtifactCorrupt
from model.loader import RETRY_SECONDS
from model.refresh import Pace
from model.registry import Registry
from model.serving_store import ServingStore
from tests.conftest import ROOT, LogLines
from tests.misbehaving_s3 import Fault, Kind
from tests.site import BUCKET, NAME, PREFIX, Site, ask

Spoil = Callable[[Site], object]


def fault(kind: Kind, path: str = "", **given: Any) -> Spoil:
    return lambda site: site.proxy.faults.append(Fault(kind, path, **given))


def replaced(key: str, change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(site: Site) -> None:
        site.put(f"1.1.0/{key}", change((site.folder / "store" / NAME / "1.1.0" / key).read_bytes()))

    return spoil


def relabelled(site: Site) -> None:
    """Vouch for a manifest of a newer format, so that only the format is wrong."""
    from model.labels import Labels, Target, dump  # noqa: PLC0415
    from model.manifest import digest  # noqa: PLC0415

    content = (site.folder / "store" / NAME / "1.1.0" / "manifest.json").read_bytes()
    newer = content.replace(b'"format": 1', b'"format": 2')
    assert newer != content
    site.put("1.1.0/manifest.json", newer)
    site.put("labels.json", dump(Labels(live=Target("1.1.0", digest(newer)))))


def failing_golden(site: Site) -> None:
    """Vouch for an artifact whose recorded answers are others than its graph gives."""
    import json  # noqa: PLC0415

    from model.labels import Labels, Target, dump  # noqa: PLC0415
    from model.manifest import digest  # noqa: PLC0415

    folder = site.folder / "store" / NAME / "1.1.0"
    golden = json.loads((folder / "golden.json").read_bytes())
    golden["predictions"][0] += 1
    content = json.dumps(golden).encode()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["digests"]["golden.json"] = digest(content)
    written = json.dumps(manifest).encode()
    site.put("1.1.0/golden.json", content)
    site.put("1.1.0/manifest.json", written)
    site.put("labels.json", dump(Labels(live=Target("1.1.0", digest(written)))))


# What goes wrong while 1.1.0 becomes live, and what health then says; a pattern hits from the label file on.
FAULTS: dict[str, tuple[Spoil, str]] = {
    "unreachable": (fault("refused"), "ArtifactUnavailable"),
    "slow labels": (fault("slow", r"labels\.json", seconds=3), "ArtifactUnavailable"),
    "slow model": (fault("slow", r"model\.onnx", seconds=3), "ArtifactUnavailable"),
    "throttling all the time": (fault("throttled"), "ArtifactUnavailable"),
    "errors all the time": (fault("broken", r"1\.1\.0"), "ArtifactUnavailable"),
    "access denied": (fault("denied"), "ArtifactUnavailable"),
    "clock moved": (fault("skewed"), "ArtifactUnavailable"),
    "label to a missing version": (lambda site: site.label("9.9.9"), "ArtifactMissing"),
    "labels that are no labels": (lambda site: site.put("labels.json", b"{"), "ArtifactCorrupt"),
    "labels of a newer format": (lambda site: site.put("labels.json", b'{"format": 2}'), "ArtifactIncompatible"),
    "label file gone": (fault("gone", r"labels\.json"), "ArtifactMissing"),
    "cut on its way": (fault("cut", r"model\.onnx"), "ArtifactUnavailable"),
    "altered on its way": (fault("altered", r"model\.onnx"), "ArtifactCorrupt"),
    "truncated": (replaced("model.onnx", lambda content: content[:-1]), "ArtifactCorrupt"),
    "altered golden rows": (replaced("golden.json", lambda content: content + b" "), "ArtifactCorrupt"),
    "altered manifest": (replaced("manifest.json", lambda content: content + b" "), "ArtifactUntrusted"),
    "manifest of a newer format": (relabelled, "ArtifactIncompatible"),
    "golden rows that fail": (failing_golden, "ArtifactCorrupt"),
    "vanished between two reads": (fault("gone", r"1\.1\.0/model", after=0), "ArtifactMissing"),
    "vanished after its manifest": (fault("gone", r"1\.1\.0", after=1), "ArtifactMissing"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_with_a_good_model_no_request_fails_and_the_new_one_comes_when_it_can(site: Site, what: str) -> None:
    spoil, error = FAULTS[what]
    service = site.serve(MODEL_REFRESH_BUDGET_MS="400")
    site.publish("1.1.0")
    site.label("1.1.0")
    spoil(site)
    site.later()
    started = time.monotonic()
    assert ask(service) == "1.0.0"
    assert time.monotonic() - started < 2.5
    health = service.get("/health").json()
    assert (health["status"], health["ready"], health["degraded"][0]["error"]) == ("degraded", True, error)
    assert service.get("/health/ready").status_code == 200
    assert service.get(f"/models/{NAME}").status_code == 200
    site.proxy.faults.clear()
    site.publish("1.1.0")
    site.label("1.1.0")
    for _ in range(12):  # what only a change can mend is looked at less often
        site.later()
        ask(service)
    assert ask(service) == "1.1.0"
    assert service.get("/health").json()["status"] == "ready"


@pytest.mark.parametrize("what", [what for what in FAULTS if "slow" not in what])
def test_with_none_ever_loaded_it_is_503_until_the_store_heals(site: Site, what: str) -> None:
    spoil, error = FAULTS[what]
    site.publish("1.1.0")
    site.label("1.1.0")
    spoil(site)
    service = site.serve()
    response = service.post("/predict", json={"features": [1.0, 1.0]})
    assert (response.status_code, response.json()["error"]) == (503, error), response.text
    assert int(response.headers["retry-after"]) > 0
    assert BUCKET not in response.text
    assert service.get("/health/live").status_code == 200
    assert service.get("/health/ready").status_code == 503
    site.proxy.faults.clear()
    site.publish("1.1.0")
    site.label("1.1.0")
    site.later()
    assert ask(service) == "1.1.0"


def test_a_pause_of_the_store_is_waited_out(site: Site) -> None:
    """Throttled twice, then answered: the retries are the store's own, with jitter, within the budget."""
    service = site.serve()
    site.publish("1.1.0")
    site.label("1.1.0")
    site.proxy.faults = [Fault("throttled", times=1), Fault("broken", r"model\.onnx", times=1)]
    site.later()
    assert ask(service) == "1.1.0"


def test_a_slow_store_holds_initialisation_for_its_budget_and_no_longer(site: Site) -> None:
    site.proxy.faults = [Fault("slow", seconds=2)]
    store = ServingStore(f"s3://{BUCKET}/{PREFIX}", site.proxy.url)
    registry = Registry(store, NAME, pace=Pace(60, first=0.3), clock=site.clock)
    started = time.monotonic()
    registry.warm()
    assert time.monotonic() - started < 1.5
    site.proxy.faults.clear()
    site.later(RETRY_SECONDS)
    assert registry.scorer().manifest.version == "1.0.0"


def test_a_hanging_store_is_asked_once_an_interval(site: Site) -> None:
    service = site.serve(MODEL_REFRESH_BUDGET_MS="200")
    site.proxy.faults = [Fault("slow", seconds=1)]
    site.later()
    started = time.monotonic()
    for _ in range(20):
        ask(service)
    assert time.monotonic() - started < 1.5


def test_little_time_left_of_the_invocation_leaves_the_step_to_the_next(site: Site) -> None:
    site.serve()
    assert site.started is not None
    registry = site.started.registry
    site.publish("1.1.0")
    site.label("1.1.0")
    site.later()
    assert registry.scorer(left=lambda: 400).manifest.version == "1.0.0"
    assert registry.scorer(left=lambda: 5_000).manifest.version == "1.1.0"


def test_a_clock_that_goes_back_stops_no_refresh(site: Site) -> None:
    site.later(1e9)
    service = site.serve()
    site.publish("1.1.0")
    site.label("1.1.0")
    site.clock.now = 5.0
    assert ask(service) == "1.1.0"


def test_another_librarys_version_is_refused_and_the_old_one_answers(
    site: Site, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines
) -> None:
    import json  # noqa: PLC0415

    from model.labels import Labels, Target, dump  # noqa: PLC0415
    from model.manifest import digest  # noqa: PLC0415

    pins = {}
    manifests = {}
    for version in ("1.0.0", "1.1.0"):
        manifest = json.loads((site.folder / "store" / NAME / version / "manifest.json").read_bytes())
        if version == "1.1.0":
            manifest["environment"]["scikit-learn"] = "0.1"
        manifests[version] = json.dumps(manifest).encode()
        pins[version] = digest(manifests[version])
    service = site.serve(
        MODEL_ENGINES="joblib", MODEL_TRUST="bundled", MODEL_STORE=_as_folder(site, manifests).as_uri()
    )
    folder = Path(str(site.folder / "spoilt"))
    (folder / NAME / "labels.json").write_bytes(dump(Labels(live=Target("1.1.0", pins["1.1.0"]))))
    site.later()
    assert ask(service) == "1.0.0"
    assert service.get("/health").json()["degraded"][0]["error"] == "ArtifactIncompatible"


def _as_folder(site: Site, manifests: dict[str, bytes]) -> Path:
    import shutil  # noqa: PLC0415

    from model.labels import Labels, Target, dump  # noqa: PLC0415
    from model.manifest import digest  # noqa: PLC0415

    folder = site.folder / "spoilt"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(site.folder / "store", folder)
    for version, content in manifests.items():
        (folder / NAME / version / "manifest.json").write_bytes(content)
    (folder / NAME / "labels.json").write_bytes(dump(Labels(live=Target("1.0.0", digest(manifests["1.0.0"])))))
    return folder


def test_tmp_full_is_said_and_the_old_version_answers(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, log_lines: LogLines
) -> None:
    from model import fetch  # noqa: PLC0415

    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr(fetch, "PART", 1_000)
    monkeypatch.setattr(fetch, "AT_ONCE", 1)
    monkeypatch.setattr(fetch, "scratch", lambda: tmp_path / "parts")

    def write(_: Path, content: bytes) -> None:
        with (tmp_path / "full").open("wb", 0) as file:
            file.write(content)

    monkeypatch.setattr(Path, "write_bytes", write)
    service = site.serve(MODEL_REFRESH_BUDGET_MS="250")
    site.publish("1.1.0")
    site.label("1.1.0")
    site.proxy.faults = [Fault("slow", r"1\.1\.0/model", seconds=0.06)]
    site.later()
    assert ask(service) == "1.0.0"
    line = next(line for line in log_lines() if line["message"] == "model degraded")
    assert "No space left on device" in line["reasons"]["live"]
    before = len(site.proxy.seen)
    ask(service)
    assert len(site.proxy.seen) == before  # no progress: the next attempt is after the interval
    site.proxy.faults.clear()
    for _ in range(5):
        site.later()
        ask(service)
    assert ask(service) == "1.1.0"


def test_more_than_the_bound_is_refused_before_it_is_read(site: Site) -> None:
    service = site.serve(MODEL_MEMORY_MB="1")
    site.publish("1.1.0")
    assert site.started is not None
    cache = site.started.registry._loader.cache
    cache._bound = 20_000
    site.label("1.1.0")
    site.later()
    assert ask(service) == "1.0.0"
    assert service.get("/health").json()["degraded"][0]["error"] == "ArtifactIncompatible"


def test_memory_that_runs_out_while_loading_is_a_fault_of_the_version(tmp_path: Path, steps: Path) -> None:
    """In a process that may have no more: a pickle of 400 MB beside a good version."""
    code = f"""
import resource, sys
from tests.test_store_faults import out_of_memory
out_of_memory({str(steps / "store")!r}, {str(tmp_path)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "needs more memory than this function has" in done.stdout


def out_of_memory(store: str, folder: str) -> None:
    """Serve 1.0.0 and load a version whose file does not fit."""
    import json  # noqa: PLC0415
    import shutil  # noqa: PLC0415

    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from model.labels import Labels, Target, dump  # noqa: PLC0415
    from model.manifest import digest  # noqa: PLC0415
    from model.store import Store  # noqa: PLC0415

    shutil.copytree(store, folder, dirs_exist_ok=True)
    old, new = Path(folder) / NAME / "1.0.0", Path(folder) / NAME / "1.1.0"
    estimator = joblib.load(new / "model.joblib")
    estimator.ballast_ = np.zeros(50_000_000)
    joblib.dump(estimator, new / "model.joblib", compress=3)
    manifest = json.loads((new / "manifest.json").read_bytes())
    manifest["digests"]["model.joblib"] = digest((new / "model.joblib").read_bytes())
    (new / "manifest.json").write_text(json.dumps(manifest))
    labels = Path(folder) / NAME / "labels.json"
    labels.write_bytes(dump(Labels(live=Target("1.0.0", digest((old / "manifest.json").read_bytes())))))
    del estimator
    from model.artifact import Policy  # noqa: PLC0415

    now = 0.0
    said: list[Any] = []
    registry = Registry(
        Store(Path(folder).as_uri()), NAME, Policy(engines=("joblib",)), pace=Pace(60), clock=lambda: now,
        on_load=said.append,
    )  # fmt: skip
    registry.warm()
    labels.write_bytes(dump(Labels(live=Target("1.1.0", digest((new / "manifest.json").read_bytes())))))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, -1))
    now = 60.0
    assert registry.scorer().manifest.version == "1.0.0"
    assert registry.scorer().score([(3.0, 4.0)]).values == [34.0]
    print(said[-1].error)


def test_whatever_a_strange_artifact_raises_is_its_own_fault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    service = site.serve()
    site.publish("1.1.0")
    site.label("1.1.0")

    def strange(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(loader, "open_artifact", strange)
    site.later()
    assert ask(service) == "1.0.0"
    assert service.get("/health").json()["degraded"][0]["error"] == ArtifactCorrupt.__name__
