"""What all dialects share: a request with its parts at hand, an answer, and the way from path to handler.

Errors are raised as everywhere; the shape that a dialect gives them is left in the scope for whoever answers them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handler import bodies, negotiation, predict
from handler.observe import Call, Observer
from handler.problems import NO_METHOD, NO_PATH, Refused
from handler.settings import Settings
from model.codec import json_rows
from model.codec.caps import Limits
from model.registry import Registry
from model.rows import Request
from model.scorer import Prediction, Scorer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from handler.records import Recorder

# curl's -d names a form, and some clients name nothing: servers of these protocols never look.
_TAKEN_FOR_JSON = frozenset(("application/x-www-form-urlencoded", "application/octet-stream", "text/plain"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; a body that is not bytes is written as JSON."""

    body: Any
    status: int = 200
    media: str = negotiation.JSON


@dataclass(slots=True)
class Asked:
    """One request of a dialect: the names in its path, its headers, and its body when it is read."""

    scope: "Scope"
    receive: "Receive"
    registry: Registry
    settings: Settings
    observer: Observer
    limits: Limits
    path: Mapping[str, str | None]
    head: bodies.Headers = field(default_factory=dict)
    key: str = ""
    named: bool = False
    recorder: "Recorder | None" = None

    @property
    def call(self) -> Call:
        found: Call = self.scope["call"]
        return found

    def scorer(self) -> Scorer:
        """Return who is asked by name, version or label of the path; raises UnknownModel or ArtifactError."""
        name, version = self.path.get("name"), self.path.get("version")
        if name is not None and self.path.get("label") is not None:
            version = self.registry.labelled(name, str(self.path["label"]))
        self.key = predict.canary_key(self.head, self.call)
        self.named = version is not None
        scorer = self.registry.scorer(name, version, self.key, self.call.left)
        self.call.model, self.call.version = scorer.manifest.name, scorer.manifest.version
        return scorer

    def version(self) -> str:
        """Return the version that the path means."""
        name = str(self.path["name"])
        return self.path.get("version") or self.registry.labelled(name, self.path.get("label") or "live")

    async def body(self) -> bytes:
        return await bodies.read(self.receive, self.head, self.settings.max_body_bytes)

    def media(self) -> str:
        """Return the media type of the body; raises Refused 415 where its charset is not UTF-8."""
        return predict.media_type(self.head.get(b"content-type", b"").decode("latin-1"))

    async def json(self) -> bytes:
        """Return a body that has to be JSON; raises Refused 415 for what says it is something else."""
        media = self.media()
        if not predict.is_json(media) and media not in _TAKEN_FOR_JSON:
            raise Refused(415, "expected application/json")
        return await self.body()

    def accepts(self, *offered: str) -> str:
        """Return the media type that the caller likes best; raises Refused 406."""
        accept = self.head.get(b"accept", b"")
        return offered[0] if accept in negotiation.PLAIN else negotiation.choose(accept, offered)

    def score(self, scorer: Scorer, request: Request) -> Prediction:
        prediction = predict.score(scorer, request, self.limits, self.call)
        shadow = None if self.named else self.registry.shadow(self.path.get("name"))
        if shadow is not None and request.threshold is None:
            self.observer.compared(self.call, shadow.follow(request.rows, prediction, self.key))
        if self.recorder is not None:
            self.recorder.answered(self.call.identifier, request, prediction)
        return prediction


Handle = Callable[[Asked], Awaitable[Answer]]
Shape = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and a path (a regular expression over all of it) that one coroutine answers."""

    method: str
    path: re.Pattern[str]
    handle: Handle


def operation(method: str, path: str, handle: Handle) -> Operation:
    return Operation(method, re.compile(path), handle)


class Dialect:
    """An ASGI application over a table of operations; `shape` turns a problem document into the dialect's own error."""

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        observer: Observer,
        operations: Sequence[Operation],
        shape: Shape,
        recorder: "Recorder | None" = None,
    ) -> None:
        self._registry = registry
        self._observer = observer
        self._settings = settings
        self._limits = predict.limits(settings)
        self._operations = tuple(operations)
        self._shape = shape
        self._recorder = recorder

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        scope["error_shape"] = self._shape
        handle, path = self._find(scope)
        scope["call"].fields["operation"] = f"{handle.__module__.rpartition('.')[2]}.{handle.__name__}"
        asked = Asked(
            scope,
            receive,
            self._registry,
            self._settings,
            self._observer,
            self._limits,
            path,
            bodies.headers(scope),
            recorder=self._recorder,
        )
        answer = await handle(asked)
        body = answer.body if isinstance(answer.body, bytes) else json_rows.encode(answer.body)
        headers = [(b"content-type", answer.media.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _find(self, scope: "Scope") -> tuple[Handle, Mapping[str, str | None]]:
        """Return what answers this method and path; raises Refused 404 or 405."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        allowed = []
        for operation in self._operations:
            found = operation.path.fullmatch(scope["path"])
            if found and operation.method == method:
                return operation.handle, found.groupdict()
            if found:
                allowed.append(operation.method)
        if allowed:
            raise Refused(405, NO_METHOD, {"allow": ", ".join(allowed)})
        raise Refused(404, NO_PATH)


def said(problem: Mapping[str, Any]) -> str:
    """Return a problem in one sentence: where and what, for protocols whose errors are a string."""
    faults = problem.get("errors") or ()
    words = "; ".join(f"{fault['pointer'] or '/'}: {fault['detail']}" for fault in faults) or problem["detail"]
    return f"{words} (request {problem['id']})"
