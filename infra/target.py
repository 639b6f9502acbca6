"""The runtime that is deployed to: its limits, its wheels, its bytecode."""

import shutil
import subprocess
import sys
from pathlib import Path

PYTHON = (3, 13)
LIMIT = 262_144_000
"""Bytes of code and layers together that Lambda unzips for one function; it refuses more."""

ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""Lambda's name of an architecture, and the wheels' (and Linux's)."""

_GLIBC = 28
"""Amazon Linux 2023 has glibc 2.34; wheels for 2.28 and below exist for all that we use, newer ones are rare."""


def require_python() -> None:
    """Exit with what to do unless this is the target's Python: no other writes bytecode that it reads."""
    if sys.version_info[:2] == PYTHON:
        return
    wanted = ".".join(map(str, PYTHON))
    found = subprocess.run(["infra/find-python", "--exact", wanted], capture_output=True, text=True, check=False)
    advice = found.stderr if found.returncode else f"There is one here: {found.stdout.strip()}\n"
    raise SystemExit(
        f"The build needs Python {wanted}, as Lambda runs it; .venv is Python {sys.version.split()[0]}.\n"
        f"{advice}Then: rm -rf .venv && make setup"
    )


def platforms(arch: str) -> list[str]:
    """The wheel tags that run there. pip does not expand a manylinux tag that it is given to the older ones."""
    return [f"manylinux_2_{minor}_{ARCHITECTURES[arch]}" for minor in range(_GLIBC, 16, -1)]


def compile_bytecode(root: Path, mounted: str) -> None:
    """Compile every module below `root`, with paths as they will be under `mounted`, the same bytes each time.

    Unchecked, because the zip dates each entry 1980 and /opt is read-only: a timestamp would never match, and every
    cold start would compile the tree again (0.4 s at least).
    """
    for stale in root.rglob("__pycache__"):
        shutil.rmtree(stale)
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(root), "-p", mounted, str(root)]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit(f"{root}: a module does not compile (see above)")


def drop_sources(root: Path) -> None:
    """Leave only the bytecode below `root`, where Python looks for a module without a source. Tracebacks lose lines."""
    for compiled in list(root.rglob("__pycache__/*.pyc")):
        module = compiled.parent.parent / compiled.name.partition(".")[0]
        module.with_suffix(".py").unlink()
        compiled.rename(module.with_suffix(".pyc"))
    for folder in list(root.rglob("__pycache__")):
        folder.rmdir()


def readable(root: Path) -> None:
    """Let everybody read `root`: Lambda runs as another user, and the zip keeps the modes of this machine."""
    for path in (root, *root.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o755 if path.is_dir() else 0o644))
