"""The store over a folder and over S3: what is there, what is not, and what happens when nobody answers."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.errors import ArtifactMissing, ArtifactUnavailable
from model.store import Store
from tests.conftest import BUCKET


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_folder_lists_names_and_versions_and_skips_what_is_no_name(store: Path) -> None:
    (store / "..hidden..").mkdir()
    (store / "file.txt").write_text("")
    found = Store(store.as_uri())
    assert found.names() == ("babies", "iris")
    assert found.versions("iris") == ("1.0.0",)
    assert found.versions("nope") == ()


def test_a_bucket_lists_below_its_prefix_only(s3: Any, s3_endpoint: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="elsewhere/1/manifest.json", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="prefix-of-another/x/1/manifest.json", Body=b"")
    found = Store(f"s3://{BUCKET}/prefix", s3_endpoint)
    assert found.names() == ("babies", "iris")
    assert found.versions("iris") == ("1.0.0",)
    with pytest.raises(ArtifactMissing):
        found.read("iris/9/manifest.json")


def test_what_is_written_is_read(tmp_path: Path, s3: Any, s3_endpoint: str) -> None:
    for store in (Store((tmp_path / "new/store").as_uri()), Store(f"s3://{BUCKET}/other", s3_endpoint)):
        store.write("m/1/manifest.json", b"content")
        assert store.read("m/1/manifest.json") == b"content"
        assert store.names() == ("m",)


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing):
        Store((tmp_path / "nope").as_uri()).names()


@pytest.mark.usefixtures("s3_endpoint")
def test_nobody_answering_is_unavailable_and_can_be_retried(closed_port: int) -> None:
    with pytest.raises(ArtifactUnavailable) as caught:
        Store("s3://models/prefix", f"http://127.0.0.1:{closed_port}").read("iris/1.0.0/manifest.json")
    assert caught.value.retryable
    assert str(closed_port) not in str(caught.value)


def test_a_folder_with_spaces_and_umlauts_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "mödels of mine"
    store = Store(folder.as_uri())
    store.write("m/1/manifest.json", b"x")
    assert (folder / "m/1/manifest.json").read_bytes() == b"x"
