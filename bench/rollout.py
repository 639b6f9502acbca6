"""What following a label file costs: `python -m bench.rollout` times requests that look, that swap, and starts from S3.

In one process over moto's S3, so compare the columns with each other and not with a network. A minute; not part of
`make bench`.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from model import fetch
from model.labels import Labels, Target, dump
from model.manifest import digest
from model.refresh import Pace
from model.registry import Registry
from model.serving_store import ServingStore

NAME, ROW = "rollout", (3.0, 4.0)
SIZES = (1, 10, 100)
"""MB of the files that are fetched as a cold start does it."""


def p50(work: Callable[[], object], repeat: int) -> float:
    """Median milliseconds."""
    times = []
    for _ in range(repeat):
        before = time.perf_counter()
        work()
        times.append((time.perf_counter() - before) * 1000)
    return statistics.median(times)


class Clock:
    """Turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def pack(folder: Path) -> Path:
    """Two versions of a forest, compiled; returns the store."""
    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

    from model.pack import pack as write  # noqa: PLC0415
    from model.source import read_source  # noqa: PLC0415
    from model.store import Store  # noqa: PLC0415

    points = np.random.default_rng(0).random((500, 2)) * 10
    for i, version in enumerate(("1", "2")):
        file = folder / f"{version}.joblib"
        joblib.dump(RandomForestRegressor(100, random_state=i).fit(points, points.sum(axis=1)), file)
        write(read_source(file), Store((folder / "store").as_uri()), NAME, version)
    return folder / "store"


@contextmanager
def s3(client_of: Callable[[str], Any]) -> Iterator[tuple[str, Any]]:
    """Moto's server in a process of its own: in this one it would share the interpreter with what is measured."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    command = [sys.executable, "-m", "bench.s3"]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        if server.stdin is None or server.stdout is None:
            raise AssertionError("both are pipes")
        endpoint = server.stdout.readline().strip()
        client = client_of(endpoint)
        client.create_bucket(Bucket="rollout")
        yield endpoint, client
        server.stdin.close()


def _client(endpoint: str) -> Any:
    import boto3  # noqa: PLC0415

    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")


def requests(endpoint: str, client: Any, store: Path) -> Mapping[str, float]:
    """Milliseconds of asking the registry who answers, by what that finds."""
    targets = {}
    for version in ("1", "2"):
        for file in (path for path in (store / NAME / version).rglob("*") if path.is_file()):
            client.put_object(Bucket="rollout", Key=f"p/{NAME}/{version}/{file.name}", Body=file.read_bytes())
        targets[version] = Target(version, digest((store / NAME / version / "manifest.json").read_bytes()))

    def label(version: str) -> None:
        client.put_object(Bucket="rollout", Key=f"p/{NAME}/labels.json", Body=dump(Labels(live=targets[version])))

    label("1")
    clock = Clock()
    registry = Registry(ServingStore("s3://rollout/p", endpoint), NAME, pace=Pace(60), clock=clock)
    registry.warm()
    never = Registry(ServingStore("s3://rollout/p", endpoint), NAME, clock=time.monotonic)
    never.warm()
    following = Registry(ServingStore("s3://rollout/p", endpoint), NAME, pace=Pace(10_000))
    following.warm()

    def looked() -> None:
        clock.now += 60
        registry.scorer(key="k")

    def thousand(who: Registry) -> Callable[[], None]:
        def ask() -> None:
            for _ in range(1_000):
                who.scorer(key="k")

        return ask

    found = {
        "never followed (MODEL_REFRESH_SECONDS=0)": p50(thousand(never), 50) / 1_000,
        "between two looks": p50(thousand(following), 50) / 1_000,
        "a look that finds nothing new (304)": p50(looked, 50),
    }
    label("2")
    found["a look that fetches, verifies, tests and swaps"] = p50(looked, 1)
    label("1")
    found["a look that swaps back to what is in memory"] = p50(looked, 1)
    return found


def fetches(endpoint: str, client: Any) -> Iterator[tuple[int, float, float]]:
    """MB, and milliseconds of one file of that size: in one read, and in parts at the same time."""
    for size in SIZES:
        content = os.urandom(size * 1_000_000)
        client.upload_fileobj(io.BytesIO(content), "rollout", f"p/{NAME}/big/{size}")
        expected = {str(size): digest(content)}
        times = []
        for part in (1 << 40, fetch.PART):

            def cold(part: int = part) -> None:
                store = ServingStore("s3://rollout/p", endpoint)
                with patch.object(fetch, "PART", part), store.within(60), tempfile.TemporaryDirectory() as scratch:
                    fetch.files(store, f"{NAME}/big", expected, lambda _: None, Path(scratch))  # noqa: B023

            times.append(p50(cold, 3))
        yield size, times[0], times[1]


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    console = Console()
    with tempfile.TemporaryDirectory() as folder, s3(_client) as (endpoint, client):
        table = Table("to ask the registry who answers", "ms")
        for what, milliseconds in requests(endpoint, client, pack(Path(folder))).items():
            table.add_row(what, f"{milliseconds:.5f}" if milliseconds < 0.1 else f"{milliseconds:.1f}")
        console.print(table)
        table = Table("MB", "one read, ms", f"parts of {fetch.PART >> 20} MiB, {fetch.AT_ONCE} at once, ms", "ratio")
        for size, one, parts in fetches(endpoint, client):
            table.add_row(str(size), f"{one:.0f}", f"{parts:.0f}", f"{one / parts:.2f}")
        console.print(table)


if __name__ == "__main__":
    main()
