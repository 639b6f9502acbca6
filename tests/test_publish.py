"""Publishing to a folder and to S3: whole or not at all, once, by one publisher."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from model import claim, keys, label_file, publish, signature
from model.artifact import Policy, open_artifact
from model.errors import ArtifactCorrupt, ArtifactMissing, ArtifactUnavailable, PublishingRefused
from model.label_file import Mover
from model.manifest import digest
from model.publish import Published
from model.registry import Registry
from model.shelf import PART, Shelf
from model.store import Patience, Store
from model.trust import Trust
from tests.conftest import BUCKET, ROOT, next_version

ANN, BOB = Mover("ann", "2026-11-01T00:00:00+00:00"), Mover("bob", "2026-11-02T00:00:00+00:00")
HURRY = Patience(timedelta(seconds=2), timedelta(seconds=1), 1, timedelta(seconds=2))


def send(store: Path, shelf: Shelf, version: str = "1.0.0", mover: Mover = ANN, **more: Any) -> Published:
    return publish.publish(Store(store.as_uri()), "iris", version, shelf, mover, **more)


def keys_of(shelf: Shelf) -> set[str]:
    return {entry.key for entry in shelf.entries("iris") if "/." not in entry.key}


def test_what_is_published_is_what_was_packed_and_answers(packed: Path, shelf: Shelf) -> None:
    seen: dict[str, int] = {}

    def told(file: str, size: int, sent: int) -> None:
        seen[file] = seen.get(file, 0) + sent

    done = send(packed, shelf, progress=told)
    files = {file.name: file for file in (packed / "iris/1.0.0").iterdir()}
    assert {key.split("/")[-1] for key in keys_of(shelf)} == set(files) | {"publisher.json"}
    for name, file in files.items():
        assert shelf.read(f"iris/1.0.0/{name}") == file.read_bytes()
    assert seen == {name: file.stat().st_size for name, file in files.items() if name != "manifest.json"}
    assert (done.new, done.sent) == (True, sum(seen.values()))
    assert open_artifact(shelf, "iris", "1.0.0", Policy()).score([(6.1, 2.8, 4.7, 1.2)]).values == [1]
    owner = claim.claimed(shelf, "iris/1.0.0")
    assert owner is not None
    assert (owner.by, owner.manifest) == ("ann", done.digest)


def test_the_same_bytes_again_change_nothing(packed: Path, shelf: Shelf) -> None:
    send(packed, shelf)
    before = {entry.key: entry.modified for entry in shelf.entries("iris")}
    done = send(packed, shelf, mover=BOB)
    assert (done.new, done.sent) == (False, 0)
    assert {entry.key: entry.modified for entry in shelf.entries("iris")} == before


def test_other_bytes_under_a_published_version_are_refused(store: Path, shelf: Shelf) -> None:
    send(store, shelf)
    (store / "iris/1.0.0/manifest.json").write_bytes((store / "iris/1.0.0/manifest.json").read_bytes() + b"\n")
    before = shelf.read("iris/1.0.0/manifest.json")
    with pytest.raises(PublishingRefused, match=r"was published by ann on 2026-11-01.* versions are immutable"):
        send(store, shelf, mover=BOB)
    assert shelf.read("iris/1.0.0/manifest.json") == before


def test_of_two_publishers_of_one_version_one_is_refused_and_the_other_is_whole(store: Path, shelf: Shelf) -> None:
    other = store.parent / "other"
    (store.parent / "other/iris").mkdir(parents=True)
    (store / "iris/1.0.0").rename(store / "iris/kept")
    for place in (store, other):
        (place / "iris/1.0.0").mkdir()
        for file in (store / "iris/kept").iterdir():
            (place / "iris/1.0.0" / file.name).write_bytes(file.read_bytes())
    golden = json.loads((other / "iris/1.0.0/golden.json").read_text()) | {"comment": "another run"}
    (other / "iris/1.0.0/golden.json").write_text(json.dumps(golden))
    manifest = json.loads((other / "iris/1.0.0/manifest.json").read_text())
    manifest["digests"]["golden.json"] = digest((other / "iris/1.0.0/golden.json").read_bytes())
    (other / "iris/1.0.0/manifest.json").write_text(json.dumps(manifest))
    started = threading.Barrier(2)

    def attempt(place: Path) -> Published | PublishingRefused:
        started.wait()
        try:
            return send(place, Shelf(shelf.url, shelf.endpoint), mover=Mover.now(place.name))
        except PublishingRefused as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, (store, other)))
    assert sorted(type(result).__name__ for result in results) == ["Published", "PublishingRefused"]
    # Whether the other was still at it, or had done: either is said.
    why = str(next(r for r in results if isinstance(r, PublishingRefused)))
    assert re.search("is taken|was published by .* with other bytes", why)
    assert open_artifact(shelf, "iris", "1.0.0", Policy())


def test_an_altered_source_is_refused_before_anything_is_written(store: Path, shelf: Shelf) -> None:
    (store / "iris/1.0.0/model.onnx").write_bytes(b"altered")
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx is not the file that was packed"):
        send(store, shelf)
    assert not shelf.entries("iris")


class Killed(BaseException):
    """The process ends here."""


class Fragile(Shelf):
    """Ends the publisher at its n-th write of a file, before or after it took place; the manifest is the fourth."""

    def live_for(self, writes: int, *, after: bool) -> "Fragile":
        self.left, self.after = itertools.count(writes, -1), after
        return self

    def upload(self, key: str, content: bytes, sent: Any) -> None:
        with self.perhaps():
            super().upload(key, content, sent)

    def create(self, key: str, content: bytes) -> bool:
        if not key.endswith("manifest.json"):
            return super().create(key, content)
        with self.perhaps():
            return super().create(key, content)

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        left = next(self.left)
        if left == 1 and not self.after:
            raise Killed
        yield
        if left == 1:
            raise Killed


def test_half_a_version_is_none_and_a_second_run_sends_only_what_is_missing(store: Path, shelf: Shelf) -> None:
    send(store, shelf)
    next_version(store, "iris", "1.1.0")
    with pytest.raises(Killed):
        send(store, Fragile(shelf.url, shelf.endpoint).live_for(2, after=False), "1.1.0")
    there = {entry.key: entry.size for entry in shelf.entries("iris/1.1.0")}
    assert "iris/1.1.0/manifest.json" not in there
    registry = Registry(Store(shelf.url, shelf.endpoint))
    assert registry.versions("iris") == ("1.0.0",)
    assert registry.live("iris") == "1.0.0"
    sizes = {f.name: f.stat().st_size for f in (store / "iris/1.1.0").iterdir() if f.name != "manifest.json"}
    missing = sum(size for name, size in sizes.items() if f"iris/1.1.0/{name}" not in there)
    assert 0 < missing < sum(sizes.values())
    assert send(store, shelf, "1.1.0").sent == missing
    assert Registry(Store(shelf.url, shelf.endpoint)).versions("iris") == ("1.0.0", "1.1.0")


def test_a_first_version_on_its_way_is_no_model(packed: Path, shelf: Shelf) -> None:
    with pytest.raises(Killed):
        send(packed, Fragile(shelf.url, shelf.endpoint).live_for(3, after=True))
    assert Registry(Store(shelf.url, shelf.endpoint)).names() == ()


def test_a_file_of_other_bytes_and_the_same_size_is_sent_again(packed: Path, shelf: Shelf) -> None:
    with pytest.raises(Killed):
        send(packed, Fragile(shelf.url, shelf.endpoint).live_for(4, after=False))
    shelf.upload("iris/1.0.0/model.joblib", b"x" * (packed / "iris/1.0.0/model.joblib").stat().st_size, lambda _: None)
    send(packed, shelf)
    assert open_artifact(shelf, "iris", "1.0.0", Policy(Trust("pinned", {"iris/1.0.0": _digest(shelf)})))
    assert shelf.read("iris/1.0.0/model.joblib") == (packed / "iris/1.0.0/model.joblib").read_bytes()


def _digest(shelf: Shelf) -> str:
    return digest(shelf.read("iris/1.0.0/manifest.json"))


CHILD = """
import os, random, signal, sys
from model.shelf import Shelf
from model.store import Store
from model.publish import publish
from model.label_file import Mover
source, url, endpoint, seed = sys.argv[1:]
random.seed(int(seed))
countdown = random.randint(1, 6)
def dying(method):
    def run(self, *arguments):
        global countdown
        before = random.random() < 0.5
        countdown -= 1
        if countdown == 0 and before: os.kill(os.getpid(), signal.SIGKILL)
        result = method(self, *arguments)
        if countdown == 0: os.kill(os.getpid(), signal.SIGKILL)
        return result
    return run
