"""The tree that `sam build` makes, once a session, and the functions in it under the emulator."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.built import Function, functions
from infra.emulator import Emulator, EmulatorUnavailable, emulator
from infra.target import PYTHON

ROOT = Path(__file__).parents[2]
EVENTS = Path(__file__).parent / "events"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failed run: there everything that a test needs is there, or is missing by mistake."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        reporter.write_line("CI=true: skipped tests fail the run", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment for a `make` or `sam` of its own: nothing of the make that runs the tests."""
    inner = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "ARTIFACTS_DIR", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if name not in inner}
    return {**kept, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", **more}


def sam(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the SAM command line in the project's folder."""
    command = [str(Path(sys.executable).parent / "sam"), *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=timeout
    )


def event(name: str) -> Any:
    """One of the events under tests/infra/events."""
    return json.loads((EVENTS / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def python_of_lambda() -> None:
    """Skip where this is not the Python that Lambda runs."""
    if sys.version_info[:2] != PYTHON:
        pytest.skip(f"layers are built by Python 3.13, and .venv is {sys.version.split()[0]}")


@pytest.fixture(scope="session")
def built(python_of_lambda: None) -> Path:
    """The folder that a plain `sam build` fills, for x86_64."""
    done = sam("build")
    assert done.returncode == 0, done.stderr[-4000:]
    return ROOT / ".aws-sam" / "build"


@pytest.fixture(scope="session")
def layer(built: Path) -> Path:
    """The built dependencies, as they stand on sys.path."""
    return built / "DependenciesLayer" / "python"


Start = Callable[..., Emulator]


@pytest.fixture(scope="module")
def start(built: Path) -> Iterator[Start]:
    """Start a built function, or the one given, under the emulator: start("ApiFunction", MODEL_DEFAULT="babies")."""
    try:
        emulator()
    except EmulatorUnavailable as reason:
        pytest.skip(str(reason))
    with ExitStack() as running:

        def begin(function: str | Function, **environment: str) -> Emulator:
            chosen = functions(built)[function] if isinstance(function, str) else function
            return running.enter_context(Emulator(chosen, environment))

        yield begin
