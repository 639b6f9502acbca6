"""A model in several versions on a misbehaving S3, a service over it, and a clock that is turned by hand."""

import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.tree import DecisionTreeRegressor
from starlette.testclient import TestClient

from handler import runtime
from handler.api import create_app
from handler.observe import Observer
from handler.runtime import Runtime
from handler.settings import SERVICE, Settings
from model.labels import Labels, Share, Target, dump
from model.manifest import digest
from model.pack import pack
from model.source import read_source
from model.store import Store
from tests.misbehaving_s3 import FaultyS3

BUCKET, PREFIX, NAME = "rollouts", "prefix", "steps"
VERSIONS = ("1.0.0", "1.1.0", "2.0.0", "2.1.0")
ROW = [3.0, 4.0]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def answer(version: str, row: list[float]) -> float:
    """What a version answers: the steps of its tree, a thousand apart from version to version."""
    return 1000.0 * VERSIONS.index(version) + float(round(row[0])) * 10 + float(round(row[1]))


def pack_versions(folder: Path) -> None:
    """Pack every version below `folder`: trees that know each of 100 points by heart."""
    points = np.array([[float(i), float(j)] for i in range(10) for j in range(10)])
    for version in VERSIONS:
        tree = DecisionTreeRegressor(random_state=0).fit(points, [answer(version, list(p)) for p in points])
        file = folder / f"{version}.joblib"
        joblib.dump(tree, file)
        pack(read_source(file), Store((folder / "store").as_uri()), NAME, version)


@dataclass
class Site:
    """The bucket (`s3` reaches it past the faults), the faults, the clock; a service by `serve`."""

    s3: Any
    proxy: FaultyS3
    folder: Path
    clock: Clock = field(default_factory=Clock)
    started: Runtime | None = None

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{NAME}/{key}", Body=content)

    def publish(self, *versions: str) -> None:
        for version in versions:
            for file in (self.folder / "store" / NAME / version).rglob("*"):
                if file.is_file():
                    self.put(f"{version}/{file.name}", file.read_bytes())

    def target(self, version: str) -> Target:
        manifest = self.folder / "store" / NAME / version / "manifest.json"
        return Target(version, digest(manifest.read_bytes()) if manifest.exists() else "sha256:" + "0" * 64)

    def label(
        self, live: str, canary: tuple[str, float] | None = None, shadow: tuple[str, float] | None = None
    ) -> None:
        def share(given: tuple[str, float] | None) -> Share | None:
            return Share(given[0], self.target(given[0]).manifest, given[1]) if given else None

        labels = Labels(live=self.target(live), canary=share(canary), shadow=share(shadow))
        self.put("labels.json", dump(labels))

    def serve(self, **settings: str) -> TestClient:
        env = {
            "MODEL_STORE": f"s3://{BUCKET}/{PREFIX}",
            "MODEL_DEFAULT": NAME,
            "MODEL_TRUST": "labelled",
            "MODEL_REFRESH_SECONDS": "60",
            "AWS_ENDPOINT_URL": self.proxy.url,
        }
        self.started = runtime.start(env | settings, self.clock)
        app = create_app(self.started.registry, self.started.settings, self.started.observer)
        return TestClient(app, raise_server_exceptions=False)

    def forget(self) -> None:
        """Let what no label names leave the service's memory, as others do that need the room."""
        assert self.started is not None
        cache = self.started.registry._loader.cache
        for key in set(cache._kept) - cache._labelled():
            del cache._kept[key]

    def later(self, seconds: float = 60.0) -> None:
        self.clock.now += seconds


def ask(service: TestClient, key: str | None = None, row: list[float] | None = None, path: str = "/predict") -> str:
    """Ask, check that the answer is the one of the version that it names, and return that version."""
    row = row or ROW
    response = service.post(path, json={"features": row}, headers={"x-canary-key": key} if key else {})
    assert response.status_code == 200, response.text
    found = response.json()
    version: str = found["model"]["version"]
    assert found["prediction"] == answer(version, row), (version, found)
    return version


def lines(handler: Callable[[], Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in handler().splitlines()]


def silence() -> io.StringIO:
    """Send the one logger's lines into memory; a long run would print thousands."""
    Observer(Settings.from_env({}))
    stream = io.StringIO()
    for handler in logging.getLogger(SERVICE).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)
    return stream
