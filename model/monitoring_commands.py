"""The commands that look at what is served: drift, compare. Build time only."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from model.artifact import Policy, open_artifact
from model.errors import PackingRefused
from model.manifest import digest
from model.place import locate, store_at
from model.trust import Trust

if TYPE_CHECKING:
    from datetime import datetime

    from model.compare import Comparison
    from model.findings import Found
    from model.scorer import Scorer
    from model.store import Store

Json = Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")]
StoreOption = Annotated[str | None, typer.Option("--store", help="Models: a folder or URL; MODEL_STORE, ./artifacts.")]
console = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(drift)
    app.command()(compare)


def drift(
    records: Annotated[str, typer.Argument(help="Records: a file, a folder, s3://bucket/prefix")],
    store: StoreOption = None,
    since: Annotated[str | None, typer.Option(help="From this moment on: 2026-11-21T09:00Z")] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment.")] = None,
    out: Annotated[str | None, typer.Option(help="Write a report with plots: a file or s3:// URL.")] = None,
    fail: Annotated[bool, typer.Option("--fail", help="Exit status 1 when something drifted.")] = False,
    as_json: Json = False,
) -> None:
    """Compare recorded predictions with the training data, and with the truth where feedback tells it."""
    from model.registry import Registry  # noqa: PLC0415
    from model.window import look  # noqa: PLC0415

    registry = Registry(store_at(store))
    found = look(
        _records_at(records),
        lambda name, version: (registry.manifest(name, version), registry.reference(name, version)),
        _moment("--since", since),
        _moment("--until", until),
    )
    if out:
        from model.drift_report import render  # noqa: PLC0415

        _write(out, render(found, records).encode())
        console.print(f"report  {out}", highlight=False)
    if as_json:
        _print(found.document() | {"models": [finding.document() for finding in found.findings]})
    else:
        _show(found)
    if fail and found.drifted:
        raise typer.Exit(1)


def compare(
    candidate: Annotated[str, typer.Argument(help="Folder, URL, NAME/VERSION, or NAME for the live version")],
    live: Annotated[str, typer.Argument(help="What it would replace, named likewise")],
    sample: Annotated[Path, typer.Option(help="CSV of rows that neither was fitted on.")],
    target: Annotated[str | None, typer.Option(help="The sample's column that holds the truth.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="How much worse is not worse: 0.02 is 2 %.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Ask two versions the same held-out rows; exit status 1 if the candidate is worse. Runs both: trust them first."""
    from model.compare import compare as beside  # noqa: PLC0415
    from model.source import read_sample  # noqa: PLC0415

    if not sample.is_file():
        raise PackingRefused(f"there is no file {sample}")
    rows, about = read_sample(sample, None)
    scorers = [_opened(candidate), _opened(live)]
    for scorer in scorers:
        if scorer.manifest.data.get("digest") == about["digest"]:
            name = f"{scorer.manifest.name}/{scorer.manifest.version}"
            console.print(f"[yellow]warning[/yellow] {name} comes from this very file", highlight=False)
    found = beside(scorers[0], scorers[1], rows, target, tolerance)
    if as_json:
        names = [f"{scorer.manifest.name}/{scorer.manifest.version}" for scorer in scorers]
        _print({"candidate": names[0], "live": names[1], "tolerance": tolerance, **msgspec.to_builtins(found)})
    else:
        _beside(found, scorers)
    if found.worse:
        raise typer.Exit(1)


def _opened(artifact: str) -> "Scorer":
    store, name, version = locate(artifact)
    # Whoever runs this names the artifact, which is what a pin is.
    pins = {f"{name}/{version}": digest(store.read(f"{name}/{version}/manifest.json"))}
    return open_artifact(store, name, version, Policy(Trust("pinned", pins)))


def _records_at(place: str) -> "Store":
    from model.lines import OneFile  # noqa: PLC0415
    from model.shelf import Shelf  # noqa: PLC0415

    if "://" in place:
        return Shelf(place, os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))
    path = Path(place).absolute()
    if not path.exists():
        raise PackingRefused(f"there is no file or folder {place}")
    return OneFile(path) if path.is_file() else Shelf(path.as_uri())


def _moment(option: str, text: str | None) -> "datetime | None":
    from model.lines import instant  # noqa: PLC0415

    try:
        return instant(text) if text else None
    except ValueError:
        raise PackingRefused(f"{option}: expected a moment such as 2026-11-21T09:00Z") from None


def _write(place: str, content: bytes) -> None:
    if "://" not in place:
        Path(place).write_bytes(content)
        return
    from model.shelf import Shelf  # noqa: PLC0415

    folder, _, name = place.rpartition("/")
    Shelf(folder, os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")).write(name, content)


def _show(found: "Found") -> None:
    shown = Console()
    for finding in found.findings:
        shown.print(f"[bold]{finding.model}/{finding.version}[/bold]  {finding.rows} rows", highlight=False)
        if finding.drift is None:
            shown.print("no reference: packed without a sample of the training data")
        else:
            if finding.drift.small:
                shown.print("a small window: nothing is called drift")
            shown.print(_columns(finding.drift.columns))
        for name, value in finding.figures.items():
            shown.print(f"{name} {value:.4f} (of {finding.judged} rows with feedback)", highlight=False)
    if not found.findings:
        shown.print("no prediction was recorded in this window")
    for name, value in found.document().items():
        if name not in {"from", "to", "objects", "drifted"}:
            console.print(f"[yellow]{name}[/yellow] {value}", highlight=False)


def _columns(columns: Any) -> Table:
    table = Table("column", "index", "limit", "JS, bits", "null", "in training", "unseen", "")
    for c in columns:
        verdict = "[red]drifted[/red]" if c.drifted else ""
        shares = [f"{100 * share:.1f} %" for share in (c.nulls, c.nulls_in_training, c.unseen)]
        table.add_row(c.name, f"{c.psi:.3f}", f"{c.limit:.3f}", f"{c.js:.3f}", *shares, verdict)
    return table


def _beside(found: "Comparison", scorers: "list[Scorer]") -> None:
    names = [f"{scorer.manifest.name}/{scorer.manifest.version}" for scorer in scorers]
    table = Table(f"{found.rows} rows", f"candidate {names[0]}", f"live {names[1]}", "")
    for name, (new, old) in found.figures.items():
        table.add_row(name, f"{new:.4f}", f"{old:.4f}", "[red]worse[/red]" if name in found.worse else "")
    shown = Console()
    shown.print(table)
    shown.print(f"agreement {found.agreement:.4f}", highlight=False)
    if found.left_out:
        shown.print(f"{found.left_out} rows would be refused and are left out", highlight=False)
    for sentence in found.breaking:
        console.print(f"[yellow]would break[/yellow] {sentence}", highlight=False)


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
