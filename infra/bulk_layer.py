"""Build the layer that only bulk functions have: `python -m infra.bulk_layer --arch x86_64 --output DIR`.

The dependency group `bulk` to DIR/python, and an example input to DIR/bulk, which is /opt/bulk on Lambda. Beside
scikit-learn the group would exceed Lambda's limit: there CSV is read by Python's own reader, and Parquet is refused.
"""

import argparse
import random
import shutil
from pathlib import Path

from infra.flavour import choose
from infra.layer import CACHE, ROOT, built_whole, digest, install
from infra.lock import derive
from infra.prune import prune
from infra.sizes import gate, megabytes, parts_of, unzipped
from infra.target import ARCHITECTURES, compile_bytecode, readable, require_python

CEILING = 40_000_000
"""Bytes: with it, the ONNX flavour (130 MB) leaves 90 MB of Lambda's limit for models."""
EXAMPLE = "iris.csv"


def build(requirements: str, arch: str, kept: Path) -> None:
    """Build the tree, and rename it to `kept` when it is whole."""
    with built_whole(kept) as built:
        install(requirements, arch, built / "python")
        prune(built / "python")
        compile_bytecode(built / "python", "/opt/python")
        readable(built)


def example() -> str:
    """Return rows of iris with an id, the same each time; the third has a bad cell, to show where it goes."""
    choose = random.Random(7)  # noqa: S311
    lines = ["id,sepal_length,sepal_width,petal_length,petal_width"]
    for i in range(150):
        values = [round(choose.uniform(low, high), 1) for low, high in ((4.3, 7.9), (2.0, 4.4), (1.0, 6.9), (0.1, 2.5))]
        lines.append(",".join(map(str, (f"flower-{i + 1}", *values[:3], "wide" if i == 2 else values[3]))))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the layer to the folder given, and print its size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--arch", choices=ARCHITECTURES, required=True)
    parser.add_argument("--flavour", default="", help="one of FLAVOURS; by default the first that serves every model")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    require_python()
    if choose(ROOT / "artifacts", options.flavour) == "onnx":
        packages(options.arch, options.output)
    folder = options.output / "bulk"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EXAMPLE).write_text(example())
    readable(options.output)
    print(f"Bulk ({options.arch}): {megabytes(unzipped(options.output))} unzipped", flush=True)


def packages(arch: str, output: Path) -> None:
    """Build the packages or find them, close the gate if they are too large, and copy them."""
    requirements = derive(("bulk",), arch, ROOT)
    kept = CACHE / f"bulk-{arch}-{digest(requirements, 'bulk', arch)[:16]}"
    if not kept.exists():
        build(requirements, arch, kept)
    gate("What only bulk needs", parts_of(kept), CEILING, "its layer's")
    shutil.copytree(kept, output, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
