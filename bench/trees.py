"""What is measured, built: our trees by the recipes that `sam build` runs, the others' from the same locked wheels.

All under .cache/bench: contenders' packages by the digest of their wheels, models by that of the code that packs them.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from infra.layer import install
from infra.lock import closure, locked
from infra.prune import prune
from infra.target import compile_bytecode, require_python

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"
CONTENDERS = Path(__file__).parent / "contenders"
ENGINES = ("onnx", "joblib")

TUTORIAL = ("fastapi", "mangum", "scikit-learn", "joblib", "numpy", "aws-lambda-powertools")
FLOOR = ("onnxruntime", "numpy")
MACHINE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True, slots=True)
class Trees:
    """Folders: our code, layers by their names, and the models with their requests."""

    code: Path
    layers: dict[str, Path]
    models: Path


@contextmanager
def alone() -> Iterator[None]:
    """Exit if another run measures now: each would spoil the other's figures, and the folders are the same."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another benchmark runs on this machine: wait for its end") from None
        yield


def build() -> Trees:
    """Build or find all of it; the first time takes some minutes. Exits where the Python is not Lambda's."""
    require_python()
    models = _models()
    layers = {name: _layer(name, models) for name in ENGINES}
    layers["shipped"] = _packages("tutorial", TUTORIAL)
    layers["shipped-frame"] = _packages("tutorial-frame", (*TUTORIAL, "pandas"))
    for plain, compiled in (("shipped", "tutorial"), ("shipped-frame", "tutorial-frame")):
        layers[compiled] = _kept(f"{layers[plain].name}-compiled", lambda to, plain=plain: _compiled(layers[plain], to))  # type: ignore[misc]
    layers["floor"] = _packages("floor", FLOOR, tuned=True)
    layers["timed"] = _timed()
    return Trees(_ours("code", "infra.function_code"), layers, models)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed (see above)")


def _ours(folder: str, module: str, *options: str) -> Path:
    """Run what a recipe of `sam build` runs, afresh: it keeps its own cache of what is slow."""
    target = CACHE / folder
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _run(sys.executable, "-m", module, *options, str(target))
    return target


def _layer(engine: str, models: Path) -> Path:
    options = ("--arch", MACHINE, "--flavour", engine, "--artifacts", str(models / "forest" / "store"), "--output")
    return _ours(engine, "infra.layer", *options)


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that name; if it is not there, `make` fills it, and its predecessors go."""
    kept = CACHE / name
    if not kept.exists():
        scratch = kept.with_name(f".{name}-{os.getpid()}")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        print(f"Building {name}", flush=True)
        make(scratch)
        for old in CACHE.glob(re.sub("[0-9a-f]{12}", "?" * 12, name)):
            shutil.rmtree(old)
        scratch.rename(kept)
    return kept


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join([platform.python_version(), *parts]).encode()).hexdigest()[:12]


def _packages(name: str, direct: tuple[str, ...], *, tuned: bool = False) -> Path:
    """The locked wheels of `direct` as pip unpacks them, as `sam build` leaves them; `tuned` as our layers are."""
    lock = locked(ROOT / "requirements.txt")
    found = sorted(closure([Requirement(package) for package in direct], MACHINE))
    requirements = "".join(f"{lock[package]}\n" for package in found)

    def make(folder: Path) -> None:
        install(requirements, MACHINE, folder / "python")
        if tuned:
            prune(folder / "python")
            compile_bytecode(folder / "python", "/opt/python")

    return _kept(f"{name}-{_digest([requirements])}", make)


def _compiled(plain: Path, folder: Path) -> None:
    """The same files, linked, and bytecode beside them. What does not compile is a test of another Python's syntax."""
    shutil.copytree(plain, folder, copy_function=os.link, dirs_exist_ok=True)
    command = [sys.executable, "-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, str(folder)], check=False)  # noqa: S603


def _timed() -> Path:
    folder = CACHE / "timed"
    (folder / "python").mkdir(parents=True, exist_ok=True)
    shutil.copy(CONTENDERS / "timed.py", folder / "python" / "timed.py")
    return folder


def _models() -> Path:
    sources = [Path(__file__).parent / "models.py", *sorted((ROOT / "model").rglob("*.py")), ROOT / "requirements.txt"]
    name = f"models-{_digest(source.read_text() for source in sources)}"
    return _kept(name, lambda folder: _run(sys.executable, "-m", "bench.models", str(folder)))
