"""`python -m tests.rollouts [--rollouts N] [--seed S]`: requests through rollouts and rollbacks, while the store fails.

A seeded schedule moves labels and lets faults come and go; a version without a label leaves the memory, so that the
next move to it fetches it again. Each answer must be the one of the version that
it names, every status 200, and once the faults are over the service must answer with what the labels say.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from tests.misbehaving_s3 import Fault, Kind, faulty_s3
from tests.site import BUCKET, NAME, VERSIONS, Site, ask, pack_versions, silence

KINDS: tuple[Kind, ...] = ("slow", "throttled", "broken", "denied", "skewed", "gone", "cut", "altered", "refused")
PATHS = ("", r"labels\.json", r"manifest\.json", r"model\.onnx", r"golden\.json")
REQUESTS = 12
_BUDGET = "150"


def soak(site: Site, rollouts: int, seed: int) -> Counter[str]:
    """Do so many rollouts; returns how many answers each version gave. Raises AssertionError at the first wrong one."""
    source = random.Random(seed)
    site.publish(*VERSIONS)
    service = site.serve(MODEL_REFRESH_BUDGET_MS=_BUDGET)
    answered: Counter[str] = Counter()
    for _ in range(rollouts):
        allowed = _move(site, source)
        site.proxy.faults = [_fault(source) for _ in range(source.randint(0, 2))]
        for _ in range(REQUESTS):
            site.later(source.choice((0, 1, 30, 61)))
            answered[_ask(service, source)] += 1
            if source.random() < 0.2:
                site.proxy.faults = []
        site.proxy.faults = []
        _settle(site, service, source, allowed)
        site.forget()
    return answered


def _move(site: Site, source: random.Random) -> set[str]:
    """Move the labels, at times to a version that is not there; returns who may answer once all is well."""
    live, canary, shadow = (source.choice(VERSIONS) for _ in range(3))
    weight = source.choice((0.0, 0.1, 0.5, 1.0))
    site.label(
        live, canary=(canary, weight) if weight else None, shadow=(shadow, 0.5) if source.random() < 0.3 else None
    )
    return {live, canary} if weight else {live}


def _fault(source: random.Random) -> Fault:
    kind, path = source.choice(KINDS), source.choice(PATHS)
    spared = source.randint(0, 3) if path in PATHS[:2] else 0  # a version's file is asked for once
    return Fault(kind, path, seconds=0.3, times=source.randint(1, 6), after=spared)


def _ask(service: TestClient, source: random.Random) -> str:
    row = [float(source.randint(0, 9)), float(source.randint(0, 9))]
    return ask(service, source.choice((None, str(source.randint(0, 99)))), row)


def _settle(site: Site, service: TestClient, source: random.Random, allowed: set[str]) -> None:
    for _ in range(15):
        site.later(61)
        found = _ask(service, source)
        if service.get("/health").json()["status"] == "ready":
            break
    else:
        raise AssertionError("degraded long after the last fault")
    assert found in allowed
    assert {_ask(service, source) for _ in range(5)} <= allowed


@contextmanager
def alone() -> Iterator[Site]:
    """A site of one's own, outside pytest."""
    import os  # noqa: PLC0415

    import boto3  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(keys, AWS_REGION="us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    with tempfile.TemporaryDirectory() as folder, faulty_s3(endpoint) as proxy:
        pack_versions(Path(folder))
        yield Site(client, proxy, Path(folder))
    server.stop()


def main() -> None:
    """Soak, and say what was seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    with alone() as site:
        site.publish("1.0.0")
        site.label("1.0.0")
        answered = soak(site, options.rollouts, options.seed)
        requests, struck = len(site.proxy.seen), Counter(file for _, file in site.proxy.struck)
    print(
        f"{NAME}: {options.rollouts} rollouts in {time.monotonic() - started:.0f} s, "
        f"{sum(answered.values()):,} answers, none wrong, no 5xx; {requests:,} requests to the store, "
        f"faults met by {dict(struck)}; {dict(answered)}"
    )


if __name__ == "__main__":
    silence()
    main()
