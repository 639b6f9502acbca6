"""`python -m handler`: the service as a process, over a store and over one file of the user's."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

from tests.conftest import ROOT


@contextlib.contextmanager
def running(log: Path | None = None, **env: str) -> Iterator[str]:
    """Start the service on a free port and yield its URL once it answers; its lines go to `log`, if there is one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": str(port)} | env
    with (
        (log or Path(os.devnull)).open("wb") as lines,
        subprocess.Popen([sys.executable, "-m", "handler"], env=environment, stdout=lines) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                with contextlib.suppress(httpx2.TransportError):
                    httpx2.get(f"{url}/health/live")
                    break
                assert process.poll() is None, "the service stopped"
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(10)


def test_a_store(packed: Path) -> None:
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris") as url:
        assert httpx2.post(f"{url}/predict", json={"features": [6.1, 2.8, 4.7, 1.2]}).json()["prediction"] == 1
        assert httpx2.get(f"{url}/health/ready").status_code == 200


def test_one_file_without_packing_it_by_hand(tmp_path: Path) -> None:
    joblib.dump(LogisticRegression().fit(np.eye(2), ["ham", "spam"]), tmp_path / "my mail.pkl")
    with running(MODEL_PATH=str(tmp_path / "my mail.pkl")) as url:
        answer = httpx2.post(f"{url}/predict", json={"x0": 0, "x1": 1}).json()
        assert (answer["prediction"], answer["model"]["name"]) == ("spam", "my-mail")


def test_a_misspelt_setting_stops_it_with_a_sentence() -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_STOR": "x"}
    result = subprocess.run(
        [sys.executable, "-m", "handler"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("settings: MODEL_STOR: no such setting")
    assert json.dumps("Traceback") not in result.stderr
