"""Events → jobs: which model is asked, and the rows as the caller sent them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from model.bulk.job import Job as ObjectJob
from model.bulk.job import inside
from model.errors import Fault, InvalidRows, JobRefused


@dataclass(frozen=True, slots=True)
class Job:
    """One question to one model: `request` is in any native form (see `model.codec.json_rows`)."""

    request: Mapping[str, Any]
    model: str | None = None
    version: str | None = None


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


def from_object(event: Any, inputs: Sequence[str], outputs: Sequence[str]) -> list[ObjectJob]:
    """Read what names objects to score: EventBridge's "Object Created", S3's own notification, or a job as it is.

    A job is {"input": URL, "output": URL} with optional "model" and "version". An event's object is written below the
    first of `outputs` in S3, under its key below its input prefix. S3's test event gives no job. Raises JobRefused.
    """
    if not isinstance(event, dict):
        raise JobRefused("expected an event of S3 or EventBridge, or a job with input and output")
    if event.get("Event") == "s3:TestEvent":
        return []
    if isinstance(event.get("Records"), list):
        return [_of_record(record, inputs, outputs) for record in event["Records"]]
    if event.get("detail-type") == "Object Created":
        detail = event["detail"]
        found = detail["object"]
        return [_created(detail["bucket"]["name"], found["key"], found, "version-id", inputs, outputs)]
    keys = ("input", "output", "model", "version")
    if not {"input", "output"} <= set(event) <= set(keys) or not all(isinstance(v, str) for v in event.values()):
        raise JobRefused('expected "input" and "output", and perhaps "model" and "version", all strings')
    return [ObjectJob(event["input"], event["output"], event.get("model"), event.get("version"))]


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
