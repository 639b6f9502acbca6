"""Lay out the models' layer: `python -m infra.model_layer DIR` copies artifacts/ to DIR/model.

On Lambda that is /opt/model, the default of MODEL_STORE.
"""

import shutil
import sys
from pathlib import Path

from infra.sizes import megabytes, unzipped, zipped
from infra.target import readable

ROOT = Path(__file__).parent.parent


def lay_out(artifacts: Path, output: Path) -> None:
    """Copy the store as it is, but for hidden files. Exits if nothing is packed."""
    if not any(artifacts.glob("*/*/manifest.json")):
        raise SystemExit(f"{artifacts}: no model is packed here; `make pack` packs the examples")
    shutil.copytree(artifacts, output / "model", ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
    readable(output)


def main() -> None:
    """Write the tree to the folder given, and print its sizes."""
    output = Path(sys.argv[1])
    lay_out(ROOT / "artifacts", output)
    print(f"Models: {megabytes(unzipped(output))} unzipped, {megabytes(zipped(output))} zipped", flush=True)


if __name__ == "__main__":
    main()
