"""Bytecode in a built tree: there for the runtime's Python, and not dated."""

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from model.doctor.finding import Finding

_DATED, _CHECKED = 0b00, 0b11
_COSTS = "every cold start compiles them again, for /opt and /var/task are read-only"
_CURE = "Build with BuildMethod: makefile and compileall --invalidation-mode unchecked-hash, as make build does."


def examine(root: Path, where: str, runtime: str) -> Iterator[Finding]:
    """The findings of the modules below `root`; `runtime` is Lambda's name, python3.13."""
    sources = list(root.rglob("*.py"))
    tag = "cpython-" + runtime.removeprefix("python").replace(".", "")
    compiled = [source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc" for source in sources]
    missing = sum(not path.is_file() for path in compiled)
    flags = Counter(_flags(path) for path in compiled if path.is_file())
    if missing:
        what = f"{missing:,} of {len(sources):,} modules have no bytecode for {runtime}: {_COSTS}"
        yield Finding("warning", "no-bytecode", where, what, _CURE)
    if flags[_DATED]:
        what = f"bytecode of {flags[_DATED]:,} of {len(sources):,} modules goes by the source's date"
        yield Finding("warning", "dated-bytecode", where, f"{what}, and a zip's is 1980: {_COSTS}", _CURE)
    if flags[_CHECKED]:
        what = f"bytecode of {flags[_CHECKED]:,} of {len(sources):,} modules is compared with the source at each import"
        yield Finding("hint", "checked-bytecode", where, what, _CURE)


def _flags(path: Path) -> int:
    """The flags in the header (PEP 552): whether the source's hash counts, and whether it is looked at."""
    with path.open("rb") as file:
        header = file.read(8)
    return int(struct.unpack("<4xI", header)[0]) if len(header) == 8 else _DATED
