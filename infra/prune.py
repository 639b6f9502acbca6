"""What the wheels carry and a function never reads: about 40 MB. Nothing is stripped or rewritten.

`strip` would save more, and breaks numpy's and scipy's libraries ("ELF load command address/offset not page-aligned").
"""

import shutil
from pathlib import Path

FOLDERS = {"tests", "test", "__pycache__", "include", "_pyinstaller", "sboms"}
SUFFIXES = {
    ".pyi", ".pyx", ".pxd", ".pxi", ".tp", ".h", ".hpp", ".c", ".cpp", ".f", ".f90", ".pyf", ".a", ".lib", ".build",
}  # fmt: skip
FILES = {"conftest.py", "py.typed"}
# Not numpy/f2py: scipy runs `from numpy import *`, and that imports it.
PATHS = (
    "bin",
    "pydantic/v1",  # FastAPI catches the ImportError: 13 ms of a cold start
    "scipy/special/_precompute",
    "sklearn/_build_utils",
    "sklearn/datasets/data",  # example data: what load_iris and its like read, not what an estimator needs
    "sklearn/datasets/descr",
    "sklearn/datasets/images",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
    "fastapi/.agents",
)
METADATA = {"METADATA", "entry_points.txt"}
"""importlib.metadata reads these: OpenTelemetry finds its context by entry point, others ask for versions."""


def _unused(path: Path) -> bool:
    if path.is_dir():
        return path.name in FOLDERS
    if path.parent.name.endswith(".dist-info"):
        return path.name not in METADATA and not path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
    return path.suffix in SUFFIXES or path.name in FILES


def prune(root: Path) -> None:
    """Remove from the installed packages in `root` what no function reads. Licences stay."""
    doomed = [root / path for path in PATHS]
    doomed += [path for path in root.rglob("*") if _unused(path)]
    for path in doomed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
