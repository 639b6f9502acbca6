"""Loaded once, by name and version; what fails is told and, where it can heal, tried again."""

import json
from pathlib import Path

import pytest

from model import labels
from model.errors import ArtifactCorrupt, ArtifactMissing, UnknownModel
from model.manifest import digest
from model.registry import RETRY_SECONDS, Loaded, Registry
from model.store import Store
from model.train import make_live, next_patch, train


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_version_is_loaded_once_and_told_once(packed: Path) -> None:
    told: list[Loaded] = []
    registry = Registry(Store(packed.as_uri()), "iris", on_load=told.append)
    registry.warm()
    first = registry.scorer()
    assert registry.scorer("iris") is first
    assert registry.scorer("iris", "1.0.0") is first
    assert registry.scorer() is first
    assert [(load.name, load.version, load.error) for load in told] == [("iris", "1.0.0", None)]
    assert registry.state("iris", "1.0.0") == "ready"
    assert registry.state("babies", "1.0.0") == "idle"


def test_the_default_is_the_only_model_or_must_be_named(store: Path) -> None:
    with pytest.raises(UnknownModel, match="several models"):
        Registry(Store(store.as_uri())).default()
    import shutil  # noqa: PLC0415

    shutil.rmtree(store / "babies")
    assert Registry(Store(store.as_uri())).default() == "iris"


@pytest.mark.parametrize(
    ("name", "version"), [("nope", None), ("iris", "2"), ("../iris", None), ("iris", "../1.0.0"), ("", None)]
)
def test_what_is_not_there_is_unknown(packed: Path, name: str, version: str | None) -> None:
    with pytest.raises(UnknownModel):
        Registry(Store(packed.as_uri()), "iris").scorer(name or "-", version)


def test_a_default_that_is_not_there_is_the_deployments_fault(packed: Path) -> None:
    told: list[Loaded] = []
    registry = Registry(Store(packed.as_uri()), "nope", on_load=told.append)
    registry.warm()
    assert isinstance(told[0].error, ArtifactMissing)
    with pytest.raises(ArtifactMissing):
        registry.scorer()
    with pytest.raises(UnknownModel):
        registry.scorer("nope")


def test_what_can_heal_is_tried_again_but_not_at_every_request(store: Path) -> None:
    file = store / "iris/1.0.0/golden.json"
    content = file.read_bytes()
    file.unlink()
    clock, told = Clock(), list[Loaded]()
    registry = Registry(Store(store.as_uri()), "iris", on_load=told.append, clock=clock)
    registry.warm()
    file.write_bytes(content)
    with pytest.raises(ArtifactMissing):
        registry.scorer()
    assert len(told) == 1
    clock.now += RETRY_SECONDS
    assert registry.scorer().manifest.name == "iris"
    assert [load.error is None for load in told] == [False, True]


def test_what_cannot_heal_is_read_once(store: Path) -> None:
    (store / "iris/1.0.0/model.onnx").write_bytes(b"x")
    clock, told = Clock(), list[Loaded]()
    registry = Registry(Store(store.as_uri()), "iris", on_load=told.append, clock=clock)
    for _ in range(3):
        clock.now += RETRY_SECONDS
        with pytest.raises(ArtifactCorrupt):
            registry.scorer()
    assert len(told) == 1
    assert registry.state("iris", "1.0.0") == "unavailable"
    assert registry.scorer("babies").manifest.name == "babies"


def test_several_versions_and_the_live_label(store: Path) -> None:
    target = Store(store.as_uri())
    manifest = train("babies", target, force=True)
    assert manifest is not None
    assert manifest.version == "1.0.1"
    registry = Registry(target)
    assert registry.live("babies") == "1.0.1"
    assert registry.scorer("babies").manifest.version == "1.0.1"
    assert registry.scorer("babies", "1.0.0").manifest.version == "1.0.0"
    make_live(target, "babies", "1.0.0")
    moved = labels.parse((store / "babies/labels.json").read_bytes())
    assert moved.live == labels.Target("1.0.0", digest((store / "babies/1.0.0/manifest.json").read_bytes()))
    assert [(move.origin, move.to) for move in moved.history] == [(None, "1.0.1"), ("1.0.1", "1.0.0")]
    assert Registry(target).live("babies") == "1.0.0"


def test_an_example_that_is_packed_is_not_retrained(store: Path) -> None:
    before = (store / "iris/1.0.0/manifest.json").stat().st_mtime_ns
    assert train("iris", Store(store.as_uri())) is None
    assert (store / "iris/1.0.0/manifest.json").stat().st_mtime_ns == before


def test_versions_count_up_by_number_not_by_letter() -> None:
    assert next_patch(("1.0.9", "1.0.10", "nightly")) == "1.0.11"
    assert next_patch(("nightly",)) == "1.0.0"


def test_babies_stand_beside_the_published_figures(packed: Path) -> None:
    metrics = json.loads((packed / "babies/1.0.0/manifest.json").read_text())["metrics"]
    assert metrics["published"] == {"r2": 0.34, "mse": 228.5}
    assert metrics["held_out"]["r2"] == pytest.approx(0.34, abs=0.06)
