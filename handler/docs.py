"""Swagger UI over `/openapi.json`, from files of the environment: no page of ours loads anything from elsewhere."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

# Paths are relative, because a REST API serves everything below the name of its stage.
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>scikit-learn on AWS Lambda</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = b"""SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true})
"""
# Text alone: a REST API without binary types hands a picture out as its base64.
_MEDIA = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
}
# Swagger UI writes styles into its elements and draws its arrows as data: URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page() -> Response:
    return Response(_PAGE, headers={"content-security-policy": _POLICY}, media_type="text/html; charset=utf-8")


def asset(request: Request) -> Response:
    """Return a file of the page, or that it has not changed; raises HTTPException 404."""
    name = request.path_params["name"]
    if name not in _MEDIA:
        raise HTTPException(404)
    body = _START if name == "start.js" else _file(name).read_bytes()
    headers = {"etag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "cache-control": "public, max-age=86400"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=_MEDIA[name])


def _file(name: str) -> Path:
    """Find it without importing the package that carries it, for that would patch FastAPI."""
    found = find_spec("fastapi_offline")
    if found is None or not found.submodule_search_locations:
        raise HTTPException(404)
    return Path(found.submodule_search_locations[0]) / "static" / name
