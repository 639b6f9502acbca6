"""Moto's S3 in a process of its own: `python -m bench.s3` serves until its input ends, and prints where."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.trees import ROOT

BUCKET = "bench"


@contextmanager
def bucket(models: Path) -> Iterator[Mapping[str, str]]:
    """Serve every artifact below `models` as s3://bench/models/…; yields the environment that its readers need."""
    command = [sys.executable, "-m", "bench.s3"]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        if server.stdin is None or server.stdout is None:
            raise AssertionError("both are pipes")
        try:
            keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
            environment = {**keys, "AWS_ENDPOINT_URL": server.stdout.readline().strip(), "BUCKET": BUCKET}
            _upload(models, environment)
            yield environment
        finally:
            server.stdin.close()


def _upload(models: Path, environment: Mapping[str, str]) -> None:
    import boto3  # noqa: PLC0415

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=BUCKET)
    for store in models.glob("*/store"):
        for file in (path for path in store.rglob("*") if path.is_file()):
            client.put_object(Bucket=BUCKET, Key=f"models/{file.relative_to(store)}", Body=file.read_bytes())


def main() -> None:
    """Serve."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
