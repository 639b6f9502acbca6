"""Lay out what images are made from: `python -m infra.image_context --arch x86_64 --output DIR`, by Lambda's Python.

The same locked wheels, code and models as the layers', so that `docker build` only copies and needs no network. Both
engines, pandas and the readers of Parquet are in it: an image may have 10 GB where a function with layers has 250 MB.
"""

import argparse
import shutil
from pathlib import Path

from infra.flavour import Flavour
from infra.function_code import lay_out
from infra.layer import CACHE, ROOT, build, digest
from infra.lock import derive
from infra.model_layer import lay_out as lay_out_models
from infra.sizes import megabytes, unzipped
from infra.target import ARCHITECTURES, LIMIT, require_python

WHOLE = Flavour("joblib", ("serve", "joblib", "onnx", "frame", "bulk", "local"), frozenset({"sklearn"}), LIMIT)
# What a function leaves behind and the server is.
SERVER = ("handler/__main__.py", "handler/server.py", "handler/local.py")


def main() -> None:
    """Write dependencies/, code/, server/ and models/ to the folder given, and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--arch", choices=ARCHITECTURES, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    require_python()
    requirements = derive(WHOLE.groups, options.arch, ROOT)
    kept = CACHE / f"image-{options.arch}-{digest(requirements, 'image', options.arch)[:16]}"
    if not kept.exists():
        build(requirements, WHOLE, options.arch, kept)
    shutil.rmtree(options.output, ignore_errors=True)
    shutil.copytree(kept / "layer" / "python", options.output / "dependencies")
    lay_out(ROOT, options.output / "code")
    for name in SERVER:
        (options.output / "server" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, options.output / "server" / name)
    for engine in ("joblib", "onnx"):  # each leaves out what only the other reads; together they have all
        lay_out_models(ROOT / "artifacts", options.output / "models", engine)
    for part in sorted(options.output.iterdir()):
        print(f"{part.name}: {megabytes(unzipped(part))}", flush=True)


if __name__ == "__main__":
    main()
