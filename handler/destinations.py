"""Where replies go: SQS queues and EventBridge buses, over the runtime's own botocore, entry by entry.

Only a function that has a destination imports this module: botocore costs 200 ms of a cold start.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from handler.replies import DeliveryFailed, Reply, shipments
from handler.settings import Settings

# One call takes 12 s at the very most: three attempts of 3 s, and up to 1 and 2 s that botocore waits between them.
CALL_SECONDS = 12.0
_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})
Failures = dict[int, Exception]


class Destination(Protocol):
    """One place that takes replies."""

    ordered: bool

    def send(self, replies: Sequence[Reply], late: Callable[[], bool]) -> Failures:
        """Send, and return the places of those that did not arrive; raises nothing. When `late`, the rest stays."""
        ...


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where answers go (a queue, a bus, both), where refusals go with their originals, and where without."""

    results: tuple[Destination, ...] = ()
    errors: Destination | None = None
    bus: Destination | None = None

    def __iter__(self) -> Iterator[Destination]:
        return iter((*self.results, *filter(None, (self.errors,))))


def outlets(settings: Settings) -> Outlets:
    """Return the destinations that the settings name; their clients connect when they first send."""
    bus = Bus(settings.results_bus, settings.service) if settings.results_bus else None
    queue = Queue(settings.results_queue) if settings.results_queue else None
    results = tuple(found for found in (queue, bus) if found)
    return Outlets(results, Queue(settings.errors_queue) if settings.errors_queue else None, bus)


class Queue:
    """An SQS queue, standard or FIFO."""

    def __init__(self, url: str) -> None:
        self.ordered = url.endswith(".fifo")
        self._url = url
        self._client = _client("sqs")

    def send(self, replies: Sequence[Reply], late: Callable[[], bool]) -> Failures:
        """Send by SendMessageBatch, which answers for each entry."""

        def call(places: list[int]) -> Failures:
            entries = [self._entry(i, replies[i]) for i in places]
            answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            return {int(failed["Id"]): DeliveryFailed(failed["Code"]) for failed in answer.get("Failed", ())}

        return _send(replies, call, late)

    def _entry(self, place: int, reply: Reply) -> dict[str, Any]:
        # A FIFO queue drops what has the id of something sent within five minutes: a repeat.
        fifo = {"MessageGroupId": reply.group, "MessageDeduplicationId": reply.result} if self.ordered else {}
        return {"Id": str(place), "MessageBody": reply.body, **fifo}


class Bus:
    """An EventBridge bus; `source` is what its events call themselves."""

    ordered = False

    def __init__(self, name: str, source: str) -> None:
        self._common = {"EventBusName": name, "Source": source}
        self._client = _client("events")

    def send(self, replies: Sequence[Reply], late: Callable[[], bool]) -> Failures:
        """Send by PutEvents, which answers for each entry, in their order."""

        def call(places: list[int]) -> Failures:
            entries = [{**self._common, "DetailType": replies[i].kind, "Detail": replies[i].body} for i in places]
            answer = self._client.put_events(Entries=entries)["Entries"]
            failed = ((i, entry.get("ErrorCode")) for i, entry in zip(places, answer, strict=True))
            return {i: DeliveryFailed(code) for i, code in failed if code}

        return _send(replies, call, late)


def _client(service: str) -> Any:
    return botocore.session.get_session().create_client(service, config=_CONFIG)


def _send(replies: Sequence[Reply], call: Callable[[list[int]], Failures], late: Callable[[], bool]) -> Failures:
    """Call for each shipment. After one that failed whole, the others stay: what throttles or refuses is spared."""
    failures: Failures = {}
    broken: Exception | None = None
    for places in shipments(replies):
        if broken is None and late():
            broken = DeliveryFailed("OutOfTime")
        if broken is None:
            try:
                failures |= call(places)
                continue
            except ClientError as error:
                broken = DeliveryFailed(error.response.get("Error", {}).get("Code", "ClientError"))
            except BotoCoreError as error:
                broken = DeliveryFailed(type(error).__name__)
        failures |= dict.fromkeys(places, broken)
    return failures
