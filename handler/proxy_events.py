"""Events that Mangum cannot read as they are: mended where only optional fields are missing, refused otherwise.

Imported when an event needs it: those of the fronts themselves are whole.
"""

import json
from typing import Any

from handler import problems
from handler.observe import Call, Observer

Event = dict[str, Any]


def without_stage(event: Event) -> Event:
    """Return an HTTP API's event with a path below its stage, whose name begins the path unless it is $default."""
    context = event["requestContext"]
    stage, http = context.get("stage"), context.get("http") or {}
    path = str(http.get("path") or event.get("rawPath") or "/")
    prefix = f"/{stage}"
    if not stage or stage == "$default" or not (path == prefix or path.startswith(f"{prefix}/")):
        return event
    return {**event, "requestContext": {**context, "http": {**http, "path": path.removeprefix(prefix) or "/"}}}


def mended(event: Any) -> Event:
    """Return an event with every optional field that Mangum reads, and headers that it can read."""
    if not isinstance(event, dict) or not isinstance(event.get("requestContext"), dict):
        raise ValueError("not an event of API Gateway or a load balancer")
    found = {key: value for key, value in event.items() if value is not None}
    context = found["requestContext"]
    http = context.get("http") if isinstance(context.get("http"), dict) else {}
    path = http.get("path") or found.get("rawPath") or found.get("path") or "/"
    method = http.get("method") or found.get("httpMethod") or context.get("httpMethod") or "GET"
    if "elb" not in context:
        if "rawPath" in found or http:
            found["version"] = "2.0"
        else:
            found.setdefault("resource", "/{proxy+}")
            found.pop("version", None)
    found |= {"path": path, "httpMethod": method, "headers": _headers(found.get("headers"))}
    if found.get("multiValueHeaders"):
        pairs = found["multiValueHeaders"].items()
        many = {name: ", ".join(map(str, values)) for name, values in pairs if isinstance(values, list)}
        found["multiValueHeaders"] = {name: [value] for name, value in _headers(many).items()}
    context = {**context, "identity": context.get("identity") or {}}
    context["http"] = {"sourceIp": "", **http, "path": path, "method": method}
    return found | {"requestContext": context}


def _headers(headers: Any) -> dict[str, str]:
    """Return headers that are strings, without the two that Mangum reads a number from."""
    pairs = headers.items() if isinstance(headers, dict) else ()
    read = {"host", "x-forwarded-port"}
    return {name: str(value) for name, value in pairs if value is not None and name.lower() not in read}


def refused(event: Any, context: Any, observer: Observer) -> dict[str, Any]:
    """Answer 400 to an event that nobody could read, in the form that both gateways and balancers take."""
    identifier = str(getattr(context, "aws_request_id", "unknown"))
    call = Call("http", identifier, identifier, status=400, error="UnreadableEvent")
    observer.finish(call)
    body = json.dumps(problems.document(400, "the request could not be read", identifier))
    headers = {"content-type": problems.MEDIA_TYPE, "x-request-id": identifier}
    answer: dict[str, Any] = {"statusCode": 400, "body": body, "isBase64Encoded": False, "headers": headers}
    if isinstance(event, dict) and event.get("multiValueHeaders"):
        answer["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
        del answer["headers"]
    return answer
