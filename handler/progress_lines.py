"""How far an object is: a line now and then, with what was scored since the last one as metrics."""

import time
from typing import TYPE_CHECKING

from handler.observe import Call
from handler.runtime import Runtime

if TYPE_CHECKING:
    from model.bulk.progress import Progress

LINE_SECONDS = 10.0


class ProgressLines:
    """Told of a part's progress; what no line has said when it ends is in the line of the call.

    So the sums of `ObjectRows` and `ObjectBadRows` are all that was worked through, in attempts that failed, too.
    """

    def __init__(self, runtime: Runtime, call: Call, url: str) -> None:
        self._runtime, self._call, self._url = runtime, call, url
        self._line = time.monotonic()
        self._rows = self._bad = 0
        self._latest: Progress | None = None

    def __call__(self, progress: "Progress") -> None:
        """Take what is done by now."""
        self._latest = progress
        if time.monotonic() - self._line < LINE_SECONDS:
            return
        self._line = time.monotonic()
        share = round(progress.done / max(progress.total, 1), 3)
        fields = {"share": share, "rows": progress.rows, "bad_rows": progress.errors, "input": self._url}
        seconds = {"seconds_left": round(progress.remaining, 1)}
        self._runtime.observer.scoring(self._call, fields | seconds, self._since(progress))

    def __enter__(self) -> "ProgressLines":
        return self

    def __exit__(self, *_: object) -> None:
        if self._latest is not None:
            before, since = self._call.metrics or {}, self._since(self._latest)
            self._call.metrics = before | {name: before.get(name, 0) + count for name, count in since.items()}

    def _since(self, progress: "Progress") -> dict[str, float]:
        rows, bad = progress.rows - self._rows, progress.errors - self._bad
        self._rows, self._bad = progress.rows, progress.errors
        return {"ObjectRows": rows, "ObjectBadRows": bad}
