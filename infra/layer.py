"""Build the layer of dependencies: `python -m infra.layer --arch x86_64 --output DIR`, by Lambda's Python.

The packages of the locked wheels go to DIR/python, without what a function never reads and with bytecode: those of one
flavour, by default the one that the manifests in artifacts/ allow. A built tree is kept in .cache/layers under the
digest of all that it is made from, so that the next build is a copy.
"""

import argparse
import contextlib
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.flavour import FLAVOURS, Flavour, FlavourName, choose
from infra.lock import derive
from infra.model_layer import shipped
from infra.prune import prune
from infra.sizes import gate, megabytes, parts, parts_of, unzipped, zipped
from infra.target import ARCHITECTURES, LIMIT, compile_bytecode, drop_sources, platforms, readable, require_python

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "layers"
_MADE_BY = ("flavour.py", "layer.py", "lock.py", "prune.py", "target.py")


def install(requirements: str, arch: str, target: Path) -> None:
    """Unpack the wheels of a hashed requirements text into `target`. Exits if pip refuses one.

    pip checks each hash, and that every dependency is in the text.
    """
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-compile"]
    command += ["--target", str(target), "--implementation", "cp", "--python-version", "3.13"]
    command += [f"--platform={tag}" for tag in platforms(arch)]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--root-user-action", "ignore"]
    with tempfile.NamedTemporaryFile("w", prefix="layer-", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        done = subprocess.run([*command, "-r", file.name], check=False)
    if done.returncode:
        raise SystemExit(f"pip could not install the locked wheels for {arch} (see above)")


def digest(requirements: str, flavour: str, arch: str) -> str:
    """Of all that decides the layer's bytes: the locked packages, the target, this code, the compiling Python."""
    code = [(Path(__file__).parent / name).read_text() for name in _MADE_BY]
    made_from = [requirements, flavour, arch, *code, platform.python_version()]
    return hashlib.sha256("\0".join(made_from).encode()).hexdigest()


def build(requirements: str, flavour: Flavour, arch: str, kept: Path) -> None:
    """Build the tree (kept/layer) and its zipped size (kept/zipped)."""
    with built_whole(kept) as built:
        tree = built / "layer"
        count = requirements.count("==")
        print(f"Dependencies for {arch}: {count} locked wheels, 45 to 85 MB to download the first time", flush=True)
        install(requirements, arch, tree / "python")
        prune(tree / "python")
        print("Compiling bytecode and measuring: about 20 s", flush=True)
        compile_bytecode(tree / "python", "/opt/python")
        for package in flavour.sourceless:
            drop_sources(tree / "python" / package)
        readable(tree)
        (built / "zipped").write_text(str(zipped(tree)))


@contextlib.contextmanager
def built_whole(kept: Path) -> Iterator[Path]:
    """Give a scratch folder, and rename it to `kept` in the end: an interrupted build leaves nothing that looks whole.

    Of two builds at once the slower one's tree goes: both are made from the same.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=kept.parent) as scratch:
        built = Path(scratch, "built")
        built.mkdir()
        yield built
        try:
            built.rename(kept)
        except OSError:
            if not kept.exists():
                raise


def gates(layer: Path, flavour: FlavourName, code: list[Path], artifacts: Path) -> None:
    """Exit if code and dependencies exceed the flavour's ceiling, or with the models what Lambda unzips."""
    own = parts_of(layer, *code)
    gate("Dependencies and code", own, FLAVOURS[flavour].ceiling, f"the {flavour} flavour's")
    gate("Dependencies, code and models", own + parts(shipped(artifacts, FLAVOURS[flavour].engine), artifacts), LIMIT)


def main() -> None:
    """Build the tree or find it, close the gates if it is too large, copy it and print its sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--flavour", default="", help="one of FLAVOURS; by default the first that serves every model")
    parser.add_argument("--arch", choices=ARCHITECTURES, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--artifacts", type=Path, default=ROOT / "artifacts", help="the models that go with it")
    options = parser.parse_args()
    require_python()
    flavour = choose(options.artifacts, options.flavour)
    requirements = derive(FLAVOURS[flavour].groups, options.arch, ROOT)
    kept = CACHE / f"{flavour}-{options.arch}-{digest(requirements, flavour, options.arch)[:16]}"
    if not kept.exists():
        build(requirements, FLAVOURS[flavour], options.arch, kept)
    gates(kept / "layer", flavour, [ROOT / "handler", ROOT / "model"], options.artifacts)
    shutil.copytree(kept / "layer", options.output, dirs_exist_ok=True)
    print(
        f"Dependencies ({flavour}, {options.arch}): {megabytes(unzipped(options.output))} unzipped, "
        f"{megabytes(int((kept / 'zipped').read_text()))} zipped",
        flush=True,
    )


if __name__ == "__main__":
    main()
