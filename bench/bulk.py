"""`python -m bench.bulk [--mb 100] [--large]`: rows a second on one vCPU, ours beside the obvious script.

For CSV, JSON lines and Parquet, of 30 numbers a row, by a linear pipeline and by a forest of 100 trees: bytes → matrix
alone, predict alone,
answers → bytes alone, all of it as ObjectFunction does it on file://, and what everybody writes first: pandas in chunks
with scikit-learn. Each in a process of its own, on one core; with its peak memory. `--large` adds 2 GB of each.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import trees
from model.artifact import Policy, open_artifact
from model.bulk.job import Job
from model.bulk.objects import BLOCK, BlockFile, Objects
from model.bulk.plan import footer_of, plan
from model.bulk.run import run
from model.codec.appended import Appended
from model.codec.csv_lines import CsvLines, header_of
from model.codec.json_lines import JsonLines
from model.codec.parquet_rows import ParquetRows
from model.codec.text_lines import Cutter
from model.manifest import digest
from model.scorer import Scorer
from model.store import Store
from model.trust import Trust

FOLDER = trees.CACHE / "bulk"
FORMATS = ("csv", "jsonl", "parquet")
FEATURES, SECONDS, ROUNDS = 30, 2.0, 2
ESTIMATORS = ("linear", "forest")
STEPS = ("parse", "predict", "write", "ours", "script")
OF_BOUND, OF_SCRIPT, FLAT = 0.8, 3.0, 1.25


def prepare() -> None:
    """Train the estimators and pack them, once."""
    if all((FOLDER / "models" / name).is_dir() for name in ESTIMATORS):
        return
    import joblib  # noqa: PLC0415
    from sklearn.datasets import make_classification  # noqa: PLC0415
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    FOLDER.mkdir(parents=True, exist_ok=True)
    rows, classes = make_classification(3_000, FEATURES, n_informative=8, random_state=0)
    estimators = {
        "linear": make_pipeline(StandardScaler(), LogisticRegression()),
        "forest": RandomForestClassifier(100, max_depth=6, random_state=0),
    }
    for name, estimator in estimators.items():
        joblib.dump(estimator.fit(rows, classes), FOLDER / f"{name}.joblib")
        command = [
            sys.executable,
            "-m",
            "model",
            "pack",
            str(FOLDER / f"{name}.joblib"),
            "--to",
            str(FOLDER / "models"),
        ]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603


def scorer(name: str) -> Scorer:
    store = Store((FOLDER / "models").as_uri())
    pins = {f"{name}/1.0.0": digest(store.read(f"{name}/1.0.0/manifest.json"))}
    return open_artifact(store, name, "1.0.0", Policy(Trust("pinned", pins), engines=("onnx",)))


def write_input(suffix: str, megabytes: int) -> Path:
    """Write a file of about so many megabytes, unless it is there: one block of rows again and again."""
    file = FOLDER / f"rows-{megabytes}.{suffix}"
    if file.exists():
        return file
    import arro3.core as arrow  # noqa: PLC0415
    import arro3.io  # noqa: PLC0415

    names = scorer("forest").schema.names
    rows = np.random.default_rng(0).normal(size=(20_000, FEATURES)).round(6)
    if suffix == "parquet":
        batch = arrow.RecordBatch.from_pydict({n: np.ascontiguousarray(rows[:, i]) for i, n in enumerate(names)})
        count = max(megabytes * 1_000_000 // rows.nbytes, 1)
        stream = arrow.RecordBatchReader.from_batches(batch.schema, (batch for _ in range(count)))
        arro3.io.write_parquet(stream, file, dictionary_enabled=False, compression="snappy", max_row_group_size=131_072)
        return file
    if suffix == "csv":
        head, body = ",".join(names) + "\n", "".join(",".join(map(str, row)) + "\n" for row in rows.tolist())
    else:
        head = ""
        body = "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows.tolist())
    with file.open("w") as out:
        out.write(head)
        for _ in range(max(megabytes * 1_000_000 // len(body), 1)):
            out.write(body)
    return file


def chunks(file: Path, model: Scorer) -> tuple[Any, Iterator[tuple[int, Any]]]:
    """Return the codec and its chunks, as a part reads them."""
    objects = Objects()
    version = objects.head(f"file://{file}")
    made = plan(objects, Job(version.url, f"file://{FOLDER}/none"), version, model.manifest)
    if file.suffix == ".parquet":
        footer = footer_of(objects, version)
        codec = ParquetRows(model.schema, BlockFile(objects, version, footer.start, footer.only(0, len(footer.groups))))
        return codec, codec.chunks()
    raw = made.header.encode()
    text: Any = CsvLines(model.schema, header_of(raw)[0], raw) if raw else JsonLines(model.schema)
    blocks = objects.blocks(version, made.ranges[0].start, min(version.size, made.ranges[0].start + 12 * BLOCK))
    return text, Cutter(quoted=text.quoted, size=text.chunk).chunks(blocks)


def alone(step: str, estimator: str, file: Path) -> float:
    """Return rows a second of one step, the others' inputs ready in memory."""
    model = scorer(estimator)
    codec, found = chunks(file, model)
    appended = Appended(model.manifest)
    ready = [chunk for _, chunk in islice(found, 40)]
    contents = [codec.content(chunk) for chunk in ready]
    counts = [codec.count(content) for content in contents]
    matrices = [codec.matrix(chunk, count) for chunk, count in zip(ready, counts, strict=True)]
    answers = [model.engine.predict(matrix, appended.wanted) for matrix in matrices[:4]]
    writer = Objects().writer(f"file://{FOLDER}/alone")
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS:
        if step == "parse":
            codec, found = chunks(file, model)
            for _, chunk in found:
                content = codec.content(chunk)
                done += codec.count(content)
                codec.matrix(chunk, codec.count(content))
                if time.perf_counter() - started > SECONDS:
                    break
        elif step == "predict":
            for matrix in matrices:
                model.engine.predict(matrix, appended.wanted)
                done += len(matrix)
        else:
            scored = (codec.append(c, appended.columns(a)) for c, a in zip(contents[:4] * 8, answers * 8, strict=True))
            done += sum(counts[:4]) * 8
            if file.suffix == ".parquet":
                codec.write(scored, appended.columns(answers[0]), writer)
            else:
                for text in scored:
                    writer.write(text)
    return done / elapsed


