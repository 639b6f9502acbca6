"""An environment for a tool that cannot stand beside ours: made once, in .cache, and whole or not at all."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def own_environment(package: str, version: str) -> Path:
    """Return the folder of an environment with that version of a package, made if it is not there yet."""
    folder = ROOT / ".cache" / f"{package}-{version}"
    if not (folder / "whole").exists():
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", f"{package}=={version}"],
        ):
            subprocess.run(command, check=True, timeout=400, capture_output=True)
        (folder / "whole").touch()
    return folder
