"""Errors as RFC 9457 problem details, and the one table from a model's error to an HTTP status."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from model.errors import ArtifactError, InvalidRows, ModelError, PredictionFailed, TooLarge, UnknownModel

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
# The first class that fits answers.
STATUS: tuple[tuple[type[ModelError], HTTPStatus], ...] = (
    (InvalidRows, HTTPStatus.BAD_REQUEST),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnknownModel, HTTPStatus.NOT_FOUND),
    (PredictionFailed, HTTPStatus.BAD_REQUEST),
    (ArtifactError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: ModelError) -> HTTPStatus:
    return next((status for kind, status in STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def of_error(error: ModelError, identifier: str) -> dict[str, Any]:
    """Return the problem document of a model's error; of an artifact's only the class, its message names objects."""
    detail = "the model cannot be served now" if isinstance(error, ArtifactError) else str(error)
    problem = document(status_of(error), detail, identifier)
    problem["error"] = type(error).__name__
    if isinstance(error, InvalidRows):
        problem["detail"] = "the input does not fit the model's features"
        problem["errors"] = [msgspec.to_builtins(fault) for fault in error.faults]
    return problem


def rendered(problem: dict[str, Any], scope: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return body and media type of a problem: RFC 9457's, or the error of the dialect that was spoken."""
    shape = scope.get("error_shape")
    if shape is not None:
        return msgspec.json.encode(shape(problem)), "application/json"
    return msgspec.json.encode(problem), MEDIA_TYPE


def document(status: int, detail: str, identifier: str) -> dict[str, Any]:
    """Return a problem document: RFC 9457's members, and the request's id."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "id": identifier,
    }
