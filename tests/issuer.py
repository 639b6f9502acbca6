"""An issuer of tokens as tests need one: real keys, and its discovery document and key set over HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

AUDIENCE = "https://models.example.com"
Kind = Literal["RSA", "EC"]


@cache
def key(identifier: str, kind: Kind = "RSA", size: int = 2048) -> RSAKey | ECKey:
    """A private key of that id; made once a session."""
    parameters: Any = {"kid": identifier, "use": "sig"}
    if kind == "RSA":
        return RSAKey.generate_key(size, parameters)
    return ECKey.generate_key("P-256", parameters)


class Issuer:
    """What it publishes is `keys`, or `document` where that is set; `status` other than 200 is all it answers."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/realm"
        self.named = self.url
        self.keys: list[RSAKey | ECKey] = [key("first"), key("second", "EC")]
        self.document: Any = None
        self.status = 200
        self.asked: list[str] = []

    def answer(self, path: str) -> Any:
        if path.endswith("/openid-configuration"):
            return {"issuer": self.named, "jwks_uri": f"{self.url}/keys"}
        return KeySet(list(self.keys)).as_dict(private=False) if self.document is None else self.document

    def token(self, signer: RSAKey | ECKey | None = None, header: Any = None, **claims: Any) -> str:
        """A signed token; a claim that is None is left out."""
        signer = signer or key("first")
        algorithm = "RS256" if isinstance(signer, RSAKey) else "ES256"
        now = int(time.time())
        given = {"iss": self.named, "aud": AUDIENCE, "sub": "caller", "iat": now, "exp": now + 300} | claims
        kept = {name: value for name, value in given.items() if value is not None}
        return jwt.encode({"alg": algorithm, "kid": signer.kid} | (header or {}), kept, signer)


@contextmanager
def running(host: str = "127.0.0.1") -> Iterator[Issuer]:
    """An issuer behind a server of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            body = json.dumps(issuer.answer(self.path)).encode()
            self.send_response(issuer.status)
            self.send_header("content-length", str(len(body)))
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        issuer = Issuer(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
