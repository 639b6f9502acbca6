"""Run a built function on the real runtime client, behind AWS's Runtime Interface Emulator, without Docker.

    with Emulator(functions(Path(".aws-sam/build"))["ApiFunction"]) as lambda_:
        answer = lambda_.invoke(event)

Like Lambda: Python 3.13 that sees the code, the layers and the runtime's own packages and nothing else, a minimal
environment, one invoke at a time. Unlike it: initialisation happens within the first invoke, memory has no limit,
and the layers are where the build left them, not in /opt. Linux only. Used by the tests and by the benchmark.
"""

import http.client
import importlib.util
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.built import Function
from infra.cgroup import cpu_quota
from infra.target import PYTHON

_RUNTIME = ("awslambdaric", "runtime_client", "snapshot_restore_py", "simplejson")
_RUNTIME_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six")
_START_SECONDS, _INVOKE_SECONDS, _STOP_SECONDS = 10, 120, 2


class EmulatorUnavailable(Exception):
    """This machine cannot run the emulator; the text says what is missing."""


def emulator() -> Path:
    """The emulator's executable, which the wheel of the SAM command line carries. Raises EmulatorUnavailable."""
    if sys.platform != "linux" or sys.version_info[:2] != PYTHON:
        version = ".".join(map(str, PYTHON))
        raise EmulatorUnavailable(f"needs Linux and Python {version}; this is {sys.platform}, {sys.version.split()[0]}")
    if not (found := importlib.util.find_spec("samcli")) or not found.origin:
        raise EmulatorUnavailable("needs aws-sam-cli in this environment: make dev")
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return Path(found.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _runtime_packages(folder: Path) -> Path:
    """Link what Lambda's own image carries into `folder`: site-packages whole would hide what a layer lacks."""
    site = Path(importlib.util.find_spec("awslambdaric").origin or "").parents[1]  # type: ignore[union-attr]
    for name in (*_RUNTIME, *_RUNTIME_SDK):
        for found in (*site.glob(name), *site.glob(f"{name}.*"), *site.glob(f"{name}-*.dist-info")):
            (folder / found.name).symlink_to(found)
    return folder


class Emulator:
    """A function behind the emulator, started on entry and stopped on exit with every process it left.

    `environment` is laid over the function's own; MODEL_STORE follows the models' layer to where it was built.
    `vcpus` holds the processes to that share by a cgroup (raises QuotaUnavailable where the machine has none).
    """

    def __init__(
        self, function: Function, environment: Mapping[str, str] | None = None, vcpus: float | None = None
    ) -> None:
        """Nothing starts yet."""
        self.function, self.vcpus = function, vcpus
        self.environment = {**function.environment, **(environment or {})}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Start the emulator; the function itself initialises in the first invoke."""
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emulator-")))
            self._log = scratch / "log"
            self._port = _free_port()
            command = self._command(emulator(), self._port, _free_port())
            if self.vcpus is not None:
                group = stack.enter_context(cpu_quota(self.vcpus))
                command = ["/bin/sh", "-c", f'echo $$ > {group} && exec "$@"', "sh", *command]
            (packages := scratch / "runtime").mkdir()
            environment = self._environment(_runtime_packages(packages))
            output = stack.enter_context(self._log.open("wb"))
            self._process = subprocess.Popen(  # in its own session, by which stopping finds all that it started
                command, cwd=self.function.code, env=environment, stdout=output, stderr=output, start_new_session=True
            )
            stack.callback(self._stop)
            self._connect()
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every process of the session and remove the scratch folder."""
        self._exit.close()

    def _command(self, executable: Path, port: int, api_port: int) -> list[str]:
        addresses = [
            f"--runtime-interface-emulator-address=127.0.0.1:{port}",
            f"--runtime-api-address=127.0.0.1:{api_port}",
        ]
        # The interpreter itself, without site: no environment, no user's packages. -B: the built tree stays as it is.
        python = [getattr(sys, "_base_executable", sys.executable), "-S", "-B"]
        return [str(executable), *addresses, *python, "-m", "awslambdaric", self.function.handler]

    def _environment(self, runtime: Path) -> dict[str, str]:
        function = self.function
        path = [function.code, *(layer / "python" for layer in function.layers), runtime]
        models = next((layer / "model" for layer in function.layers if (layer / "model").is_dir()), None)
        given = dict(self.environment)
        if models and given.get("MODEL_STORE") == "file:///opt/model":
            given["MODEL_STORE"] = models.resolve().as_uri()
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "en_US.UTF-8", "TZ": ":UTC", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": function.name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(_INVOKE_SECONDS), "LAMBDA_TASK_ROOT": str(function.code),
            "PYTHONPATH": os.pathsep.join(map(str, path)), **given,
        }  # fmt: skip

    def _connect(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self._client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_INVOKE_SECONDS)
            with suppress(ConnectionRefusedError):
                return self._client.connect()
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise EmulatorUnavailable(f"the emulator did not start: {self.log}")
            time.sleep(0.01)

    def invoke(self, event: Any) -> Any:
        """Invoke the function and return what it answered; a raised error is a dict with errorType and errorMessage."""
        return json.loads(self.invoke_raw(json.dumps(event).encode()))

    def invoke_raw(self, payload: bytes) -> bytes:
        """Invoke with the bytes of an event and return the bytes of the answer: what a benchmark times."""
        self._client.request("POST", "/2015-03-31/functions/function/invocations", payload)
        return self._client.getresponse().read()

    @property
    def log(self) -> str:
        """All that the function and the emulator have printed so far."""
        return self._log.read_text(errors="replace")

    def peak_memory(self) -> int:
        """Bytes of resident memory that the function's process has had at most."""
        sizes = []
        for process in self._session():
            with suppress(OSError, StopIteration):  # it may have ended
                lines = Path(f"/proc/{process}/status").read_text().splitlines()
                sizes.append(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024)
        return max(sizes, default=0)

    def _session(self) -> list[int]:
        """The living processes of the session: the emulator gives the function a process group of its own."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it ended meanwhile
                state, _, _, session = entry.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self._process.pid and state not in "ZX":
                    found.append(int(entry.parent.name))
        return found

    def _stop(self) -> None:
        self._client.close()
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in self._session():
                with suppress(ProcessLookupError):
                    os.kill(process, sign)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._session() and time.monotonic() < deadline:
                time.sleep(0.005)
        self._process.wait()
