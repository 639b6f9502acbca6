"""What the command line shows to people: tables of manifests, answers and stores. Build time only."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import filesize
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from model.faults import expected
from model.manifest import Manifest
from model.rows import Row

if TYPE_CHECKING:
    from model.doctor.finding import Finding
    from model.inventory import Entry, Standing

_SHOWN = 20


def metrics(manifest: Manifest) -> str:
    """Return the held-out metrics in one line, empty when there are none."""
    held_out = manifest.metrics.get("held_out", {})
    return ", ".join(f"{key} {value}" for key, value in held_out.items())


def features(console: Console, manifest: Manifest) -> None:
    """Print the features: name, what is expected, unit, seen range, example."""
    table = Table("feature", "expected", "unit", "seen", "example", box=None)
    for feature in manifest.features:
        seen = f"{feature.range[0]:g} – {feature.range[1]:g}" if feature.range else ""
        table.add_row(feature.name, expected(feature), feature.unit or "", seen, str(feature.example))
    console.print(table)


def proof(console: Console, shown: Manifest) -> None:
    """Print which engine serves, and the figures of the proof or the reasons why there is none."""
    figures = shown.parity
    if figures:
        worst = ", ".join(f"{name} {value:g}" for name, value in figures["worst"].items())
        rows = f"{figures['rows']} rows replayed, {figures['boundary_rows']} at a boundary, worst difference: {worst}"
        console.print(f"engine [bold]{shown.engine}[/bold] ({figures['converter']}), {rows}")
    for note in shown.notes:
        console.print(note, highlight=False, markup=False)


def manifest(console: Console, shown: Manifest, digest: str) -> None:
    """Print an artifact's card."""
    console.print(f"[bold]{shown.name}/{shown.version}[/bold]  {shown.task}, {shown.estimator}, engine {shown.engine}")
    proof(console, shown)
    features(console, shown)
    for title, values in (("metrics", shown.metrics), ("data", shown.data), ("environment", shown.environment)):
        if values:
            console.print(f"[bold]{title}[/bold] " + ", ".join(f"{key} {value}" for key, value in values.items()))
    for file, checksum in shown.digests.items():
        console.print(f"{file}  {checksum}", highlight=False)
    console.print(f"manifest  {digest}", highlight=False)


def answers(console: Console, shown: Manifest, rows: Sequence[Row], answer: Mapping[str, Any]) -> None:
    """Print the first rows with their predictions."""
    unit = f" ({answer['unit']})" if "unit" in answer else ""
    table = Table(*(feature.name for feature in shown.features), f"prediction{unit}", "label", box=None)
    labels = answer.get("labels") or [""] * len(rows)
    for row, value, label in list(zip(rows, answer["predictions"], labels, strict=True))[:_SHOWN]:
        table.add_row(*("" if cell is None else str(cell) for cell in row), str(value), label)
    console.print(table)
    if len(rows) > _SHOWN:
        console.print(f"… and {len(rows) - _SHOWN} rows more (--json prints all)")


def findings(console: Console, found: "Sequence[Finding]") -> None:
    """Print what will hurt, the worst first, each with its cure."""
    colours = {"error": "red", "warning": "yellow", "hint": "cyan"}
    for severity, colour in colours.items():
        for finding in found:
            if finding.severity == severity:
                where = f"[{colour}]{severity}[/{colour}] [bold]{escape(finding.where)}[/bold]"
                console.print(f"{where} {escape(finding.what)}\n  → {escape(finding.cure)}", highlight=False)
    if not found:
        console.print("nothing found that will hurt")


def listing(console: Console, url: str, found: "Sequence[Entry]") -> None:
    """Print the models of a store."""
    table = Table("model", "version", "labels", "engine", "size", "published", "created", "held out", box=None)
    for entry in found:
        engine = entry.manifest.engine if entry.manifest else f"[red]{entry.problem}[/red]"
        labels = ", ".join(["live"] * (entry.live and "live" not in entry.labels) + list(entry.labels))
        created, held_out = (entry.manifest.created, metrics(entry.manifest)) if entry.manifest else ("", "")
        published = f"{entry.published:%Y-%m-%d %H:%M}" if entry.published else ""
        size = filesize.decimal(entry.size)
        table.add_row(entry.name, entry.version, labels, engine, size, published, created, held_out)
    console.print(table if found else f"{url} holds no model")


def standing(console: Console, shown: "Standing") -> None:
    """Print where a version stands: labels, who published it, who signed it, how large it is."""
    parts = {
        "labels": ", ".join(shown.labels),
        "published": f"by {shown.published_by} on {shown.published_at}" if shown.published_by else "",
        "signed": ", ".join(shown.signed_by),
        "size": filesize.decimal(shown.size),
    }
    for title, text in parts.items():
        if text:
            console.print(f"[bold]{title}[/bold] {escape(text)}", highlight=False)
