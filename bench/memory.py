"""`python -m bench.memory`: bytes that a version takes in memory for each byte of the files that it was made of.

Each version is opened as a service does it, in a process that has loaded another one before, so that no library is
counted: what stays when it is loaded, and the highest that it needed on its way. `model.cache.GROWTH` rests on it.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.trees import ROOT
from model.engine import LIBRARIES
from model.manifest import EngineName

ROWS, COLUMNS = 4_000, 20
WARM = "warm"


@dataclass(frozen=True, slots=True)
class Figure:
    """Bytes: of the files, resident afterwards, and at the peak."""

    estimator: str
    engine: EngineName
    file: int
    stays: int
    peak: int


def estimators() -> Mapping[str, Any]:
    """Return what is measured, unfitted: trees of each family, and what holds its rows or its weights."""
    from sklearn.ensemble import (  # noqa: PLC0415
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    return {
        WARM: LogisticRegression(),
        "linear": LogisticRegression(),
        "forest 100": RandomForestClassifier(100, random_state=0),
        "forest 500": RandomForestClassifier(500, random_state=0),
        "forest 300, numbers": RandomForestRegressor(300, random_state=0),
        "boosting 1000": GradientBoostingClassifier(n_estimators=1_000, max_depth=6, random_state=0),
        "histogram boosting 1000": HistGradientBoostingClassifier(max_iter=1_000, early_stopping=False),
        "network 1000 × 1000": MLPClassifier((1_000, 1_000), max_iter=2),
        "support vectors": SVC(),
        "neighbours": KNeighborsClassifier(),
    }


def pack(folder: Path) -> list[str]:
    """Pack all of them below `folder`; returns their names."""
    import warnings  # noqa: PLC0415

    import joblib  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from model.pack import pack as write  # noqa: PLC0415
    from model.source import read_source  # noqa: PLC0415
    from model.store import Store  # noqa: PLC0415

    source = np.random.default_rng(0)
    points = source.random((ROWS, COLUMNS))
    noisy = points.sum(axis=1) + source.normal(0, 1, ROWS)
    names = []
    warnings.simplefilter("ignore")  # a network that has not converged is as large as one that has
    for i, (title, estimator) in enumerate(estimators().items()):
        target = noisy if title.endswith("numbers") else noisy > noisy.mean()
        file = folder / f"{i}.joblib"
        joblib.dump(estimator.fit(points, target), file)
        write(read_source(file), Store((folder / "store").as_uri()), f"m{i}", "1")
        names.append(title)
    return names


def measure(folder: Path, titles: list[str]) -> Iterator[Figure]:
    """Open each with each of its engines."""
    from model.artifact import Policy, read_manifest  # noqa: PLC0415
    from model.store import Store  # noqa: PLC0415

    store = Store((folder / "store").as_uri())
    for i, title in enumerate(titles):
        for engine in read_manifest(store, f"m{i}", "1", Policy()).engines if title != WARM else ():
            command = [sys.executable, "-m", "bench.memory", "--open", str(folder / "store"), f"m{i}", engine]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
            yield Figure(title, engine, *map(int, done.stdout.split()))


def opened(store: str, name: str, engine: EngineName) -> tuple[int, int, int]:
    """Open one in this process; returns bytes of its files, what stays, and the peak.

    What was freed but is still the process's is not counted as what stays: the next version is built in it.
    """
    import ctypes  # noqa: PLC0415
    import gc  # noqa: PLC0415

    from model.artifact import Policy, open_artifact  # noqa: PLC0415
    from model.store import Store  # noqa: PLC0415

    place, policy = Store(Path(store).as_uri()), Policy(engines=(engine,))
    sizes: list[int] = []
    kept = [open_artifact(place, "m0", "1", policy)]
    trim = ctypes.CDLL(None).malloc_trim
    gc.collect()
    trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    kept.append(open_artifact(place, name, "1", policy, admit=lambda _manifest, _engine, size: sizes.append(size)))
    peak = _status("VmHWM")
    gc.collect()
    trim(0)
    return sizes[0], _status("VmRSS") - before, peak - before


def _status(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--open", nargs=3, metavar=("STORE", "NAME", "ENGINE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        store, name, engine = options.open
        if engine not in LIBRARIES:
            parser.error("no such engine")
        print(*opened(store, name, engine))
        return
    table = Table("estimator", "engine", "files, MB", "stays, MB", "peak, MB", "stays / files", "peak / files")
    with tempfile.TemporaryDirectory() as folder:
        for found in measure(Path(folder), pack(Path(folder))):
            megabytes = [f"{size / 1e6:.1f}" for size in (found.file, found.stays, found.peak)]
            ratios = [f"{size / found.file:.1f}" for size in (found.stays, found.peak)]
            table.add_row(found.estimator, found.engine, *megabytes, *ratios)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
