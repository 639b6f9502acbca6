"""One thing that will hurt, and what helps against it."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "hint"]
LIMIT = 262_144_000
"""Bytes that Lambda unzips for one function, layers included; it refuses more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` is an artifact, a function or a layer; `rule` names the kind of finding, for machines.

    error: it will be refused, fail or serve the wrong thing. warning: it costs. hint: worth knowing.
    """

    severity: Severity
    rule: str
    where: str
    what: str
    cure: str
