"""Events → jobs: which model is asked, and the rows as the caller sent them. Pure."""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from model.bulk.job import Job as ObjectJob
from model.bulk.job import inside
from model.errors import Fault, InvalidRows, JobRefused, ModelError, TooLarge

REQUESTED = "Prediction Requested"
# Of everything that we name deterministically; changing it makes every repeat look new.
_NAMESPACE = uuid.UUID("6f1d2c0e-5a0b-5c55-9a6e-0d1f5c3b7a42")
_LONGEST_IDENTIFIER = 256


@dataclass(frozen=True, slots=True)
class Job:
    """One question to one model: `request` is in any native form (see `model.codec.json_rows`)."""

    request: Mapping[str, Any]
    model: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One question as it was delivered, perhaps not for the first time.

    `identifier` names the delivery (message id, event id). `correlation` is the caller's own id, or the same.
    `result` names its answer, the same for every repeat. `group` is set where order counts.
    """

    identifier: str
    correlation: str
    result: str
    job: Job | ModelError
    original: Any = field(repr=False)
    group: str | None = None


def check_rows(count: int, limit: int) -> None:
    """Refuse a request of more rows than are taken; raises TooLarge."""
    if count > limit:
        raise TooLarge(f"{count} rows in one request, at most {limit} are taken")


def from_invoke(event: Any) -> Job:
    """Read a direct invoke: the request itself, with optional "model" and "version" beside it; raises InvalidRows."""
    if not isinstance(event, dict):
        raise InvalidRows((Fault("", "expected an object"),))
    faults = tuple(
        Fault(f"/{key}", "expected a string") for key in ("model", "version") if not isinstance(event.get(key, ""), str)
    )
    if faults:
        raise InvalidRows(faults)
    request = {key: value for key, value in event.items() if key not in {"model", "version"}}
    return Job(request, event.get("model"), event.get("version"))


def from_queue(event: Mapping[str, Any], limit: int) -> list[Message]:
    """Read the messages of an SQS event, in its order; a body that is not a question is an error in the job's place.

    `limit` is in bytes. A standard queue's messages may carry a group too (fair queues); only a FIFO queue orders it.
    """
    return [_record(record, limit) for record in event["Records"]]


def _record(record: Mapping[str, Any], limit: int) -> Message:
    body, identifier = record["body"], record["messageId"]
    fifo = record["eventSourceARN"].endswith(".fifo")
    question = _parse(body, limit)
    return _message(identifier, question, body, record["attributes"]["MessageGroupId"] if fifo else None)


def from_bus(event: Mapping[str, Any]) -> Message:
    """Read a "Prediction Requested" event; raises InvalidRows for any other: to answer answers would never end."""
    if event.get("detail-type") != REQUESTED:
        raise InvalidRows((Fault("/detail-type", f'expected "{REQUESTED}"'),))
    return _message(event["id"], event["detail"], event)


def is_batch(event: Any) -> bool:
    """Tell a batch of Step Functions (ItemBatcher of a Distributed Map) from a request."""
    return isinstance(event, dict) and isinstance(event.get("Items"), list) and event.keys() <= {"Items", "BatchInput"}


def from_items(event: Mapping[str, Any], request: str) -> list[Message]:
    """Read a batch of Step Functions: items are rows or requests, over what BatchInput says of all; raises InvalidRows.

    An item without an id is called by the batch's own ("id" in BatchInput, else `request`) and its place in it.
    """
    common = event.get("BatchInput") or {}
    if not isinstance(common, dict):
        raise InvalidRows((Fault("/BatchInput", "expected an object"),))
    prefix = common.get("id", request)
    if not isinstance(prefix, str):
        raise InvalidRows((Fault("/BatchInput/id", "expected a string"),))
    shared = {key: value for key, value in common.items() if key != "id"}

    def message(i: int, item: Any) -> Message:
        row = {"features": item} if isinstance(item, list) else item
        return _message(f"{prefix}/{i}", {**shared, **row} if isinstance(row, dict) else row, item)

    return [message(i, item) for i, item in enumerate(event["Items"])]


def _parse(body: str, limit: int) -> Any:
    """Return the document in a body, or the error that it is."""
    try:
        encoded = body.encode()
        if len(encoded) > limit:
            return TooLarge(f"a body of {len(encoded)} bytes, at most {limit} are taken")
        return msgspec.json.decode(encoded)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return InvalidRows((Fault("", "expected JSON in UTF-8"),))


def _message(identifier: str, question: Any, original: Any, group: str | None = None) -> Message:
    given = question.get("id") if isinstance(question, dict) else None
    named = isinstance(given, str) and given.isprintable() and 0 < len(given) <= _LONGEST_IDENTIFIER
    correlation = given if named and isinstance(given, str) else identifier
    result = _result(correlation, question) if named else str(uuid.uuid5(_NAMESPACE, identifier))
    return Message(identifier, correlation, result, _job(question, named=named), original, group)


def _result(correlation: str, question: Any) -> str:
    """Name the answer by the caller's id and the question: sent twice it is one, with another question it is two."""
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    return str(uuid.uuid5(_NAMESPACE, f"{correlation}\n{digest}"))


