"""What the wheels carry and a function never reads: about 40 MB in each flavour. Nothing is stripped or rewritten.

`strip` would save more, and breaks numpy's and scipy's libraries ("ELF load command address/offset not page-aligned").
"""

import shutil
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FOLDERS = {"tests", "test", "__pycache__", "include", "_pyinstaller", "sboms"}
SUFFIXES = {
    ".pyi", ".pyx", ".pxd", ".pxi", ".tp", ".h", ".hpp", ".c", ".cpp", ".f", ".f90", ".pyf", ".a", ".lib", ".build",
}  # fmt: skip
FILES = {"conftest.py", "py.typed"}
# Patterns. Not numpy/f2py: scipy runs `from numpy import *`, and that imports it.
PATHS = (
    "bin",
    "cffi",  # makes bindings; PyNaCl's are made, and need _cffi_backend alone: 1.3 MB with pycparser and bytecode
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    # The C API for other programs: the Python binding has the runtime linked in (29 MB twice). Not
    # libonnxruntime_providers_shared.so, without which each start warns.
    "onnxruntime/capi/libonnxruntime.so*",
    "pydantic/v1",  # FastAPI catches the ImportError: 13 ms of a cold start
    "scipy/special/_precompute",
    "sklearn/_build_utils",
    "sklearn/datasets/data",  # example data: what load_iris and its like read, not what an estimator needs
    "sklearn/datasets/descr",
    "sklearn/datasets/images",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui",
    "fastapi/.agents",
    "fastapi_offline/static/redoc*",  # /docs shows Swagger UI
)
NEEDLESS = {"onnxruntime": {"protobuf", "flatbuffers", "packaging"}, "cffi": {"pycparser"}}
"""What a package asks for and only its tools import, never an inference."""
METADATA = {"METADATA", "entry_points.txt"}
"""importlib.metadata reads these: OpenTelemetry finds its context by entry point, others ask for versions."""


def _unused(path: Path) -> bool:
    if path.is_dir():
        return path.name in FOLDERS
    if path.parent.name.endswith(".dist-info"):
        return path.name not in METADATA and not path.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))
    return path.suffix in SUFFIXES or path.name in FILES


def _asked(by: Iterable[Distribution]) -> set[str]:
    """The names that distributions require; what an extra would add was not installed."""
    texts = [text for distribution in by for text in distribution.requires or [] if "extra ==" not in text]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def _needless(root: Path) -> list[Path]:
    """The files of the distributions that nobody needs: a package of the user's own may ask for protobuf, too."""
    found: dict[str, Distribution] = {canonicalize_name(d.name): d for d in distributions(path=[str(root)])}
    names = {name for asking, asked in NEEDLESS.items() if asking in found for name in asked} & found.keys()
    names -= _asked(found[name] for name in found.keys() - names - NEEDLESS.keys())
    return [Path(str(file.locate())) for name in names for file in found[name].files or []]


def prune(root: Path) -> None:
    """Remove from the installed packages in `root` what no function reads. Licences stay."""
    doomed = _needless(root)
    doomed += [path for pattern in PATHS for path in root.glob(pattern)]
    doomed += [path for path in root.rglob("*") if _unused(path)]
    for path in doomed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for folder in sorted(root.rglob("*/"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
