"""infra/find-python takes what runs, whatever PATH promises."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.stack import ROOT

REAL = f"{sys.version_info.major}.{sys.version_info.minor}"
INTERPRETER = str(getattr(sys, "_base_executable", sys.executable))
TOOLS = ("sh", "sed", "cut", "cat", "env")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder that stands alone on PATH, with the tools of a script and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or "")
    return folder


def program(file: Path, body: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def find(path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "infra" / "find-python"), *arguments],
        env={"PATH": str(path), "HOME": str(path.parent), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def no_python_elsewhere() -> bool:
    places = (
        Path(folder, f"python3.{minor}") for folder in ("/usr/local/bin", "/opt/homebrew/bin") for minor in (11, 12, 13)
    )
    return not any(place.exists() for place in places)


def test_a_shim_that_fails_is_passed_over(path: Path) -> None:
    program(path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    program(path / "python3", f'exec {INTERPRETER} "$@"')
    done = find(path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, INTERPRETER, "")


def test_a_shim_that_hides_a_version_of_pyenv_is_passed_over_for_it(path: Path) -> None:
    program(path / f"python{REAL}", "exit 127")
    installed = path.parent / ".pyenv" / "versions" / f"{REAL}.0" / "bin" / "python"
    program(installed, f'exec {INTERPRETER} "$@"')
    assert find(path, "--exact", REAL).stdout.strip() == INTERPRETER


def test_a_python_that_lies_about_its_version_is_passed_over(path: Path) -> None:
    other = "3.12" if REAL != "3.12" else "3.11"
    program(path / f"python{other}", f'exec {INTERPRETER} "$@"')
    done = find(path, "--exact", other)
    assert no_python_elsewhere() is (done.returncode == 1)
    assert done.stdout.strip() != INTERPRETER


def test_without_venv_or_ssl_it_is_no_python(path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "ensurepip.py").write_text("raise ImportError('Debian without python3-venv')\n")
    program(path / "python3", f'PYTHONPATH={broken} exec {INTERPRETER} "$@"')
    done = find(path, PYTHON=str(path / "python3"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt install python3 python3-venv" in done.stderr


@pytest.mark.skipif(not no_python_elsewhere(), reason="a Python stands where the script looks beside PATH")
def test_none_at_all_says_what_to_install(path: Path) -> None:
    done = find(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt install python3 python3-venv" in done.stderr
    assert "pyenv install 3.13" in done.stderr
    exact = find(path, "--exact", "3.13")
    assert exact.returncode == 1
    assert "apt install python3.13 python3.13-venv" in exact.stderr


def test_the_one_that_is_named_is_taken_or_nothing(path: Path) -> None:
    program(path / "python3.13", f'exec {INTERPRETER} "$@"')
    assert find(path, PYTHON=INTERPRETER).stdout.strip() == INTERPRETER
    done = find(path, PYTHON="/no/such/python")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/no/such/python" in done.stderr


def test_from_an_environment_it_finds_what_that_stands_on() -> None:
    done = find(Path(os.environ["PATH"]), PYTHON=sys.executable)
    assert done.stdout.strip() == INTERPRETER
    assert done.returncode == 0
