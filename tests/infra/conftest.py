"""The trees that `sam build` makes, one a flavour and session, and the functions in them under the emulator."""

import fcntl
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
from infra.flavour import FlavourName, choose
from infra.target import PYTHON
from model.manifest import EngineName

ROOT = Path(__file__).parents[2]
EVENTS = Path(__file__).parent / "events"


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment for a `make` or `sam` of its own: nothing of the make that runs the tests."""
    inner = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "FLAVOUR", "ARTIFACTS_DIR", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if name not in inner}
    return {**kept, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", **more}


def sam(*arguments: str, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the SAM command line in the project's folder."""
    command = [str(Path(sys.executable).parent / "sam"), *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def lay_out_dependencies(flavour: FlavourName, arch: str, output: Path) -> str:
    """Build a layer of dependencies for no models, and return what was printed."""
    command = [sys.executable, "-m", "infra.layer", "--arch", arch, "--flavour", flavour, "--output", str(output)]
    command += ["--artifacts", str(output.parent / "none")]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def event(name: str) -> Any:
    """One of the events under tests/infra/events."""
    return json.loads((EVENTS / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def python_of_lambda() -> None:
    """Skip where this is not the Python that Lambda runs."""
    if sys.version_info[:2] != PYTHON:
        pytest.skip(f"layers are built by Python 3.13, and .venv is {sys.version.split()[0]}")


@pytest.fixture(scope="session")
def built(python_of_lambda: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a plain `sam build` fills, for x86_64 and the flavour that the models in artifacts/ allow."""
    return _once(tmp_path_factory, ROOT / ".aws-sam" / "build")


@pytest.fixture(scope="session")
def built_for_joblib(python_of_lambda: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `FLAVOUR=joblib sam build` fills."""
    folder = ROOT / ".aws-sam" / "joblib"
    return _once(tmp_path_factory, folder, "--build-dir", str(folder), flavour="joblib")


def _once(factory: pytest.TempPathFactory, tree: Path, *arguments: str, flavour: str = "") -> Path:
    """Let the first of the run's processes that wants a tree build it; the others wait."""
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    marker = shared / f"built-{tree.name}"
    with (shared / "building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            done = sam("build", *arguments, FLAVOUR=flavour)
            assert done.returncode == 0, done.stderr[-4000:]
            marker.touch()
    return tree


@pytest.fixture(scope="session", params=["onnx", "joblib"])
def flavour(request: pytest.FixtureRequest, python_of_lambda: None) -> EngineName:
    """The flavours that serve the examples; a plain build takes onnx, unless something else is packed beside them."""
    name: EngineName = request.param
    if name == "onnx" and choose(ROOT / "artifacts") != "onnx":
        pytest.skip("artifacts/ holds a model without a compiled twin, so a plain build carries scikit-learn")
    return name


@pytest.fixture(scope="session")
def tree(flavour: EngineName, request: pytest.FixtureRequest) -> Path:
    """The built folder of each flavour."""
    folder: Path = request.getfixturevalue("built" if flavour == "onnx" else "built_for_joblib")
    return folder


@pytest.fixture(scope="session")
def pandas_layer(python_of_lambda: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dependencies of the pandas flavour: two of its packages without sources."""
    output = tmp_path_factory.mktemp("pandas") / "layer"
    lay_out_dependencies("pandas", "x86_64", output)
    return output


Start = Callable[..., Emulator]


@pytest.fixture(scope="module")
def start(tree: Path) -> Iterator[Start]:
    """Start a function of each flavour, or the one given, under the emulator: start("ApiFunction", NAME="value")."""
    try:
        emulator()
    except EmulatorUnavailable as reason:
        pytest.skip(str(reason))
    with ExitStack() as running:

        def begin(function: str | Function, **environment: str) -> Emulator:
            chosen = functions(tree)[function] if isinstance(function, str) else function
            return running.enter_context(Emulator(chosen, environment))

        yield begin