for name in ("swap", "create", "upload"):
    setattr(Shelf, name, dying(getattr(Shelf, name)))
publish(Store(source), "iris", "1.0.0", Shelf(url, endpoint or None), Mover.now("ann"))
"""


@pytest.mark.parametrize("seed", range(6))
def test_killed_anywhere_the_same_call_ends_it(packed: Path, shelf: Shelf, seed: int) -> None:
    """Each run is killed at a random write of its own; no state in between may be read as half a version."""
    whole = (packed / "iris/1.0.0/manifest.json").read_bytes()
    for attempt in range(20):
        command = [sys.executable, "-c", CHILD, packed.as_uri(), shelf.url, shelf.endpoint or ""]
        done = subprocess.run([*command, str(seed * 100 + attempt)], cwd=ROOT, env=os.environ, check=False)
        if "1.0.0" in shelf.versions("iris"):
            assert shelf.read("iris/1.0.0/manifest.json") == whole
            assert open_artifact(shelf, "iris", "1.0.0", Policy(Trust("pinned", {"iris/1.0.0": digest(whole)})))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert open_artifact(shelf, "iris", "1.0.0", Policy())
    assert send(packed, shelf).sent == 0


def test_a_large_file_goes_in_parts(tmp_path: Path, s3: Any, s3_endpoint: str) -> None:
    content, told = os.urandom(2 * PART + 5), list[int]()
    shelf = Shelf(f"s3://{BUCKET}/large", s3_endpoint)
    shelf.upload("m/1/model.joblib", content, told.append)
    assert shelf.read("m/1/model.joblib") == content
    assert told == [PART, PART, 5]
    assert s3.head_object(Bucket=BUCKET, Key="large/m/1/model.joblib")["ETag"].endswith('-3"')


def test_before_a_second_version_comes_the_first_is_labelled_live(store: Path, shelf: Shelf) -> None:
    send(store, shelf)
    assert label_file.read(shelf, "iris").labels.live is None
    next_version(store, "iris", "1.1.0")
    send(store, shelf, "1.1.0", BOB)
    live = label_file.read(shelf, "iris").labels.live
    assert live is not None
    assert (live.version, live.manifest) == ("1.0.0", _digest(shelf))
    assert Registry(Store(shelf.url, shelf.endpoint)).live("iris") == "1.0.0"


def test_a_second_key_signs_beside_the_first(packed: Path, shelf: Shelf, tmp_path: Path) -> None:
    public = [keys.generate(tmp_path / name) for name in ("old", "new")]
    first = send(packed, shelf, key=keys.read(tmp_path / "old"))
    again = send(packed, shelf, key=keys.read(tmp_path / "new"))
    assert (first.new, again.new, again.signed_by) == (True, False, public[1])
    assert send(packed, shelf, key=keys.read(tmp_path / "new")).sent == 0
    found = signature.parse(shelf.read("iris/1.0.0/manifest.sig"))
    assert [one.key for one in found.signatures] == public
    for key in public:
        assert open_artifact(shelf, "iris", "1.0.0", Policy(Trust("signed", keys=(key,))))


@contextmanager
def answering(status: int, code: str, times: int, behind: str) -> Iterator[str]:
    """An S3 that answers the first requests with an error, and then passes all on to moto's."""
    import httpx2  # noqa: PLC0415

    left = [times]
    lock = threading.Lock()

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with lock:
                left[0] -= 1
                refuse = left[0] >= 0
            if refuse:
                found, content, headers = status, f"<Error><Code>{code}</Code></Error>".encode(), {}
            else:
                given = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                reply = httpx2.request(self.command, behind + self.path, content=body, headers=given)
                found, content, headers = reply.status_code, reply.content, dict(reply.headers)
            self.send_response(found)
            for name in ("etag", "last-modified", "content-type"):
                if name in headers:
                    self.send_header(name, headers[name])
            length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(content))
            self.send_header("content-length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_throttling_is_waited_for(packed: Path, s3: Any, s3_endpoint: str) -> None:
    with answering(503, "SlowDown", times=3, behind=s3_endpoint) as endpoint:
        done = send(packed, Shelf(f"s3://{BUCKET}/throttled", endpoint))
    assert done.new
    assert open_artifact(Store(f"s3://{BUCKET}/throttled", s3_endpoint), "iris", "1.0.0", Policy())


def test_denied_access_is_said_and_nothing_is_visible(packed: Path, s3: Any, s3_endpoint: str) -> None:
    with (
        answering(403, "AccessDenied", times=99, behind=s3_endpoint) as endpoint,
        pytest.raises(ArtifactUnavailable, match="access denied"),
    ):
        send(packed, Shelf(f"s3://{BUCKET}/denied", endpoint))
    assert Store(f"s3://{BUCKET}/denied", s3_endpoint).names() == ()


@pytest.mark.usefixtures("s3_endpoint")
def test_an_unreachable_store_is_said(packed: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ArtifactUnavailable, match="cannot be read"):
            send(packed, Shelf("s3://models/x", endpoint, HURRY))


def test_what_is_not_there_cannot_be_published(packed: Path, shelf: Shelf) -> None:
    with pytest.raises(ArtifactMissing):
        send(packed, shelf, "9.9.9")
