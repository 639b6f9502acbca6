"""What a window of records says, as values and as a document for logs and machines."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model.drift import Drift
from model.reference import Reference

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a window says of one version; `drift` is None for want of a reference, `judged` counts known truths."""

    model: str
    version: str
    requests: int
    rows: int
    drift: Drift | None
    judged: int
    figures: dict[str, float]
    reference: Reference | None
    counts: tuple[Counter[int], ...]

    def document(self) -> Document:
        """Return all but the counts; a feature's name is in it, never a value."""
        found: Document = {"model": self.model, "version": self.version, "requests": self.requests, "rows": self.rows}
        if self.drift is None:
            found["reason"] = "no reference: packed without a sample of the training data"
        else:
            found |= {"small": self.drift.small, "drifted": list(self.drift.drifted)}
            found["columns"] = {
                column.name: {
                    "psi": column.psi,
                    "limit": column.limit,
                    "js": column.js,
                    "nulls": round(column.nulls, 6),
                    "nulls_in_training": round(column.nulls_in_training, 6),
                    "unseen": round(column.unseen, 6),
                }
                for column in self.drift.columns
            }
        return found | {"judged": self.judged, "quality": {k: round(v, 6) for k, v in self.figures.items()}}


@dataclass(slots=True)
class Found:
    """The findings of a window, and what could not be used in it.

    `unreadable` lines are no records, `spoiled` objects end in damage, `unknown` are requests to versions that are not
    in the store (any more), `unmatched` is feedback to no recorded row, `unusable` names no class of its model.
    """

    start: datetime | None
    end: datetime | None
    findings: list[Finding] = field(default_factory=list)
    objects: int = 0
    unreadable: int = 0
    unknown: int = 0
    unmatched: int = 0
    unusable: int = 0
    left_out: int = 0
    spoiled: list[str] = field(default_factory=list)

    @property
    def drifted(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.drift and finding.drift.drifted]

    def document(self) -> Document:
        """Return what holds for the window, whatever the version; what is 0 is left out."""
        start, end = (moment.isoformat(timespec="seconds") if moment else None for moment in (self.start, self.end))
        found: Document = {"from": start, "to": end, "objects": self.objects}
        found["drifted"] = [f"{finding.model}/{finding.version}" for finding in self.drifted]
        for name in ("unreadable", "unknown", "unmatched", "unusable", "left_out", "spoiled"):
            if getattr(self, name):
                found[name] = getattr(self, name)
        return found
