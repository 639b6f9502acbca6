"""The page that a browser sees at `GET /`: its files as responses, with their digest in the path and nothing inline.

Imported at the first request for it, so that a cold start for a prediction never pays. The files are kept in memory,
80 kB. Behind API Gateway they leave as text: a REST API without binary types cannot carry gzip, and compresses itself.
"""

import gzip
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_MEDIA = {".css": "text/css", ".js": "text/javascript", ".html": "text/html"}
_SHELL = "index.html"
_PLACE = b"page/0/"  # what index.html writes where the digest goes, so that it also works as a plain file


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, and its media type."""

    content: bytes
    media: str


def prefers(accept: str) -> bool:
    """Tell whether an Accept header, in small letters, asks for text/html by name, and for JSON less."""
    weights = {"text/html": 0.0, "application/json": 0.0, "application/*": 0.0, "*/*": 0.0}
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if media in weights:
            weights[media] = float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight) else 0.0
    json = weights["application/json"] or weights["application/*"] or weights["*/*"]
    return weights["text/html"] > json


def shell(request: Request) -> Response:
    """Answer with the page itself, asked again each time: 304 as long as nothing has changed."""
    content = assets()[_SHELL].content.replace(_PLACE, f"page/{digest()}/".encode())
    headers = {
        "etag": f'"{digest()}"',
        "cache-control": "no-cache",
        "vary": "accept, accept-encoding",
        "content-security-policy": policy(),
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }
    known = request.headers.get("if-none-match", "")
    if any(tag.strip().removeprefix("W/") == headers["etag"] for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return _answer(request, Asset(content, "text/html"), headers)


def asset(request: Request) -> Response:
    """Answer with a file of the page, kept by the browser for a year under its digest; raises HTTPException 404.

    Under another digest (a page that was loaded before a deployment) the file comes as it is now, and is not kept.
    """
    name = request.path_params["name"]
    if name not in assets() or name == _SHELL:
        raise HTTPException(404, "no such path")
    keep = request.path_params["digest"] == digest()
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if keep else "no-store",
        "vary": "accept-encoding",
        "cross-origin-resource-policy": "same-origin",
    }
    return _answer(request, assets()[name], headers)


@cache
def assets() -> dict[str, Asset]:
    """Return the files by name."""
    files = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in _MEDIA)
    return {path.name: Asset(path.read_bytes(), _MEDIA[path.suffix]) for path in files}


@cache
def digest() -> str:
    """Return what names this state of all files: modules import one another, so they change together."""
    parts = (name.encode() + b"\0" + found.content for name, found in assets().items())
    return sha256(b"\0".join(parts)).hexdigest()[:16]


@cache
def policy() -> str:
    """Return the page's Content-Security-Policy: its own files, and the one inline script by its digest."""
    inline = re.findall(rb"<script>(.*?)</script>", assets()[_SHELL].content, re.DOTALL)
    digests = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in inline)
    return (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'self'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _answer(request: Request, found: Asset, headers: dict[str, str]) -> Response:
    content = found.content
    if "aws.event" not in request.scope and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers = _compressed(content), headers | {"content-encoding": "gzip"}
    return Response(content, headers=headers, media_type=found.media)


@cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
