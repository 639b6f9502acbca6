"""From messages to what is acknowledged: score them, send answers and refusals, and say which must come back.

Each message ends as exactly one of answered, refused or returned; the first two only when every send of it succeeded.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handler import batch, replies
from handler.jobs import Message
from handler.observe import Call
from handler.replies import Reply
from handler.runtime import Runtime
from model.errors import ModelError, TooLarge

if TYPE_CHECKING:
    from handler.destinations import Destination, Outlets

# What one send may take at most (destinations.CALL_SECONDS); of a function that has less than twice of it, half.
RESERVE_SECONDS = 12.0
_REASON = 300  # characters


class Behind(batch.Returned):
    """A message in front of this one, in its group, goes back; so order is kept."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When, by time.monotonic(), too little of the function's time is left to begin anything."""

    end: float

    def __call__(self) -> bool:
        """Tell whether it is over."""
        return time.monotonic() >= self.end

    def left(self) -> int:
        """Return the milliseconds until then: what loading a model may take and still leave time to send."""
        return round((self.end - time.monotonic()) * 1000)


def deadline(context: Any) -> Deadline:
    """Return when an invocation begins nothing any more."""
    left = context.get_remaining_time_in_millis() / 1000
    return Deadline(time.monotonic() + left - min(RESERVE_SECONDS, left / 2))


class Exchange:
    """One delivery: its messages, their outcomes, and by place the error for which a message comes `back`."""

    def __init__(self, messages: Sequence[Message], outlets: "Outlets | None", late: Callable[[], bool]) -> None:
        """Nothing is scored yet."""
        self.messages = messages
        self.outcomes: list[batch.Outcome] = []
        self.back: dict[int, Exception] = {}
        self._outlets = outlets
        self._late = late

    def run(self, runtime: Runtime, call: Call) -> None:
        """Score all, send what became of them; raises nothing that messages or destinations are to blame for."""
        self.outcomes = batch.answer(self.messages, runtime, call, self._late)
        answers = self._answers()
        for i, outcome in self.errors().items():
            if not (batch.is_permanent(outcome) and self._outlets and self._outlets.errors):
                self.back[i] = outcome
        if self._outlets:
            ordered = any(destination.ordered for destination in self._outlets)
            for wave in replies.waves(self.messages, ordered=ordered):
                self._hold_order()
                self._send([i for i in wave if i not in self.back], answers, self._outlets)
        self._hold_order()
        self._tell(runtime, call)

    def errors(self) -> dict[int, Exception]:
        """The places without an answer, and why."""
        return {i: outcome for i, outcome in enumerate(self.outcomes) if isinstance(outcome, Exception)}

    def beside(self) -> dict[str, list[batch.Document]]:
        """What is told in the response for want of a destination: results and, of the refused, the reasons."""
        found: dict[str, list[batch.Document]] = {}
        if not (self._outlets and self._outlets.results):
            pairs = zip(self.messages, self.outcomes, strict=True)
            found["results"] = [replies.answered(message, each) for message, each in pairs if isinstance(each, dict)]
        if not (self._outlets and self._outlets.errors):
            reasons = {i: error for i, error in self.errors().items() if batch.is_permanent(error)}
            found["refused"] = [batch.problem(self.messages[i], error) for i, error in reasons.items()]
        return found

    def _answers(self) -> dict[int, Reply]:
        found = {}
        for i, outcome in enumerate(self.outcomes):
            if isinstance(outcome, dict) and self._outlets and self._outlets.results:
                try:
                    found[i] = replies.made(self.messages[i], outcome)
                except TooLarge as error:
                    self.outcomes[i] = error
        return found

    def _send(self, places: Sequence[int], answers: Mapping[int, Reply], outlets: "Outlets") -> None:
        """Send what became of the messages at `places`, and add to `back` those of which not all arrived."""
        good = {i: answers[i] for i in places if i in answers}
        for destination in outlets.results:
            self._ship(destination, good)
        bad = {i: error for i, error in self.errors().items() if i in places}
        if not (bad and outlets.errors):
            return
        reasons = {i: replies.refused(self.messages[i], error, original=True) for i, error in bad.items()}
        self._ship(outlets.errors, reasons)
        if outlets.bus:
            public = {i: replies.refused(self.messages[i], error, original=False) for i, error in bad.items()}
            self._ship(outlets.bus, public)
        # The reason is out, but the message did not fit beside it, so it must stay: it is the only copy.
        self.back |= {i: bad[i] for i, reply in reasons.items() if not reply.whole and i not in self.back}

    def _ship(self, destination: "Destination", outgoing: Mapping[int, Reply]) -> None:
        there = [i for i in outgoing if i not in self.back]
        failures = destination.send([outgoing[i] for i in there], self._late)
        self.back |= {there[place]: error for place, error in failures.items()}

    def _hold_order(self) -> None:
        """Send back what stands behind a message of its group that goes back."""
        closed = set()
        for i, message in enumerate(self.messages):
            if i in self.back:
                closed.add(message.group)
            elif message.group is not None and message.group in closed:
                self.back[i] = Behind()

    def _tell(self, runtime: Runtime, call: Call) -> None:
        """Count for the call's line, and say of each message without an answer why: no value is in it."""
        why = self.errors() | self.back
        call.fields |= {
            "messages": len(self.messages),
            "answered": len(self.messages) - len(why),
            "refused": len(why) - len(self.back),
            "returned": len(self.back),
        }
        causes = Counter(type(error).__name__ for error in why.values())
        if causes:
            call.fields["causes"] = dict(causes)
            call.error = causes.most_common(1)[0][0]
        for i, error in sorted(why.items()):
            told: dict[str, Any] = {"id": self.messages[i].correlation, "message_id": self.messages[i].identifier}
            told["error"] = type(error).__name__
            if isinstance(error, ModelError | batch.Returned):  # of others the text may hold values
                told["reason"] = str(error)[:_REASON]
            fate = "returned" if i in self.back else "refused"
            runtime.observer.logger.warning(f"message {fate}", extra={"fields": told})
