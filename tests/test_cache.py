"""Within its bound: the least recently used leaves, what is labelled stays."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from model.cache import COMPILED_TREES, GROWTH, Cache, Kept, growth
from model.errors import ArtifactIncompatible
from tests.conftest import ROOT
from tests.site import NAME, VERSIONS, Site, ask


def kept(size: int) -> Kept:
    return Kept(cast(Any, object()), None, size)


def filled(bound: int | None, labelled: set[tuple[str, str]] = frozenset()) -> Cache:  # type: ignore[assignment]
    cache = Cache(bound, lambda: labelled)
    for version in ("1", "2", "3"):
        cache.make_room(("m", version), 10)
        cache.put(("m", version), kept(10))
    return cache


def here(cache: Cache) -> list[str]:
    return [version for version in ("1", "2", "3", "4") if cache.peek(("m", version)) is not None]


def test_the_least_recently_used_leaves() -> None:
    cache = filled(30)
    cache.get(("m", "1"))
    cache.make_room(("m", "4"), 10)
    assert here(cache) == ["1", "3"]


def test_what_is_labelled_stays_and_too_much_of_it_is_said() -> None:
    cache = filled(30, {("m", "1"), ("m", "2")})
    cache.make_room(("m", "4"), 10)
    assert here(cache) == ["1", "2"]
    with pytest.raises(ArtifactIncompatible, match="MODEL_MEMORY_MB"):
        cache.make_room(("m", "4"), 11)


def test_without_a_bound_all_stay() -> None:
    assert here(filled(None)) == ["1", "2", "3"]


def test_old_versions_leave_a_service_and_come_again_when_asked(site: Site) -> None:
    service = site.serve(MODEL_TRUST="bundled")
    site.publish(*VERSIONS)
    site.later()
    registry = site.started.registry if site.started else None
    assert registry is not None
    ask(service)
    size = registry._loader.cache.peek((NAME, "1.0.0"))
    assert size is not None
    most = size.size * (1 + COMPILED_TREES.loading / COMPILED_TREES.stays)  # one that stays, and one that is loaded
    registry._loader.cache._bound = int(most * 1.05)
    for version in ("1.1.0", "2.0.0", "1.1.0"):
        assert ask(service, path=f"/models/{NAME}/versions/{version}/predict") == version
        assert registry.state(NAME, "1.0.0") == "ready"
    assert registry.state(NAME, "2.0.0") == "idle"
    assert ask(service) == "1.0.0"


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        ("RandomForestClassifier", COMPILED_TREES),
        ("ColumnTransformer → HistGradientBoostingRegressor", COMPILED_TREES),
        ("StackingClassifier", COMPILED_TREES),
        ("StandardScaler → LogisticRegression", GROWTH["onnx"]),
        ("MLPClassifier", GROWTH["onnx"]),
    ],
)
def test_compiled_trees_are_counted_for_what_they_become(estimator: str, expected: object) -> None:
    manifest = cast(Any, SimpleNamespace(estimator=estimator))
    assert growth(manifest, "onnx") is expected
    assert growth(manifest, "joblib") is GROWTH["joblib"]


@pytest.mark.parametrize("engine", ["onnx", "joblib"])
def test_what_a_version_is_counted_for_is_what_it_takes(trees: Path, engine: str) -> None:
    command = [sys.executable, "-m", "bench.memory", "--open", str(trees), "m1", engine]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    size, stays, peak = map(int, done.stdout.split())
    grows = COMPILED_TREES if engine == "onnx" else GROWTH["joblib"]
    imports = 12_000_000 if engine == "joblib" else 0
    assert stays < grows.stays * size * 1.2 + imports
    assert peak < grows.loading * size * 1.2 + imports
    if engine == "onnx":
        assert peak > grows.loading * size * 0.6  # or versions are refused that would fit


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty deep trees of noise, beside a model that is loaded first."""
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    from model.pack import pack  # noqa: PLC0415
    from model.source import read_source  # noqa: PLC0415
    from model.store import Store  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("trees")
    noise = np.random.default_rng(0)
    points, target = noise.random((4_000, 3)), noise.random(4_000)
    for i, estimator in enumerate((LinearRegression(), RandomForestRegressor(20, random_state=0))):
        file = folder / f"{i}.joblib"
        joblib.dump(estimator.fit(points, target), file)
        pack(read_source(file), Store((folder / "store").as_uri()), f"m{i}", "1")
    return folder / "store"
