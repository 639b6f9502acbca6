"""Within its bound: the least recently used leaves, what is labelled stays."""

from typing import Any, cast

import pytest

from model.cache import Cache, Kept
from model.errors import ArtifactIncompatible
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
    registry._loader.cache._bound = int(size.size * 2.5)
    for version in ("1.1.0", "2.0.0", "1.1.0"):
        assert ask(service, path=f"/models/{NAME}/versions/{version}/predict") == version
        assert registry.state(NAME, "1.0.0") == "ready"
    assert registry.state(NAME, "2.0.0") == "idle"
    assert ask(service) == "1.0.0"
