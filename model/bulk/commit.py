"""The commit: one manifest for one version of an input, written last and only if none is there."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import msgspec

from model.bulk.job import MANIFEST
from model.bulk.objects import Objects, Version
from model.bulk.part import BadRow, Part
from model.bulk.plan import Plan
from model.codec import text_lines
from model.errors import InputMalformed, StoreUnavailable

FORMAT = 1
State = Literal["committed", "already-committed", "partial", "superseded"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A range that is not in the output, and why: `start` and `end` are those of `Range`."""

    index: int
    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """`_manifest.json`: what was scored, by what, into which parts; only what it names is output.

    `digest` is of the output: of the one part, or of all parts' digests in order. `columns` are the names appended.
    `timings` are RFC 3339 times and seconds. `failed` is empty in `_manifest.json`, whatever was tolerated.
    """

    format: int
    input: Version
    model: dict[str, str]
    columns: tuple[str, ...]
    rows: int
    errors: int
    parts: tuple[Part, ...]
    errors_url: str | None
    digest: str
    timings: dict[str, Any]
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. "superseded": the version that the event told of is gone, and the next one has its own event;
    "partial": ranges are missing, and `_partial.json` lists them (see `model.bulk.partial`)."""

    state: State
    manifest: str | None = None
    result: Result | None = None


def committed(objects: Objects, folder: str) -> Outcome | None:
    """Return the outcome of whoever was first, or None when nobody has committed this input version yet."""
    url = f"{folder}/{MANIFEST}"
    found = objects.find(url)
    if found is None:
        return None
    return Outcome("already-committed", url, msgspec.json.decode(found, type=Result))


def commit(
    objects: Objects, plan: Plan, parts: Sequence[Part], attempt: str, columns: Sequence[str], timings: dict[str, Any]
) -> Outcome:
    """Put the parts together in order, one for each of the plan's ranges, and make them the output.

    The first attempt wins and removes what all others have left; a loser removes its own and returns the winner's
    outcome. An attempt that commits again, because nobody heard its answer, finds its own manifest and leaves it.
    Raises InputMalformed when a range of CSV ended between quotes, and the store's errors. After one of those the
    manifest may be there all the same, or on its way: whoever catches it must leave the parts where they are.
    """
    ordered = sorted(parts, key=lambda part: part.index)
    if [part.index for part in ordered] != [piece.index for piece in plan.ranges]:
        raise ValueError("a commit takes one part for each range of the plan")
    result = result_of(objects, plan, ordered, attempt, columns, timings)
    url = f"{plan.folder}/{MANIFEST}"
    if _created(objects, url, encoded(result)):
        _sweep(objects, plan.folder, result)
        return Outcome("committed", url, result)
    outcome = committed(objects, plan.folder)
    if outcome is None or outcome.result is None:
        raise StoreUnavailable(f"{url} was there and is not: another attempt is being written")
    if owns(outcome, plan.folder, attempt):
        _sweep(objects, plan.folder, outcome.result)
    else:
        discard(objects, plan.folder, attempt)
    return outcome


def result_of(
    objects: Objects,
    plan: Plan,
    ordered: Sequence[Part],
    attempt: str,
    columns: Sequence[str],
    timings: dict[str, Any],
    failed: Sequence[Failure] = (),
    lines: Mapping[int, int] | None = None,
) -> Result:
    """Put parts together in order, with the ranges that are missing and how many lines those span, by index."""
    if len(plan.ranges) > 1 and any(part.open_quote for part in ordered):
        raise InputMalformed("a cell holds a line break where the object was cut: score it in one range")
    return Result(
        FORMAT,
        plan.input,
        {"name": plan.model, "version": plan.model_version, "digest": plan.digest},
        tuple(columns),
        sum(part.rows for part in ordered),
        sum(part.errors for part in ordered),
        tuple(ordered),
        _errors(objects, plan, ordered, attempt, lines or {}),
        _digest(ordered),
        timings,
        tuple(failed),
    )


def encoded(result: Result) -> bytes:
    """Return the manifest's bytes."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n"


def owns(outcome: Outcome, folder: str, attempt: str) -> bool:
    """Tell whether an outcome's parts are this attempt's own."""
    parts = outcome.result.parts if outcome.result else ()
    return any(part.url.startswith(f"{folder}/{attempt}/") for part in parts)


def discard(objects: Objects, folder: str, attempt: str) -> None:
    """Remove what an attempt has written."""
    objects.drop_folder(f"{folder}/{attempt}")


def _digest(parts: Sequence[Part]) -> str:
    if len(parts) == 1:
        return parts[0].digest
    return f"sha256:{hashlib.sha256(''.join(part.digest for part in parts).encode()).hexdigest()}"


def _errors(objects: Objects, plan: Plan, parts: Sequence[Part], attempt: str, lines: Mapping[int, int]) -> str | None:
    """Return the one error file: the only range's own, or all of them in order with the object's line numbers."""
    if len(plan.ranges) == 1 or not any(part.errors_url for part in parts):
        return parts[0].errors_url if parts else None
    url = f"{plan.folder}/{attempt}/errors.jsonl"
    writer = objects.writer(url)
    spans = {part.index: part.lines for part in parts} | dict(lines)
    above = list(accumulate((spans[piece.index] for piece in plan.ranges), initial=0))
    decode, encode = msgspec.json.Decoder(BadRow).decode_lines, msgspec.json.Encoder().encode_lines
    for part in parts:
        if part.errors_url:
            there = objects.head(part.errors_url)
            # In pieces: where every row of a range is bad, the file is larger than the range.
            for _, chunk in text_lines.Cutter(quoted=False).chunks(objects.blocks(there, 0, there.size)):
                bad = [BadRow(row.line + above[part.index], row.field, row.reason) for row in decode(chunk)]
                writer.write(encode(bad))
    writer.close()
    return url


def _created(objects: Objects, url: str, content: bytes) -> bool:
    """Put the manifest; False when one is there, which may be this very one: only its answer was lost."""
    try:
        return objects.create(url, content)
    except StoreUnavailable:
        if objects.find(url) is None:
            raise
        return False


def _sweep(objects: Objects, folder: str, result: Result) -> None:
    """Remove what crashed attempts have left. One that still runs will lose anyway: the manifest is there."""
    kept = {f"{folder}/{MANIFEST}", result.errors_url, *(part.url for part in result.parts)}
    winner = result.parts[0].url.rsplit("/", 1)[0]
    objects.delete_all([url for url in objects.list(folder) if url not in kept])
    objects.sweep_unfinished(folder, winner)
