"""`python -m bench.crash STORE FOLDER [--kills N] [--seed N]`: kill a process at random points while it scores objects.

A process with the model loaded forks one child after the other, and ends each by SIGKILL after a random time. Whatever
is left must not look whole; a run without kills afterwards must give every row once, and the digest of one that was
never killed. Prints the figures as JSON; exits with 1 and what was wrong.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from model.engine import files_of, load_engine
from model.manifest import parse
from model.scorer import Scorer

ROWS = 20_000
FORMATS = ("csv", "jsonl")


def scorer(store: Path, name: str = "iris") -> Scorer:
    """Load the model with plain reads: obstore's threads, once started, would not survive a fork."""
    (folder,) = sorted((store / name).glob("*/"))[-1:]
    manifest = parse((folder / "manifest.json").read_bytes())
    engine = manifest.engines[0]
    files = {file: (folder / file).read_bytes() for file in files_of(manifest, engine)}
    return Scorer(manifest, load_engine(engine, manifest, files, "refuse"), engine)


def write_input(file: Path, names: tuple[str, ...]) -> None:
    """Write ROWS rows with an id each, some of them bad."""
    choose = random.Random(1)  # noqa: S311  -- a repeatable input, no secret
    with file.open("w") as out:
        if file.suffix == ".csv":
            out.write(",".join(("id", *names)) + "\n")
        for i in range(ROWS):
            values = [round(choose.uniform(0.1, 7.9), 2) for _ in names]
            if file.suffix == ".csv":
                out.write(",".join(map(str, (i, *("bad" if i % 4_999 == 7 else v for v in values)))) + "\n")
            else:
                row = dict(zip(names, values, strict=True))
                out.write(json.dumps({"id": i} | (row if i % 9_999 != 7 else {})) + "\n")


def score(file: Path, output: Path, model: Scorer) -> str:
    """Score in this process; returns the output's digest."""
    from model.bulk.job import Job  # noqa: PLC0415
    from model.bulk.objects import Objects  # noqa: PLC0415
    from model.bulk.run import run  # noqa: PLC0415

    result = run(Objects(), Job(file.as_uri(), output.as_uri()), model).result
    assert result is not None  # noqa: S101  -- a job without an etag is never superseded
    return result.digest


def child(file: Path, output: Path, model: Scorer, seconds: float | None) -> tuple[bool, float]:
    """Score in a fork, killed after `seconds`; returns whether it ended by itself, and how long it lived."""
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            score(file, output, model)
            os._exit(0)
        finally:
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a child failed by itself with {file}")
    return os.WIFEXITED(status), time.monotonic() - started


def committed(output: Path) -> dict[str, str] | None:
    """Return what is committed; exits when it names anything that is not there."""
    (found,) = list(output.glob("*/_manifest.json")) or (None,)
    if found is None:
        return None
    result = json.loads(found.read_text())
    named = [part["url"] for part in result["parts"]] + [result["errors_url"]]
    if missing := [url for url in named if not Path(url.removeprefix("file://")).is_file()]:
        raise SystemExit(f"committed, but not there: {missing}")
    return {"digest": result["digest"], "part": named[0], "errors": named[1]}


def check(file: Path, output: Path, expected: str) -> None:
    """Exit unless the output has every row once, the good ones in order, and nothing of any other attempt."""
    result = committed(output)
    if result is None or result["digest"] != expected:
        raise SystemExit(f"{output}: another digest than without kills")
    lines = Path(result["part"].removeprefix("file://")).read_text().splitlines()
    if file.suffix == ".csv":
        ids = [int(line.split(",", 1)[0]) for line in lines[1:]]
    else:
        ids = [json.loads(line)["id"] for line in lines]
    errors = Path(result["errors"].removeprefix("file://")).read_text().splitlines()
    first = 2 if file.suffix == ".csv" else 1
    bad = {json.loads(line)["line"] - first for line in errors}
    if ids != [i for i in range(ROWS) if i not in bad] or len(ids) + len(bad) != ROWS:
        raise SystemExit(f"{output}: not every row once")
    left = [str(path) for path in output.rglob("*") if path.is_file()]
    if len(left) != 3:
        raise SystemExit(f"{output}: left behind {left}")


def crash(store: Path, folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill so often, finish, check; returns the figures."""
    model, choose = scorer(store), random.Random(seed)  # noqa: S311
    for module in ("run", "part", "plan"):
        __import__(f"model.bulk.{module}")
    for codec in ("csv_lines", "json_lines"):
        __import__(f"model.codec.{codec}")
    lived, in_time = [], 0
    for suffix in FORMATS:
        file = folder / f"rows.{suffix}"
        write_input(file, model.schema.names)
        reference = folder / f"reference-{suffix}"
        child(file, reference, model, None)
        alone = min(child(file, folder / f"timed-{suffix}-{i}", model, None)[1] for i in range(2))
        expected = (committed(reference) or {})["digest"]
        output, outputs = folder / f"out-{suffix}-0", {folder / f"out-{suffix}-0"}
        for i in range(kills // len(FORMATS)):
            ended, seconds = child(file, output, model, choose.uniform(0.0, 1.15 * alone))
            in_time += ended
            lived.append(seconds)
            if committed(output):  # killed after the commit, or too late: the next kill gets a fresh output
                output = folder / f"out-{suffix}-{i + 1}"
                outputs.add(output)
        for found in outputs:
            child(file, found, model, None)
            check(file, found, expected)
    return {"kills": len(lived), "ended_before": in_time, "seconds": round(sum(lived), 1)}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(json.dumps(crash(options.store, options.folder, options.kills, options.seed)) + "\n")


if __name__ == "__main__":
    main()
