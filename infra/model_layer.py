"""Lay out the models' layer: `python -m infra.model_layer --output DIR` copies artifacts/ to DIR/model.

On Lambda that is /opt/model, the default of MODEL_STORE. What only the other flavour's engine reads stays behind.
"""

import argparse
import shutil
from pathlib import Path

from infra.flavour import FLAVOURS, choose, manifests
from infra.sizes import files, megabytes, unzipped, zipped
from infra.target import readable
from model.engine import FILES, files_of
from model.manifest import EngineName, Manifest

ROOT = Path(__file__).parent.parent


def _unread(manifest: Manifest, engine: EngineName) -> set[str]:
    return {file for other in FILES for file in files_of(manifest, other)} - set(files_of(manifest, engine))


def shipped(artifacts: Path, engine: EngineName) -> list[Path]:
    """The files of the store that a function with this engine may read; hidden ones are none."""
    unread = {folder / file for folder, m in manifests(artifacts).items() for file in _unread(m, engine)}
    visible = (p for p in files(artifacts) if not any(n.startswith(".") for n in p.relative_to(artifacts).parts))
    return [path for path in visible if path not in unread]


def lay_out(artifacts: Path, output: Path, engine: EngineName) -> None:
    """Copy what is shipped. Exits if nothing is packed."""
    if not manifests(artifacts):
        raise SystemExit(f"{artifacts}: no model is packed here; `make pack` packs the examples")
    for path in shipped(artifacts, engine):
        copy = output / "model" / path.relative_to(artifacts)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    readable(output)


def main() -> None:
    """Write the tree to the folder given, and print its sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--flavour", default="", help="one of FLAVOURS; by default the first that serves every model")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    output = options.output
    lay_out(ROOT / "artifacts", output, FLAVOURS[choose(ROOT / "artifacts", options.flavour)].engine)
    print(f"Models: {megabytes(unzipped(output))} unzipped, {megabytes(zipped(output))} zipped", flush=True)


if __name__ == "__main__":
    main()
