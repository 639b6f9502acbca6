"""Lay out a function's code: `python -m infra.function_code DIR`, by Lambda's Python.

One tree for every function: the packages handler and model with bytecode, without what infra/build-time-only.txt lists.
"""

import shutil
import sys
from pathlib import Path

from infra.sizes import megabytes, unzipped, zipped
from infra.target import compile_bytecode, readable, require_python

ROOT = Path(__file__).parent.parent
PACKAGES = ("handler", "model")


def build_time_only(root: Path) -> set[Path]:
    """The paths that stay behind. Exits if one is not there: a module that was renamed would be deployed unnoticed."""
    lines = (root / "infra" / "build-time-only.txt").read_text().splitlines()
    paths = {root / line.strip() for line in lines if line.strip() and not line.startswith("#")}
    if gone := sorted(str(path.relative_to(root)) for path in paths if not path.exists()):
        raise SystemExit(f"infra/build-time-only.txt names what is not there: {', '.join(gone)}")
    return paths


def lay_out(root: Path, output: Path) -> None:
    """Copy the packages from `root` to `output` and compile them."""
    left_out = build_time_only(root)

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if name == "__pycache__" or Path(folder, name) in left_out}

    for package in PACKAGES:
        shutil.copytree(root / package, output / package, ignore=ignored, dirs_exist_ok=True)
    compile_bytecode(output, "/var/task")
    readable(output)


def main() -> None:
    """Write the tree to the folder given, and print its sizes."""
    output = Path(sys.argv[1])
    require_python()
    lay_out(ROOT, output)
    print(f"Code: {megabytes(unzipped(output))} unzipped, {megabytes(zipped(output))} zipped", flush=True)


if __name__ == "__main__":
    main()
