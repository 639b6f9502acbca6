"""Twenty rollouts of the soak test; `make soak` does two hundred."""

import io
from collections.abc import Iterator

import pytest

from handler.settings import SERVICE
from tests.rollouts import REQUESTS, soak
from tests.site import VERSIONS, Site


@pytest.fixture
def quiet() -> Iterator[None]:
    import logging  # noqa: PLC0415

    handlers = [found for found in logging.getLogger(SERVICE).handlers if isinstance(found, logging.StreamHandler)]
    before = [handler.setStream(io.StringIO()) for handler in handlers]
    yield
    for handler, stream in zip(handlers, before, strict=True):
        handler.setStream(stream)


@pytest.mark.usefixtures("quiet")
def test_no_answer_is_wrong_and_no_request_fails_through_rollouts(site: Site) -> None:
    answered = soak(site, 20, seed=7)
    assert sum(answered.values()) == 20 * REQUESTS
    assert set(answered) == set(VERSIONS)
    fetched = [path for _, path, _ in site.proxy.seen if path.endswith("model.onnx")]
    assert len(fetched) > 20  # from the store again and again, not from memory
    assert {file for _, file in site.proxy.struck} >= {"labels.json", "manifest.json", "model.onnx", "golden.json"}
