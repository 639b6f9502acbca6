"""The hot path: a body, once decoded, once scored, once written. A plain ASGI application behind three routes.

A route of Starlette's own costs 20 µs more for a Request, a Response and another layer of error handling.
"""

from typing import TYPE_CHECKING

from handler import bodies, negotiation
from handler.observe import Call, Observer
from handler.problems import Refused
from handler.settings import Settings
from model import options
from model.codec import caps, json_rows
from model.errors import Fault, InvalidRows, TooLarge
from model.registry import Registry
from model.rows import Request
from model.scorer import Prediction, Scorer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from handler.records import Recorder

PATHS = ("/predict", "/models/{name}/predict", "/models/{name}/versions/{version}/predict")
_JSON = (b"content-type", b"application/json")
_UTF_8 = frozenset(("", "utf-8", "utf8", "us-ascii"))


def route(path: str) -> dict[str, str] | None:
    """Return the parameters of a path that `PATHS` has, None for any other: 1 µs, where a router takes 15."""
    match path.split("/"):
        case ["", "predict"]:
            return {}
        case ["", "models", name, "predict"] if name:
            return {"name": name}
        case ["", "models", name, "versions", version, "predict"] if name and version:
            return {"name": name, "version": version}
    return None


class Predict:
    """POST a request in any native form, get the answer as JSON or CSV; raises the model's errors and Refused."""

    def __init__(
        self, registry: Registry, settings: Settings, observer: Observer, recorder: "Recorder | None" = None
    ) -> None:
        self._registry = registry
        self._observer = observer
        self._recorder = recorder
        self._limits = limits(settings)
        self._max_body = settings.max_body_bytes

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        call: Call = scope["call"]
        call.fields["operation"] = "predict"
        head = bodies.headers(scope)
        accept = head.get(b"accept", b"")
        media = negotiation.JSON if accept in negotiation.PLAIN else negotiation.choose(accept)
        asked = _query(scope["query_string"]) if scope["query_string"] else {}
        name, version = self._version(scope["path_params"], asked.get("label"))
        key = canary_key(head, call)
        scorer = self._registry.scorer(name, version, key, call.left)
        call.model, call.version = scorer.manifest.name, scorer.manifest.version
        body = await bodies.read(receive, head, self._max_body)
        request = decode(head.get(b"content-type", b"").decode("latin-1"), body, scorer, self._limits)
        if asked:
            request = _with(request, asked, scorer)
        prediction = score(scorer, request, self._limits, call)
        shadow = None if version else self._registry.shadow(name)
        if shadow is not None and request.threshold is None:
            self._observer.compared(call, shadow.follow(request.rows, prediction, key))
        if media == negotiation.JSON:
            answer = json_rows.encode(json_rows.render(prediction, single=request.single, identifier=call.identifier))
            headers = [_JSON, (b"content-length", str(len(answer)).encode())]
        else:
            answer, headers = _csv(prediction, scorer)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        if self._recorder is not None and asked.get("record") != "false":
            self._recorder.answered(call.identifier, request, prediction)

    def _version(self, path: dict[str, str], label: str | None) -> tuple[str | None, str | None]:
        """Return name and version of who is asked; a label only stands where the path names no version."""
        name, version = path.get("name"), path.get("version")
        if label is not None:
            if version is not None:
                raise InvalidRows((Fault("", "query parameter label: not expected beside a version in the path"),))
            name = name or self._registry.default()
            version = self._registry.labelled(name, label)
        return name, version


def canary_key(head: bodies.Headers, call: Call) -> str:
    """Return what decides whether the canary answers: the caller's own key, else the request's id."""
    key = head.get(b"x-canary-key")
    return call.identifier if key is None else key.decode("latin-1")


def limits(settings: Settings) -> caps.Limits:
    return caps.Limits(
        settings.max_rows, settings.max_columns, settings.max_string, settings.max_depth, settings.max_digits
    )


def score(scorer: Scorer, request: Request, limits: caps.Limits, call: Call) -> Prediction:
    """Score a decoded request, with its count of rows in the call's line; raises the model's errors."""
    call.rows = len(request.rows)
    if call.rows > limits.rows:
        raise TooLarge(f"{call.rows} rows in one request, at most {limits.rows} are taken")
    return options.score(scorer, request)


def media_type(content_type: str) -> str:
    """Return a content type without its parameters; raises Refused 415 where its charset is not UTF-8."""
    media, _, parameters = content_type.partition(";")
    charset = parameters.lower().partition("charset=")[2].partition(";")[0].strip(' "') if parameters else ""
    if charset not in _UTF_8:
        raise Refused(415, "expected UTF-8")
    return media.strip().lower()


def is_json(media: str) -> bool:
    """Tell JSON by any of its names; what is not named is taken for it, as every small client sends it."""
    return media in {"", "application/json"} or (media.endswith("+json") and "," not in media)


def decode(content_type: str, body: bytes, scorer: Scorer, limits: caps.Limits = caps.DEFAULT) -> Request:
    """Decode a body by its media type; raises InvalidRows, TooLarge and Refused 415."""
    media = media_type(content_type)
    if is_json(media):
        return json_rows.decode(body, scorer.schema, limits)
    if media == negotiation.CSV:
        from model.codec import csv_rows  # noqa: PLC0415  -- most deployments never see one

        caps.check_csv(body, limits)
        return csv_rows.decode(body, scorer.schema)
    raise Refused(415, "expected application/json or text/csv")


def _query(query: bytes) -> dict[str, str]:
    from handler.query import parse  # noqa: PLC0415  -- a prediction seldom has one

    return parse(query)


def _with(request: Request, asked: dict[str, str], scorer: Scorer) -> Request:
    from handler.query import apply  # noqa: PLC0415  -- as above

    return apply(request, asked, scorer.schema.offered)


def _csv(prediction: Prediction, scorer: Scorer) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    from model.codec import csv_answer  # noqa: PLC0415  -- most deployments never write one

    answer = csv_answer.encode(prediction, scorer.manifest)
    named = [(b"x-model-name", scorer.manifest.name.encode()), (b"x-model-version", scorer.manifest.version.encode())]
    length = (b"content-length", str(len(answer)).encode())
    return answer, [(b"content-type", b"text/csv; charset=utf-8"), length, *named]