def ours(estimator: str, file: Path) -> float:
    """Return rows a second of the whole run."""
    import shutil  # noqa: PLC0415

    model, out = scorer(estimator), FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    result = run(Objects(), Job(f"file://{file}", f"file://{out}"), model).result
    assert result is not None  # noqa: S101
    elapsed = time.perf_counter() - started
    shutil.rmtree(out, ignore_errors=True)
    return result.rows / elapsed


def script(name: str, file: Path) -> float:
    """Return rows a second of pandas and scikit-learn in chunks of 10,000 rows: predictions and probabilities appended.

    pandas reads Parquet by pyarrow only, whole: no script in chunks is obvious there.
    """
    import joblib  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    estimator = joblib.load(FOLDER / f"{name}.joblib")
    csv = file.suffix == ".csv"
    reader: Any = pd.read_csv(file, chunksize=10_000) if csv else pd.read_json(file, lines=True, chunksize=10_000)
    done, started = 0, time.perf_counter()
    with (FOLDER / f"script{file.suffix}").open("w") as out:
        for frame in reader:
            values = frame.to_numpy()
            probabilities = estimator.predict_proba(values)
            frame["prediction"] = estimator.predict(values)
            for i, label in enumerate(estimator.classes_):
                frame[f"probability_{label}"] = probabilities[:, i]
            text = frame.to_csv(index=False, header=not done) if csv else frame.to_json(orient="records", lines=True)
            out.write(text)
            done += len(frame)
            if time.perf_counter() - started > 2 * SECONDS:
                break
    return done / (time.perf_counter() - started)


