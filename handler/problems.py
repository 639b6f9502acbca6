"""Errors as RFC 9457 problem details, and the one table from a model's error to an HTTP status."""

from collections.abc import Mapping
from typing import Any

import msgspec

from model.errors import ArtifactError, Fault, InvalidRows, ModelError, PredictionFailed, TooLarge, UnknownModel

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
NO_PATH, NO_METHOD = "no such path", "no such method for this path"
# The first class that fits answers.
STATUS: tuple[tuple[type[ModelError], int], ...] = (
    (InvalidRows, 400),
    (TooLarge, 413),
    (UnknownModel, 404),
    (PredictionFailed, 400),
    (ArtifactError, 503),
)


class Refused(Exception):
    """A request that is refused before its rows are looked at: status, why in words for the caller, headers, faults."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, faults: tuple[Fault, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.faults = status, detail, headers or {}, faults


def status_of(error: ModelError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def of_error(error: ModelError, identifier: str) -> dict[str, Any]:
    """Return the problem document of a model's error; of an artifact's only the class, its message names objects."""
    detail = "the model cannot be served now" if isinstance(error, ArtifactError) else str(error)
    problem = document(status_of(error), detail, identifier)
    problem["error"] = type(error).__name__
    if isinstance(error, InvalidRows):
        problem["detail"] = "the input does not fit the model's features"
        problem["errors"] = [msgspec.to_builtins(fault) for fault in error.faults]
    return problem


def of_refusal(error: Refused, identifier: str) -> dict[str, Any]:
    """Return the problem document of a refusal, with its faults by JSON pointer where it has any."""
    problem = document(error.status, error.detail, identifier)
    return problem | {"errors": [msgspec.to_builtins(fault) for fault in error.faults]} if error.faults else problem


def rendered(problem: dict[str, Any], scope: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return body and media type of a problem: RFC 9457's, or the error of the dialect that was spoken."""
    shape = scope.get("error_shape")
    if shape is not None:
        return msgspec.json.encode(shape(problem)), "application/json"
    return msgspec.json.encode(problem), MEDIA_TYPE


def document(status: int, detail: str, identifier: str) -> dict[str, Any]:
    """Return a problem document: RFC 9457's members, and the request's id."""
    from http import HTTPStatus  # noqa: PLC0415  -- 3 ms that no prediction needs

    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "id": identifier,
    }
