"""Answers and refusals → what leaves: the documents, their sizes, and which of them share a call. Pure.

SQS and EventBridge take the same: 10 entries and 1 MiB a call, and as much for one entry alone.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from handler.batch import Document, Returned, problem
from handler.jobs import Message
from model.codec import json_rows
from model.errors import TooLarge

MADE, REFUSED = "Prediction Made", "Prediction Refused"
ENTRIES = 10
# Of 1 MiB, room left for what wraps a document: EventBridge counts source, detail type and time as well.
BYTES = 1024 * 1024 - 2048


class DeliveryFailed(Returned):
    """A reply did not go out; the text is the service's own code for it, such as AccessDenied."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One document on its way: `result` names it, `group` orders it among its like in a FIFO queue."""

    kind: str
    result: str
    group: str
    body: str
    whole: bool = True
    """False for a refusal whose original did not fit: then the only copy is the message itself, and it must go back."""

    @property
    def size(self) -> int:
        """Bytes in UTF-8."""
        return len(self.body) if self.body.isascii() else len(self.body.encode())


def answered(message: Message, answer: Document) -> Document:
    """Return an answer under the name that every repeat of it has."""
    return {**answer, "result_id": message.result}


def made(message: Message, answer: Document) -> Reply:
    """Return an answer as it leaves; raises TooLarge when no message holds it."""
    body = json_rows.encode(answered(message, answer)).decode()
    reply = Reply(MADE, message.result, message.group or message.result, body)
    if reply.size > BYTES:
        raise TooLarge(f"an answer of {reply.size} bytes, a message holds at most {BYTES}: send fewer rows in one")
    return reply


def refused(message: Message, error: Exception, *, original: bool) -> Reply:
    """Return why a message is refused, with the message as it came where `original` says so and it fits.

    Where it does not fit, its size stands for it. A bus has many readers, so what goes there is without.
    """
    reason = {**problem(message, error), "result_id": message.result, "message_id": message.identifier}
    group = message.group or message.result
    if not original:
        return Reply(REFUSED, message.result, group, json.dumps(reason))
    reply = Reply(REFUSED, message.result, group, json.dumps({**reason, "original": message.original}))
    if reply.size <= BYTES:
        return reply
    size = len(json.dumps(message.original))
    return Reply(REFUSED, message.result, group, json.dumps({**reason, "original_bytes": size}), whole=False)


def shipments(replies: Sequence[Reply]) -> Iterator[list[int]]:
    """Cut replies into what one call may carry: lists of places, in order."""
    places: list[int] = []
    size = 0
    for i, reply in enumerate(replies):
        if places and (len(places) == ENTRIES or size + reply.size > BYTES):
            yield places
            places, size = [], 0
        places.append(i)
        size += reply.size
    if places:
        yield places


def waves(messages: Sequence[Message], *, ordered: bool) -> list[list[int]]:
    """Return places to send together: all, or where order counts the first of each group, the second of each, ...

    So nothing of a group is sent before what stands in front of it has arrived.
    """
    if not ordered:
        return [list(range(len(messages)))]
    found: list[list[int]] = []
    seen: dict[Any, int] = {}
    for i, message in enumerate(messages):
        nth = 0 if message.group is None else seen.get(message.group, 0)
        if message.group is not None:
            seen[message.group] = nth + 1
        if nth == len(found):
            found.append([])
        found[nth].append(i)
    return found
