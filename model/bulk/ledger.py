"""A run of many functions: its plan, its ranges, and what became of each, as objects beside its parts.

<folder>/<attempt>/plan.json              the plan without its ranges: all that a child reads beside its own
                   ranges.json            the list of ranges, which the state machine deals out
                   ledger/<index>.done.json     the Part of a range that was scored, written after the part itself
                   ledger/<index>.failed.json   {"Error", "Cause"} of one that was not, as Step Functions catches it
None of it outlives the commit, which removes what its manifest does not name. An entry, not an answer, says that a
range is done: it is there when a function's answer was lost, and when the run is driven again.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from model.bulk.job import place
from model.bulk.objects import Objects
from model.bulk.part import Part
from model.bulk.plan import Plan, Range
from model.errors import JobRefused

PLAN, RANGES, LEDGER = "plan.json", "ranges.json", "ledger"
SILENT = "no answer: it ran out of time or memory, or was never started"
ATTEMPT = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ENTRY = re.compile(r"(\d+)\.(done|failed)\.json")
_READERS = 32
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The objects of one attempt; `url` is <folder>/<attempt>."""

    objects: Objects
    url: str

    @property
    def folder(self) -> str:
        return self.url.rpartition("/")[0]

    @property
    def attempt(self) -> str:
        return self.url.rpartition("/")[2]

    def begin(self, plan: Plan) -> None:
        """Write the plan; doing it again writes the same."""
        self._put(RANGES, msgspec.json.encode(plan.ranges))
        self._put(PLAN, msgspec.json.encode(replace(plan, ranges=())))

    def plan(self, *, whole: bool = False) -> Plan:
        """Return the plan, with all its ranges if `whole`; raises InputMissing once the run is committed."""
        found = self._get(PLAN, Plan)
        if found.folder != self.folder:
            raise JobRefused("the plan is another folder's")
        return replace(found, ranges=self._get(RANGES, tuple[Range, ...])) if whole else found

    def done(self, part: Part) -> None:
        """Write down that a range is scored."""
        self._put(f"{LEDGER}/{part.index}.done.json", msgspec.json.encode(part))

    def entries(self) -> tuple[dict[int, Part], dict[int, str]]:
        """Return the parts and the reasons of failures by index. What failed and was scored later is done."""
        urls = {}
        for url in self.objects.list(f"{self.url}/{LEDGER}"):
            match = _ENTRY.fullmatch(url.rpartition("/")[2])
            if match:
                urls[int(match[1]), match[2]] = url
        with ThreadPoolExecutor(_READERS) as pool:
            found = dict(zip(urls, pool.map(self.objects.get, urls.values()), strict=True))
        done = {i: msgspec.json.decode(text, type=Part) for (i, kind), text in found.items() if kind == "done"}
        failed = {i: reason(text) for (i, kind), text in found.items() if kind == "failed" and i not in done}
        return done, failed

    def key(self, name: str) -> tuple[str, str]:
        """Return bucket (empty on file://) and key of an object of the attempt, for those who ask S3 itself."""
        where = place(f"{self.url}/{name}")
        return where.root.partition("://")[2], where.key

    def _put(self, name: str, content: bytes) -> None:
        writer = self.objects.writer(f"{self.url}/{name}")
        writer.write(content)
        writer.close()

    def _get(self, name: str, kind: type[Read]) -> Read:
        return msgspec.json.decode(self.objects.get(f"{self.url}/{name}"), type=kind)


def reason(caught: bytes) -> str:
    """Return why a range failed, from what a Catch gives: the error's name, and its message without the trace."""
    try:
        found: Any = msgspec.json.decode(caught)
        if isinstance(found, str):  # Step Functions may write the text of an object as a JSON string
            found = msgspec.json.decode(found)
    except msgspec.DecodeError:
        return SILENT
    if not isinstance(found, dict):
        return SILENT
    error, cause = str(found.get("Error", "")), str(found.get("Cause", ""))
    try:
        cause = str(msgspec.json.decode(cause, type=dict[str, Any]).get("errorMessage", ""))
    except (msgspec.DecodeError, UnicodeEncodeError):
        cause = cause.partition("\n")[0]
    return ": ".join(filter(None, (error, cause[:500]))) or SILENT
