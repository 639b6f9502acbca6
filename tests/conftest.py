"""What tests share: a store with both examples packed, an application over it, an S3 that is moto's server."""

import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from starlette.testclient import TestClient
from xdist.scheduler import LoadScopeScheduling

from handler import runtime
from handler.api import create_app
from handler.observe import Observer
from handler.settings import SERVICE, Settings
from model import fetch
from model.shelf import Shelf
from model.store import Store
from model.train import train

if TYPE_CHECKING:
    from tests.site import Site

ROOT = Path(__file__).parents[1]
BUCKET = "models"


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """Gives each process a file; those that run containers, all to one.

    By name: pytest-xdist 3.8 writes its own groups into an attribute that pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "lab" if _runs_containers(file) else file


@cache
def _runs_containers(file: str) -> bool:
    return re.search(r"pytest\.mark\.lab\b", (ROOT / file).read_text()) is not None


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Share the tests out by file."""
    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed run: there everything that a test needs is there, or is missing by mistake."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("CI=true: skipped tests fail the run", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with iris/1.0.0 and babies/1.0.0, trained once a session; read only."""
    folder = tmp_path_factory.mktemp("store")
    for example in ("iris", "babies"):
        train(example, Store(folder.as_uri()))
    return folder


@pytest.fixture
def store(packed: Path, tmp_path: Path) -> Path:
    """A copy of `packed` that a test may spoil."""
    import shutil  # noqa: PLC0415

    return Path(shutil.copytree(packed, tmp_path / "store"))


@pytest.fixture(autouse=True)
def parts_apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of models that a test fetched are no other test's, though their digests are the same."""
    folder = tmp_path_factory.mktemp("parts")
    monkeypatch.setattr(fetch, "scratch", lambda: folder)


LogLines = Callable[[], list[dict[str, Any]]]
ClientFactory = Callable[..., TestClient]


@pytest.fixture
def serve(packed: Path) -> ClientFactory:
    """Return a client of the application over `packed`, or over the store and settings given."""

    def factory(folder: Path | None = None, **settings: str) -> TestClient:
        env = {"MODEL_STORE": (folder or packed).as_uri(), "MODEL_DEFAULT": "iris"} | settings
        started = runtime.start(env)
        return TestClient(
            create_app(started.registry, started.settings, started.observer, recorder=started.recorder),
            raise_server_exceptions=False,
        )

    return factory


@pytest.fixture
def client(serve: ClientFactory) -> TestClient:
    return serve()


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    """Return what reads the structured lines logged since the test began; there is one logger a process."""
    logger = logging.getLogger(SERVICE)
    observer = Observer(Settings.from_env({}))
    assert observer.logger.name == logger.name
    (handler,) = logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(io.StringIO())
    yield lambda: [json.loads(line) for line in handler.stream.getvalue().splitlines()]
    handler.setStream(before)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Moto's S3 over HTTP, with the AWS variables that every client of it reads."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    values = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    yield values["AWS_ENDPOINT_URL"]
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, packed: Path) -> Iterator[Any]:
    """A bucket that holds `packed` below prefix/; returns its boto3 client."""
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    for file in packed.rglob("*"):
        if file.is_file():
            client.put_object(Bucket=BUCKET, Key=f"prefix/{file.relative_to(packed)}", Body=file.read_bytes())
    yield client
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store/ has one small model in four versions; read only."""
    from tests.site import pack_versions  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("steps")
    pack_versions(folder)
    return folder


@pytest.fixture
def site(s3_endpoint: str, steps: Path) -> Iterator["Site"]:
    """An S3 that misbehaves on demand, with version 1.0.0 of the model live."""
    from tests.misbehaving_s3 import faulty_s3  # noqa: PLC0415
    from tests.site import BUCKET as ROLLOUTS  # noqa: PLC0415
    from tests.site import Site  # noqa: PLC0415

    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=ROLLOUTS)
    with faulty_s3(s3_endpoint) as proxy:
        made = Site(client, proxy, steps)
        made.publish("1.0.0")
        made.label("1.0.0")
        yield made
    for entry in client.list_objects_v2(Bucket=ROLLOUTS).get("Contents", []):
        client.delete_object(Bucket=ROLLOUTS, Key=entry["Key"])
    client.delete_bucket(Bucket=ROLLOUTS)


def next_version(store: Path, name: str, version: str, **members: Any) -> Path:
    """Make a version out of 1.0.0: the same files, another manifest with `members` changed. Returns its folder."""
    import shutil  # noqa: PLC0415

    folder = Path(shutil.copytree(store / name / "1.0.0", store / name / version))
    manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version} | members
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(params=["folder", "s3"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """An empty store to publish to, in a folder and on S3."""
    if request.param == "folder":
        return Shelf((tmp_path / "published").as_uri())
    request.getfixturevalue("s3")
    return Shelf(f"s3://{BUCKET}/published", request.getfixturevalue("s3_endpoint"))
