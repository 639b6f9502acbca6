"""The commands that change a store: keygen, publish, promote, rollback, prune. Build time only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
import typer
from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from model.artifact import Policy
from model.errors import PublishingRefused, UnknownModel
from model.labels import Label
from model.place import locate, store_at
from model.trust import Trust

if TYPE_CHECKING:
    from model.publish import Progress as Told
    from model.rollout import Moved

Json = Annotated[bool, typer.Option("--json", help="One JSON document, for machines.")]
StoreOption = Annotated[str | None, typer.Option("--store", help="A folder or URL; MODEL_STORE, else ./artifacts.")]
LabelOption = Annotated[str, typer.Option("--label", help="live, canary or shadow")]
Keys = Annotated[
    str | None,
    typer.Option("--public-key", envvar="MODEL_PUBLIC_KEYS", help="Verify signatures by these keys: ed25519:…,…"),
]
Pin = Annotated[str | None, typer.Option("--pin", help="The manifest's digest, where you know it: sha256:…")]
By = Annotated[str | None, typer.Option("--by", help="Who does it, for the history; your user name.")]
console = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (keygen, publish, promote, rollback, prune):
        app.command()(command)


def keygen(
    file: Annotated[Path, typer.Argument(help="Where the secret key goes, the public to FILE.pub")],
) -> None:
    """Make a key pair that signs manifests, and print the public key for MODEL_PUBLIC_KEYS."""
    from model import keys  # noqa: PLC0415  -- imports libsodium

    sys.stdout.write(keys.generate(file) + "\n")
    console.print(f"{file} signs: keep it secret. The line above is for MODEL_PUBLIC_KEYS of the deployment")


def publish(
    artifact: Annotated[str, typer.Argument(help="Folder, URL, NAME/VERSION or NAME in MODEL_STORE or ./artifacts")],
    url: Annotated[str, typer.Argument(help="The store to publish to: s3://bucket/prefix, file:///folder")],
    sign: Annotated[Path | None, typer.Option(help="Sign the manifest with this secret key.")] = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Upload an artifact; what is there already is not sent again. Moves no label but the first."""
    from model import keys  # noqa: PLC0415
    from model.label_file import Mover  # noqa: PLC0415
    from model.publish import publish as send  # noqa: PLC0415

    key = keys.read(sign) if sign else None
    source, name, version = locate(artifact)
    shelf = store_at(url)
    with _bars() as progress:
        done = send(source, name, version, shelf, Mover.now(by), key=key, progress=progress)
    if as_json:
        shown = {"name": name, "version": version, "store": shelf.url, "manifest_digest": done.digest}
        _print(shown | {"new": done.new, "sent": done.sent, "signed_by": done.signed_by})
        return
    what = f"published, {filesize.decimal(done.sent)} sent" if done.new else "is there already, with the same bytes"
    signed = f", signed by {done.signed_by}" if done.signed_by else ""
    console.print(f"[bold]{name}/{version}[/bold] {what}{signed}", highlight=False)
    console.print(f"manifest  {done.digest}", highlight=False)


def promote(
    name: str,
    version: str,
    label: LabelOption = "live",
    weight: Annotated[float | None, typer.Option(help="The share of calls of a canary or shadow: 0.1")] = None,
    store: StoreOption = None,
    force: Annotated[bool, typer.Option("--force", help="Accept what would break callers or the deployment.")] = False,
    public_key: Keys = None,
    pin: Pin = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Verify a version (digests, golden rows, fit to replace the live one), then move a label to it."""
    from model import rollout  # noqa: PLC0415
    from model.label_file import Mover  # noqa: PLC0415

    policy = _policy(public_key, pin, f"{name}/{version}")
    with console.status(f"verifying {name}/{version}"):
        moved = rollout.promote(
            store_at(store), name, version, Mover.now(by), _label(label), weight=weight, policy=policy, force=force
        )
    _told(moved, as_json=as_json)


def rollback(
    name: str,
    label: LabelOption = "live",
    store: StoreOption = None,
    force: Annotated[bool, typer.Option("--force", help="Do not ask the golden rows here.")] = False,
    public_key: Keys = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Return live to the version before; with --label canary or shadow, take that label away."""
    from model import rollout  # noqa: PLC0415
    from model.label_file import Mover  # noqa: PLC0415

    with console.status(f"rolling back {name}"):
        moved = rollout.rollback(
            store_at(store), name, Mover.now(by), _label(label), policy=_policy(public_key, None, ""), force=force
        )
    _told(moved, as_json=as_json)


def prune(
    name: Annotated[str | None, typer.Argument(help="One model; all of the store by default.")] = None,
    keep: Annotated[int, typer.Option(min=1, help="How many of the last versions stay.")] = 3,
    grace: Annotated[float, typer.Option(min=0, help="Hours in which nothing is deleted after it was written.")] = 24,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Delete old versions that have no label, and uploads that never ended; asks first."""
    from model import prune as pruning  # noqa: PLC0415
    from model.label_file import Mover  # noqa: PLC0415

    shelf, now, hours = store_at(store), datetime.now(UTC), timedelta(hours=grace)
    if name is not None and not shelf.entries(f"{name}/"):
        raise UnknownModel(f"no model is called {name!r}")
    plans = [pruning.plan(shelf, model, now, keep, hours) for model in ([name] if name else shelf.names())]
    plans = [doomed for doomed in plans if doomed.versions or doomed.unfinished]
    for doomed in plans:
        for held in (*doomed.versions, *doomed.unfinished):
            state = "" if held.published else " (never finished)"
            console.print(f"{doomed.name}/{held.version}  {filesize.decimal(held.size)}{state}", highlight=False)
    freed = 0
    if plans and (yes or typer.confirm("Delete these for good?", err=True)):
        freed = sum(pruning.prune(shelf, doomed, Mover.now(by), hours) for doomed in plans)
    if as_json:
        gone = [f"{d.name}/{h.version}" for d in plans for h in (*d.versions, *d.unfinished)]
        _print({"candidates": gone, "freed": freed})
    else:
        console.print(f"{filesize.decimal(freed)} freed" if freed else "nothing was deleted", highlight=False)


def _policy(public_keys: str | None, pin: str | None, artifact: str) -> Policy:
    """Return whom this machine trusts with a pickle: a key's holder, or whoever gave the digest."""
    if public_keys:
        keys = tuple(key.strip() for key in public_keys.split(","))
        return Policy(Trust("signed", keys=keys))
    return Policy(Trust("pinned", {artifact: pin})) if pin else Policy()


def _label(text: str) -> Label:
    if text not in ("live", "canary", "shadow"):
        raise PublishingRefused(f"there is no label {text!r}: live, canary or shadow")
    return cast(Label, text)


def _told(moved: "Moved", *, as_json: bool) -> None:
    if as_json:
        _print({**msgspec.to_builtins(moved), "from": moved.origin})
        return
    for sentence in moved.forced:
        console.print(f"[yellow]forced[/yellow] {sentence}", highlight=False)
    where = f"on {moved.to}" if moved.to else "gone"
    asked = f", golden rows asked on {' and '.join(moved.engines)}" if moved.engines else ""
    console.print(
        f"[bold]{moved.label}[/bold] of {moved.name} is {where}, was on {moved.origin or 'nothing'}{asked}",
        highlight=False,
    )


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")


@contextmanager
def _bars() -> "Iterator[Told]":
    """Show a bar for each file while it is sent."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def told(file: str, size: int, sent: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=size)
            bars.advance(tasks[file], sent)

        yield told
