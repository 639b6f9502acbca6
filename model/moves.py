"""What a move does to the labels: pure, build time only; every function returns new labels with a line of history."""

from dataclasses import replace
from typing import cast

import msgspec

from model.labels import Label, Labels, Move, Share, Target

PRUNED = "prune"


def move(labels: Labels, label: Label, target: Target, *, at: str, by: str, rollback: bool = False) -> Labels:
    """Return the labels with `label` on `target`, which is a Share for canary and shadow.

    What becomes live is no longer canary or shadow, for there is nothing left to compare.
    """
    moved = _with(labels, label, target, at=at, by=by, rollback=rollback)
    if label == "live":
        for other in moved.of(target.version):
            if other != "live":
                moved = _with(moved, other, None, at=at, by=by)
    return moved


def take_away(labels: Labels, label: Label, *, at: str, by: str) -> Labels:
    """Return the labels without `label`."""
    return _with(labels, label, None, at=at, by=by, rollback=True)


def note_pruned(labels: Labels, versions: tuple[str, ...], *, at: str, by: str) -> Labels:
    """Return the labels with a line for each version that is about to be deleted; they move no label."""
    lines = tuple(Move(at, by, PRUNED, None, version) for version in versions)
    return replace(labels, history=(*labels.history, *lines))


def pruned(labels: Labels, version: str) -> Move | None:
    """Return the line that says that a version was deleted, if there is one."""
    return next((line for line in labels.history if line.label == PRUNED and line.origin == version), None)


def previous_live(labels: Labels) -> str | None:
    """Return the version to which a rollback goes: the one that was live before the last move not yet rolled back."""
    stack: list[str] = []
    for line in labels.history:
        if line.label != "live" or line.to is None:
            continue
        if line.rollback is True and len(stack) > 1:
            stack.pop()
            continue
        if not stack and line.origin is not None:
            stack.append(line.origin)
        if not stack or stack[-1] != line.to:
            stack.append(line.to)
    return stack[-2] if len(stack) > 1 else None


def _with(labels: Labels, label: Label, target: Target | None, *, at: str, by: str, rollback: bool = False) -> Labels:
    before = getattr(labels, label)
    line = Move(
        at=at,
        by=by,
        label=label,
        to=target.version if target else None,
        origin=before.version if before else None,
        rollback=True if rollback else msgspec.UNSET,
    )
    history = (*labels.history, line)
    if label == "live":
        return replace(labels, live=target, history=history)
    share = cast("Share | None", target)
    return (
        replace(labels, canary=share, history=history)
        if label == "canary"
        else replace(labels, shadow=share, history=history)
    )