def measure(step: str, estimator: str, file: Path) -> dict[str, float]:
    """Run one step in a process of its own on one core: rows a second, and its peak memory in MB."""
    command = [sys.executable, "-m", "bench.bulk", "--step", step, "--estimator", estimator, "--file", str(file)]
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout)
    return found


def best(steps: list[str], estimator: str, file: Path) -> dict[str, dict[str, float]]:
    """Run all steps ROUNDS times in turn, and keep each one's fastest: a shared host slows without a trace."""
    rounds = [{step: measure(step, estimator, file) for step in steps} for _ in range(ROUNDS)]
    return {step: max((found[step] for found in rounds), key=lambda figures: figures["rate"]) for step in steps}


def one(step: str, estimator: str, file: Path) -> None:
    """Be that process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    whole = {"ours": ours, "script": script}.get(step)
    rate = whole(estimator, file) if whole else alone(step, estimator, file)
    sys.stdout.write(json.dumps({"rate": round(rate), "peak": round(peak_memory() / 1e6)}))


def peak_memory() -> int:
    """Return this process's peak of resident bytes. getrusage would tell its parent's, when that was larger. Linux."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def bound(figures: dict[str, dict[str, float]]) -> float:
    """Return the rows a second of parse, predict and write one after the other, with nothing in between."""
    return 1 / sum(1 / figures[step]["rate"] for step in ("parse", "predict", "write"))


def show(results: dict[tuple[str, str], dict[str, dict[str, float]]], large: dict[str, dict[str, float]]) -> bool:
    """Print the table; returns whether every target is met."""
    table = Table(title="Objects of rows, thousand rows a second on one core, 30 numbers a row", title_justify="left")
    for name in (
        "estimator",
        "format",
        *STEPS,
        "of the bound",
        "of the script",
        "peak MB",
        "2 GB: rate",
        "2 GB: peak MB",
    ):
        table.add_column(name, justify="left" if name in {"estimator", "format"} else "right")
    met = True
    for (estimator, suffix), figures in results.items():
        share = figures["ours"]["rate"] / bound(figures)
        times = figures["ours"]["rate"] / figures["script"]["rate"] if "script" in figures else None
        met &= share >= OF_BOUND and (suffix != "jsonl" or (times or 0) >= OF_SCRIPT)
        rates = [f"{figures[step]['rate'] / 1e3:,.0f}" if step in figures else "–" for step in STEPS]
        cells = [f"{share:.2f}", f"{times:.1f} ×" if times else "–", f"{figures['ours']['peak']:,.0f}"]
        if suffix in large and estimator == ESTIMATORS[0]:
            met &= large[suffix]["peak"] <= FLAT * figures["ours"]["peak"]
            cells += [f"{large[suffix]['rate'] / 1e3:,.0f}", f"{large[suffix]['peak']:,.0f}"]
        else:
            cells += ["–", "–"]
        table.add_row(estimator, suffix, *rates, *cells)
    Console(width=130).print(table)
    Console().print(
        f"Targets: {OF_BOUND:g} of the bound, {OF_SCRIPT:g} × the script in jsonl, memory flat to 2 GB:", met
    )
    return met


def main() -> None:
    """Measure and print; with --strict, exit with 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--large", action="store_true", help="2 GB of each format, too")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--estimator", choices=ESTIMATORS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        one(options.step, options.estimator, options.file)
        return
    prepare()
    files = {suffix: write_input(suffix, options.mb) for suffix in FORMATS}
    steps = {suffix: [s for s in STEPS if s != "script" or suffix != "parquet"] for suffix in FORMATS}
    results = {(e, suffix): best(steps[suffix], e, files[suffix]) for e in ESTIMATORS for suffix in FORMATS}
    large = {}
    if options.large:
        large = {suffix: measure("ours", ESTIMATORS[0], write_input(suffix, 2_000)) for suffix in FORMATS}
    if not show(results, large) and options.strict:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
