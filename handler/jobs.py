"""Events → jobs: which model is asked, and the rows as the caller sent them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.errors import Fault, InvalidRows


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
