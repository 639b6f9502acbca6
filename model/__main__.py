"""The command line: train, pack, inspect, score, list, doctor, and what the two modules of commands add.

`python -m model --help` tells the rest.
"""

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer
from rich.console import Console

from model import monitoring_commands, rollout_commands, show
from model.artifact import Policy, open_artifact, read_manifest
from model.errors import InvalidRows, ModelError
from model.manifest import digest
from model.place import locate, store_at
from model.registry import Registry
from model.scorer import Scorer
from model.trust import Trust

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
console = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")]
To = Annotated[str | None, typer.Option("--to", help="Store to write to: a folder, file:// or s3:// URL.")]
# What a build installs, and so what an artifact will run with.
LOCK = Path(__file__).parents[1] / "requirements.txt"


@app.command()
def train(
    example: Annotated[str, typer.Argument(help="iris or babies")],
    force: Annotated[bool, typer.Option(help="Pack the next patch version and make it live.")] = False,
    data: Annotated[Path | None, typer.Option(help="CSV of the same columns: pack a candidate, move no label.")] = None,
    to: To = None,
) -> None:
    """Train an example and pack it, unless it is packed already."""
    from model.train import train as train_example  # noqa: PLC0415  -- scikit-learn takes a second

    with console.status(f"training {example}"):
        manifest = train_example(example, store_at(to), force=force, data=data)
    if manifest is None:
        console.print(f"{example} is packed already (--force packs the next version)")
    else:
        console.print(f"packed [bold]{manifest.name}/{manifest.version}[/bold] {show.metrics(manifest)}")


