"""Settle a run some of whose ranges failed: refused, or written down as what it is.

A run with a hole never gets a `_manifest.json`. Where the share is tolerated, `_partial.json` names its parts and lists
each missing range with its reason; the same object scored again, whole, commits as ever and removes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from model.bulk.commit import Failure, Outcome, Result, commit, committed, discard, encoded, owns, result_of
from model.bulk.job import PARTIAL
from model.bulk.ledger import SILENT
from model.bulk.objects import Objects
from model.bulk.part import Part
from model.bulk.plan import Plan, Range, footer_of
from model.errors import InputMissing, StoreUnavailable, TooManyFailed


def settle(
    objects: Objects,
    plan: Plan,
    done: Mapping[int, Part],
    reasons: Mapping[int, str],
    tolerated: float,
    attempt: str,
    columns: Sequence[str],
    timings: dict[str, Any],
) -> Outcome:
    """Commit what is whole; of what is not, at most `tolerated` percent of the ranges may be missing.

    Raises TooManyFailed beyond that, and always when nothing was scored: the parts stay for a redrive.
    """
    parts = [done[piece.index] for piece in plan.ranges if piece.index in done]
    failed = [
        Failure(piece.index, piece.start, piece.end, reasons.get(piece.index, SILENT))
        for piece in plan.ranges
        if piece.index not in done
    ]
    if not failed:
        return commit(objects, plan, parts, attempt, columns, timings)
    if not parts or len(failed) * 100 > tolerated * len(plan.ranges):
        first = f"range {failed[0].index}: {failed[0].reason}"
        raise TooManyFailed(f"{len(failed)} of {len(plan.ranges)} ranges failed, {tolerated:g} % may; {first}")
    lines = _lines(objects, plan, failed) if any(part.errors_url for part in parts) else {}
    return _write(objects, plan, result_of(objects, plan, parts, attempt, columns, timings, failed, lines), attempt)


def partial(objects: Objects, folder: str) -> Outcome | None:
    """Return the outcome of the run with holes that stands for now, or None."""
    url = f"{folder}/{PARTIAL}"
    found = objects.find(url)
    return Outcome("partial", url, msgspec.json.decode(found, type=Result)) if found else None


def _write(objects: Objects, plan: Plan, result: Result, attempt: str) -> Outcome:
    """The first partial run stays until a whole one comes; a run that settles again finds its own."""
    url = f"{plan.folder}/{PARTIAL}"
    if not objects.create(url, encoded(result)):
        there = partial(objects, plan.folder) or committed(objects, plan.folder) or _gone(url)
        if not owns(there, plan.folder, attempt):
            discard(objects, plan.folder, attempt)
        return there
    whole = committed(objects, plan.folder)
    if whole is not None:  # it came in between, and its sweep may have been too early to see this
        objects.delete(url)
        discard(objects, plan.folder, attempt)
        return whole
    kept = {result.errors_url, *(part.url for part in result.parts)}
    objects.delete_all([found for found in objects.list(f"{plan.folder}/{attempt}") if found not in kept])
    return Outcome("partial", url, result)


def _gone(url: str) -> Outcome:
    raise StoreUnavailable(f"{url} was there and is not: another run is being committed")


def _lines(objects: Objects, plan: Plan, failed: Sequence[Failure]) -> dict[int, int]:
    """Return how many lines (in Parquet rows) the missing ranges span, by which later errors are numbered."""
    if plan.format == "parquet":
        groups = footer_of(objects, plan.input).groups
        return {gap.index: sum(group.rows for group in groups[gap.start : gap.end]) for gap in failed}
    return {gap.index: _breaks(objects, plan, Range(gap.index, gap.start, gap.end)) for gap in failed}


def _breaks(objects: Objects, plan: Plan, piece: Range) -> int:
    header = plan.header.count("\n") if piece.index == 0 else 0
    try:
        return header + sum(block.count(b"\n") for block in objects.blocks(plan.input, piece.start, piece.end))
    except InputMissing:
        return header  # the input is gone, and with it the lines that a number could point to
