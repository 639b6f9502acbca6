"""How large a built tree is, unzipped and zipped, and the gate before a limit."""

import zlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

_ZIP_ENTRY = 30 + 46
"""Bytes of a zip's local and central header for one file, its name not counted."""

_LARGEST = 12


def files(*trees: Path) -> list[Path]:
    """Every file below the trees, sorted; a tree that does not exist has none."""
    return sorted(path for tree in trees for path in tree.rglob("*") if path.is_file())


def unzipped(*trees: Path) -> int:
    """Bytes of all files, as Lambda counts them."""
    return sum(path.stat().st_size for path in files(*trees))


def _deflated(path: Path) -> int:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return len(packer.compress(path.read_bytes())) + len(packer.flush())


def zipped(tree: Path) -> int:
    """Bytes of the zip that `sam deploy` would upload, to within a few: computed on all cores, not written."""
    found = files(tree)
    with ThreadPoolExecutor() as pool:
        packed = sum(pool.map(_deflated, found))
    return packed + sum(_ZIP_ENTRY + 2 * len(str(path.relative_to(tree)).encode()) for path in found)


def parts(found: Iterable[Path], root: Path) -> Counter[str]:
    """Bytes of the files by what they belong to: packages of python/, models of model/, else entries of `root`."""
    total: Counter[str] = Counter()
    for path in found:
        names = path.relative_to(root).parts
        total["/".join(names[: 2 if names[0] in ("python", "model") else 1])] += path.stat().st_size
    return total


def parts_of(*trees: Path) -> Counter[str]:
    """The parts of whole trees together."""
    return sum((parts(files(tree), tree) for tree in trees), Counter[str]())


def megabytes(size: int) -> str:
    """In millions of bytes."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e6:.3f} MB"


def gate(what: str, sizes: Counter[str], limit: int, whose: str = "Lambda's") -> None:
    """Exit with a table of the largest parts if all of them exceed a limit; say how full it is if they do not."""
    total = sizes.total()
    if total <= limit:
        print(f"{what}: {megabytes(total)} of {whose} {megabytes(limit)} unzipped ({total / limit:.0%})", flush=True)
        return
    table = Table("largest", "MB")
    for name, size in sizes.most_common(_LARGEST):
        table.add_row(name, f"{size / 1e6:,.1f}")
    Console(stderr=True, width=100).print(table)
    raise SystemExit(
        f"{what}: {total:,} bytes unzipped, {total - limit:,} over {whose} {limit:,}. Remove a dependency or a model."
    )