def _job(question: Any, *, named: bool) -> Job | ModelError:
    if isinstance(question, ModelError):
        return question
    if isinstance(question, dict) and "id" in question:
        if not named:
            fault = Fault("/id", f"expected a string of 1 to {_LONGEST_IDENTIFIER} printable characters")
            return InvalidRows((fault,))
        question = {key: value for key, value in question.items() if key != "id"}
    try:
        return from_invoke(question)
    except InvalidRows as error:
        return error


def from_object(event: Any, inputs: Sequence[str], outputs: Sequence[str]) -> list[ObjectJob]:
    """Read what names objects to score: EventBridge's "Object Created", S3's own notification, or a job as it is.

    A job is {"input": URL, "output": URL} with optional "model" and "version". An event's object is written below the
    first of `outputs` in S3, under its key below its input prefix. S3's test event gives no job, nor does a folder that
    its console makes, which is an empty object with a slash at its end. Raises JobRefused.
    """
    if not isinstance(event, dict):
        raise JobRefused("expected an event of S3 or EventBridge, or a job with input and output")
    if event.get("Event") == "s3:TestEvent":
        return []
    if isinstance(event.get("Records"), list):
        return [_of_record(record, inputs, outputs) for record in event["Records"] if not _is_folder(record["s3"])]
    if event.get("detail-type") == "Object Created":
        detail = event["detail"]
        found = detail["object"]
        if _is_folder(detail):
            return []
        return [_created(detail["bucket"]["name"], found["key"], found, "version-id", inputs, outputs)]
    keys = ("input", "output", "model", "version")
    if not {"input", "output"} <= set(event) <= set(keys) or not all(isinstance(v, str) for v in event.values()):
        raise JobRefused('expected "input" and "output", and perhaps "model" and "version", all strings')
    return [ObjectJob(event["input"], event["output"], event.get("model"), event.get("version"))]


def _is_folder(told: Mapping[str, Any]) -> bool:
    return bool(told["object"]["key"].endswith("/") and not told["object"].get("size"))


def _of_record(record: Mapping[str, Any], inputs: Sequence[str], outputs: Sequence[str]) -> ObjectJob:
    found = record["s3"]["object"]
    # Notifications encode their keys as a form does, EventBridge's events do not.
    return _created(record["s3"]["bucket"]["name"], unquote_plus(found["key"]), found, "versionId", inputs, outputs)


def _created(
    bucket: str, key: str, found: Mapping[str, Any], version: str, inputs: Sequence[str], outputs: Sequence[str]
) -> ObjectJob:
    url = f"s3://{bucket}/{key}"
    prefix = next((prefix for prefix in inputs if inside(url, prefix)), None)
    output = next((prefix for prefix in outputs if prefix.startswith("s3://")), None)
    if prefix is None or output is None:
        raise JobRefused(f"the object is not below {' or '.join(inputs)}, or no output prefix in S3 is allowed")
    below = url.removeprefix(prefix.rstrip("/")).lstrip("/")
    # A bucket without versions sends none, or the text "null" of an object from before it had them.
    number = found.get(version) if found.get(version) not in ("", "null") else None
    return ObjectJob(url, f"{output.rstrip('/')}/{below}", etag=found.get("eTag") or found.get("etag"), version=number)
