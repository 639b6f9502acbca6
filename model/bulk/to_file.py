"""The command line's way: the same run, with a progress bar, into one file beside its error file."""

import os
import shutil
from pathlib import Path
from urllib.parse import quote, unquote

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from model.bulk.commit import Result
from model.bulk.job import Job, format_of
from model.bulk.objects import Objects
from model.bulk.progress import Progress as Done
from model.bulk.run import run
from model.errors import JobRefused
from model.scorer import Scorer


def score_to_file(rows: str, out: Path, scorer: Scorer, console: Console) -> Result:
    """Score a file or URL into `out`, and its bad rows into <out's name>_errors.jsonl; returns the manifest.

    `out` appears whole or not at all. Raises JobRefused when its suffix says another format, and the errors of `run`.
    """
    source = rows if "://" in rows else Path(rows).absolute().as_uri()
    source = unquote(source) if source.startswith("file://") else source
    if format_of(source) != format_of(out.name):
        raise JobRefused(f"the output has the input's format: expected {out.name} to end as {Path(rows).name} does")
    scratch = out.absolute().with_name(f".{out.name}.scoring")
    shutil.rmtree(scratch, ignore_errors=True)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    columns = TextColumn("{task.fields[rows]:,} rows"), BarColumn(), TextColumn("{task.percentage:.0f}%")
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task("scoring", rows=0, total=1.0)

            def tell(done: Done) -> None:
                bar.update(task, completed=done.done / max(done.total, 1), rows=done.rows)

            outcome = run(Objects(endpoint), Job(source, f"file://{scratch}"), scorer, progress=tell)
        result = outcome.result
        assert result is not None  # noqa: S101  -- a job without an etag is never superseded
        return _moved(result, out, console)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _moved(result: Result, out: Path, console: Console) -> Result:
    _path(result.parts[0].url).replace(out)
    errors = out.with_name(f"{out.name}_errors.jsonl")
    errors.unlink(missing_ok=True)
    if result.errors_url:
        _path(result.errors_url).replace(errors)
    told = f"{result.rows:,} rows in {result.timings['seconds']:g} s ({result.timings['rows_per_second']:,} a second)"
    console.print(
        f"{told} to {quote(str(out), '/ ')}" + (f", {result.errors:,} bad rows: {errors}" if result.errors else "")
    )
    return result


def _path(url: str) -> Path:
    return Path(url.removeprefix("file://"))
