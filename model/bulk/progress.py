"""How far a part is, and whether the rest fits into the time left. Pure: clocks are given."""

from collections.abc import Callable
from dataclasses import dataclass

from model.errors import OutOfTime

# Seconds of work before its pace says anything, and seconds that closing the part and committing may take.
_SETTLED, _COMMIT = 2.0, 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What a part has done: rows written, rows refused, bytes of the input read, of how many, in how many seconds."""

    rows: int
    errors: int
    done: int
    total: int
    seconds: float

    @property
    def remaining(self) -> float:
        """Seconds that the rest takes at the pace so far."""
        return self.seconds * (self.total - self.done) / self.done if self.done else float("inf")


def ignore(_: Progress) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Deadline:
    """`left` tells the seconds that the call still has (Lambda's get_remaining_time_in_millis)."""

    left: Callable[[], float]

    def check(self, progress: Progress) -> None:
        """Raise OutOfTime as soon as size and pace say that the rest will not fit: after two seconds at first."""
        if progress.seconds >= _SETTLED and progress.remaining + _COMMIT > self.left():
            raise OutOfTime(
                f"{progress.remaining:.0f} s of work are left and {self.left():.0f} s of time: score it in ranges"
            )
