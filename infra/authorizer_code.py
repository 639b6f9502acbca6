"""Lay out the authorizer's zip: `python -m infra.authorizer_code --arch x86_64 --output DIR`, by Lambda's Python.

Its few modules with the packages that they need, in one tree without layers: it knows tokens and no model.
"""

import argparse
import shutil
from pathlib import Path

from infra.layer import install
from infra.lock import derive
from infra.prune import prune
from infra.sizes import gate, megabytes, parts_of, unzipped, zipped
from infra.target import ARCHITECTURES, compile_bytecode, readable, require_python

ROOT = Path(__file__).parent.parent
MODULES = ("handler/__init__.py", "handler/on_authorize.py", "handler/authorizer")
CEILING = 20_000_000
"""Bytes unzipped; 14 MB of them are cryptography's, on x86_64."""


def lay_out(root: Path, output: Path) -> None:
    """Copy the modules from `root` to `output`."""
    for name in MODULES:
        source, copy = root / name, output / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            shutil.copy2(source, copy)


def main() -> None:
    """Write the tree to the folder given, close the gate if it is too large, and print its sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--arch", choices=ARCHITECTURES, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    require_python()
    install(derive(("authorize",), options.arch, ROOT), options.arch, options.output)
    prune(options.output)
    lay_out(ROOT, options.output)
    compile_bytecode(options.output, "/var/task")
    readable(options.output)
    gate("AuthorizerFunction", parts_of(options.output), CEILING, "the authorizer's")
    print(f"Authorizer: {megabytes(unzipped(options.output))} unzipped, {megabytes(zipped(options.output))} zipped")


if __name__ == "__main__":
    main()
