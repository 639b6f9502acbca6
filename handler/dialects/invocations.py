"""SageMaker's hosting contract and MLflow's scoring server: data frames, lists or CSV at `/invocations`.

`/endpoints/{name}/invocations` is where SageMaker's own runtime client calls a model by name.
Sources: SageMaker developer guide, "Use your own inference code"; mlflow/pyfunc/scoring_server.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from handler import negotiation
from handler.dialects.wire import Answer, Asked, Dialect, operation, said
from handler.observe import Observer
from handler.predict import is_json
from handler.problems import Refused
from handler.settings import MIB, Settings
from model.codec import csv_answer, csv_rows, frames
from model.codec.caps import check_csv
from model.errors import ModelError
from model.registry import Registry
from model.rows import Request
from model.scorer import Prediction, Scorer

if TYPE_CHECKING:
    from handler.records import Recorder

VERSION = "0.1.0"
_CODES = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE"}
_SHOWN = {"prediction": "values", "probabilities": "probabilities", "decision": "decisions"}


def create(registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None) -> Dialect:
    """Return the dialect; `{"error_code": "…", "message": "…"}` is how it says what went wrong."""
    operations = (
        operation("POST", r"/invocations", invoke),
        operation("POST", r"/endpoints/(?P<name>[^/]+)/invocations", invoke),
        operation("GET", r"/ping", ping),
        operation("GET", r"/version", version),
        operation("GET", r"/execution-parameters", parameters),
    )
    return Dialect(registry, settings, observer, operations, error, recorder)


def error(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"error_code": _CODES.get(problem["status"], "BAD_REQUEST"), "message": said(problem)}


async def invoke(asked: Asked) -> Answer:
    media = asked.accepts(negotiation.JSON, negotiation.CSV)
    scorer = asked.scorer()
    request = await _request(asked, scorer)
    prediction = asked.score(scorer, request)
    if media == negotiation.CSV:
        # SageMaker's own containers write no header.
        return Answer(csv_answer.encode(_only(prediction, request), scorer.manifest, header=False), media=media)
    return Answer({"predictions": getattr(prediction, _SHOWN[(request.outputs or ("prediction",))[0]])})


async def _request(asked: Asked, scorer: Scorer) -> Request:
    media = asked.media()
    if media == negotiation.CSV:
        body = await asked.body()
        check_csv(body, asked.limits)
        return csv_rows.decode(body, scorer.schema, header=None)
    if not is_json(media):
        raise Refused(415, "expected application/json or text/csv")
    frame = frames.decode(await asked.body(), scorer.schema, beside=("params",), bare=True, limits=asked.limits)
    return frame.request


def _only(prediction: Prediction, request: Request) -> Prediction:
    """Leave the one output that JSON would hold, without labels and units beside it."""
    wanted = _SHOWN[(request.outputs or ("prediction",))[0]]
    return Prediction(prediction.name, prediction.version, **{"values": None, wanted: getattr(prediction, wanted)})


async def ping(asked: Asked) -> Answer:
    """Answer 200 when the default model can predict: SageMaker waits two seconds for it."""
    try:
        asked.registry.scorer()
    except ModelError:
        return Answer({"ready": False}, 503)
    return Answer({"ready": True})


async def version(_: Asked) -> Answer:
    return Answer(VERSION.encode(), media="text/plain; charset=utf-8")


async def parameters(asked: Asked) -> Answer:
    megabytes = max(1, asked.settings.max_body_bytes // MIB)
    return Answer({"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": megabytes})
