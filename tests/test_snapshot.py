"""SnapStart in one process: the hooks that the runtime would call, around a pause in which the world moved on."""

import gc
import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import snapshot_restore_py as hooks

from handler import runtime, snapshot
from handler.front import Front
from handler.settings import Settings
from tests.conftest import ROOT
from tests.misbehaving_s3 import Fault
from tests.site import NAME, ROW, Site, answer

TOKEN = "token-of-this-environment"


class Endpoint(ThreadingHTTPServer):
    """The container credentials endpoint: a new key with every answer, and only for who has the token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.given: list[str] = []
        self.refused = 0


class _Answer(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        if self.headers["Authorization"] != TOKEN or self.path != "/v1/credentials":
            self.server.refused += 1
            self.send_error(401)
            return
        key = f"ASIA{len(self.server.given):016}"
        self.server.given.append(key)
        found = {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, s3_endpoint: str) -> Iterator[Endpoint]:
    server = Endpoint()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_before_snapshot_registry", [])
    monkeypatch.setattr(hooks, "_after_restore_registry", [])


def run(registry: list[Any]) -> None:
    """Call what is registered, as the runtime client does."""
    for function, args, kwargs in registry:
        function(*args, **kwargs)


def start(site: Site) -> tuple[runtime.Runtime, Front]:
    import os  # noqa: PLC0415

    given = {
        "MODEL_STORE": "s3://rollouts/prefix",
        "MODEL_DEFAULT": NAME,
        "MODEL_TRUST": "labelled",
        "AWS_ENDPOINT_URL": site.proxy.url,
    }
    started = runtime.start({**os.environ, **given}, site.clock)
    front = Front(started.registry, started.settings, started.observer)
    snapshot.register(started, lambda: front.application)
    return started, front


@pytest.mark.usefixtures("registered")
def test_after_a_restore_labels_credentials_and_randomness_are_new(
    site: Site, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, front = start(site)
    assert started.registry.scorer().manifest.version == "1.0.0"
    assert len(endpoint.given) == 1
    run(hooks._before_snapshot_registry)
    assert "application" in vars(front)
    assert started.store._opened is None
    gc.collect()
    frozen = random.getstate()
    site.publish("1.1.0")
    site.label("1.1.0")
    random.setstate(frozen)
    twin = random.random()
    random.setstate(frozen)
    run(hooks._after_restore_registry)  # the clock stands still: the labels are read because it was restored
    assert random.random() != twin
    assert len(endpoint.given) == 2
    scorer = started.registry.scorer()
    assert scorer.manifest.version == "1.1.0"
    assert scorer.score([tuple(ROW)]).values == [answer("1.1.0", ROW)]
    assert endpoint.refused == 0


@pytest.mark.usefixtures("registered")
def test_a_restore_while_the_store_is_away_answers_with_what_the_snapshot_held(site: Site, endpoint: Endpoint) -> None:
    started, _ = start(site)
    run(hooks._before_snapshot_registry)
    site.label("1.1.0")
    site.proxy.faults = [Fault("refused")]
    run(hooks._after_restore_registry)
    assert started.registry.scorer().manifest.version == "1.0.0"
    assert started.registry.faults()


@pytest.mark.usefixtures("registered")
def test_what_failed_at_initialisation_is_loaded_before_the_snapshot(site: Site, endpoint: Endpoint) -> None:
    site.proxy.faults = [Fault("denied")]
    started, _ = start(site)
    site.proxy.faults = []
    site.later()
    run(hooks._before_snapshot_registry)
    assert started.registry.state(NAME, "1.0.0") == "ready"


@pytest.mark.usefixtures("registered")
def test_credentials_that_are_refused_are_a_store_that_does_not_answer(
    site: Site, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    started, _ = start(site)
    assert endpoint.refused > 0
    assert started.registry.state(NAME, "1.0.0") == "idle"
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
    run(hooks._after_restore_registry)
    site.later()
    assert started.registry.scorer().manifest.version == "1.0.0"


@pytest.mark.usefixtures("registered")
def test_without_snap_start_nothing_is_registered_or_imported(site: Site) -> None:
    site.serve()
    assert site.started is not None
    snapshot.register(site.started)
    assert hooks._before_snapshot_registry == hooks._after_restore_registry == []
    code = "import handler.on_http, sys; assert not {'snapshot_restore_py', 'model.credentials'} & set(sys.modules)"
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"MODEL_STORE": "file:///nowhere"}, check=True)


def test_keys_of_the_environment_go_before_the_endpoint() -> None:
    uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/"}
    assert Settings.from_env(uri).credentials_uri == "http://127.0.0.1/"
    assert Settings.from_env(uri | {"AWS_ACCESS_KEY_ID": "a"}).credentials_uri is None
    assert TOKEN not in repr(Settings.from_env(uri | {"AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN}))