@app.command()
def pack(
    file: Annotated[Path, typer.Argument(help="A fitted estimator: .joblib, .pkl or .skops")],
    name: Annotated[str | None, typer.Option(help="The model's name; the file's by default.")] = None,
    version: Annotated[str, typer.Option()] = "1.0.0",
    sample: Annotated[Path | None, typer.Option(help="CSV of training rows: types, ranges, examples.")] = None,
    target: Annotated[str | None, typer.Option(help="The sample's column that is no feature.")] = None,
    code: Annotated[Path | None, typer.Option(help="Your modules that the estimator needs: a file or folder.")] = None,
    labels: Annotated[str | None, typer.Option(help="Names of the classes in their order: a,b,c")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of a predicted number.")] = None,
    features: Annotated[Path | None, typer.Option(help='JSON by feature: {"age": {"unit": "years"}}')] = None,
    allow: Annotated[list[str] | None, typer.Option(help="A type in a .skops file that you vouch for.")] = None,
    engine: Annotated[str, typer.Option(help="auto: compiled when proved; joblib; onnx or nothing.")] = "auto",
    tolerance: Annotated[float, typer.Option(help="Largest difference of a compiled twin.")] = 1e-5,
    strict: Annotated[bool, typer.Option(help="Refuse differences by rounding at a split, too.")] = False,
    version_mismatch: Annotated[
        str, typer.Option(help="refuse or warn of a file from another scikit-learn.")
    ] = "refuse",
    to: To = None,
) -> None:
    """Turn an estimator file into an artifact. Reading a .joblib or .pkl runs the code in it: trust it first."""
    from model.pack import Card, EngineChoice  # noqa: PLC0415
    from model.pack import pack as pack_source  # noqa: PLC0415
    from model.parity import Limits  # noqa: PLC0415
    from model.source import read_sample, read_source, runs_code  # noqa: PLC0415

    if file.is_file() and runs_code(file):
        console.print(
            f"[yellow]warning[/yellow] {file.name} is a pickle: reading it runs the code in it, with your rights. "
            "Stop here unless you made it yourself or trust who did; .skops files are audited before they are read",
            highlight=False,
        )
    with console.status(f"packing {file.name}"):
        source = read_source(file, code, allow or ())
        rows, data = read_sample(sample, target) if sample else (None, {})
        known = json.loads(features.read_text()) if features else {}
        names = labels.split(",") if labels else None
        card = Card(labels=names, unit=unit, features=known, data=data)
        store = store_at(to)
        manifest = pack_source(
            source,
            store,
            name or file.stem,
            version,
            sample=rows,
            card=card,
            version_mismatch=version_mismatch,
            engine=cast(EngineChoice, engine),
            limits=Limits(tolerance, strict),
        )
    console.print(f"packed [bold]{manifest.name}/{manifest.version}[/bold] into {store.url}")
    show.proof(console, manifest)
    show.features(console, manifest)


@app.command()
def inspect(artifact: str, as_json: Json = False) -> None:
    """Show an artifact's manifest, its digest, labels and signatures. Reads no pickle."""
    from model.inventory import look  # noqa: PLC0415

    store, name, version = locate(artifact)
    manifest = read_manifest(store, name, version, Policy())
    pinned = digest(store.read(f"{name}/{version}/manifest.json"))
    standing = look(store, name, version)
    if as_json:
        document = {**msgspec.to_builtins(manifest), "manifest_digest": pinned, "store": store.url}
        document |= msgspec.to_builtins(standing)
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        show.manifest(Console(), manifest, pinned)
        show.standing(Console(), standing)


@app.command()
def score(
    artifact: Annotated[str, typer.Argument(help="The artifact; or the file, for MODEL_DEFAULT or the only model.")],
    file: Annotated[
        str | None, typer.Argument(help="Rows: .json or .csv; with --out .jsonl, .parquet, .gz too")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Score as a stream into this file, of the same format.")] = None,
    as_json: Json = False,
) -> None:
    """Score a file of rows, as the service would. Runs the estimator: score only artifacts you trust."""
    scorer = _scorer(artifact if file is not None else None)
    rows = file or artifact
    if out is not None:
        from model.bulk.to_file import score_to_file  # noqa: PLC0415

        found = score_to_file(rows, out, scorer, console)
        if as_json:
            sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    from model.codec import csv_rows, json_rows  # noqa: PLC0415

    decode = csv_rows.decode if rows.endswith(".csv") else json_rows.decode
    request = decode(Path(rows).read_bytes(), scorer.schema)
    answer = json_rows.render(scorer.score(request.rows, request.outputs), single=False, identifier=str(uuid.uuid4()))
    if as_json:
        sys.stdout.write(json_rows.encode(answer).decode() + "\n")
    else:
        show.answers(Console(), scorer.manifest, request.rows, answer)


def _scorer(artifact: str | None) -> Scorer:
    """Return the scorer of ARTIFACT; of MODEL_DEFAULT or the only model where none is named."""
    if artifact is None:
        artifact = Registry(store_at(None), os.environ.get("MODEL_DEFAULT") or None).default()
    store, name, version = locate(artifact)
    pins = {f"{name}/{version}": digest(store.read(f"{name}/{version}/manifest.json"))}
    # Whoever runs this names the artifact, which is what a pin is.
    return open_artifact(store, name, version, Policy(Trust("pinned", pins)))


@app.command("list")
def list_models(
    url: Annotated[str | None, typer.Argument(help="Store; ./artifacts by default.")] = None, as_json: Json = False
) -> None:
    """List the models and versions of a store: labels, engines, metrics, sizes, dates."""
    from model.inventory import inventory  # noqa: PLC0415

    store = store_at(url)
    found = [entry for name in store.names() for entry in inventory(store, name)]
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        show.listing(Console(), store.url, found)


@app.command()
def doctor(
    path: Annotated[str, typer.Argument(help="Artifact, template, or what sam build left; all of a project's.")] = ".",
    as_json: Json = False,
) -> None:
    """Say what will hurt, and its cure. Reads no pickle; exit status 1 on an error."""
    from model.doctor import artifact, examine_folder  # noqa: PLC0415
    from model.doctor.artifact import locked  # noqa: PLC0415

    versions = locked(LOCK)
    found = examine_folder(Path(path), versions)
    if found is None:
        found = artifact.examine(*locate(path), versions)
    if as_json:
        sys.stdout.write(msgspec.json.encode({"path": path, "findings": found}).decode() + "\n")
    else:
        show.findings(Console(), found)
    if any(finding.severity == "error" for finding in found):
        raise typer.Exit(1)


rollout_commands.register(app)
monitoring_commands.register(app)


def main() -> None:
    """Run the command line; a model's error is a sentence and exit status 1, not a traceback."""
    try:
        app()
    except InvalidRows as error:
        for fault in error.faults:
            console.print(f"[red]{fault.pointer or '/'}[/red] {fault.detail}", highlight=False)
        sys.exit(1)
    except ModelError as error:
        console.print(f"[red]{type(error).__name__}[/red] {error}", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
