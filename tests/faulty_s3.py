"""A proxy in front of moto's S3 that fails as S3 does, when it is told to."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Literal
from urllib.parse import urlsplit

# Given method and path: an S3 error's status and code, None to let the request through, or "lost": it is done, and the
# connection is closed before its answer.
Fault = Callable[[str, str], tuple[int, str] | Literal["lost"] | None]
_HOP = {"host", "connection", "transfer-encoding", "content-length"}


def _server(endpoint: str, fault: Fault) -> ThreadingHTTPServer:
    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            failed = fault(self.command, self.path)
            if failed is not None and failed != "lost":
                status, code = failed
                self._answer(status, f"<Error><Code>{code}</Code><Message>-</Message></Error>".encode(), [])
                return
            upstream = http.client.HTTPConnection(urlsplit(endpoint).netloc)
            upstream.request(self.command, self.path, body, dict(self.headers))
            found = upstream.getresponse()
            answer = found.read()
            upstream.close()
            if failed == "lost":
                self.close_connection = True
            else:
                self._answer(found.status, answer, found.getheaders(), found.getheader("content-length"))

        def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]], length: str | None = None) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _HOP | {"server", "date"}:
                    self.send_header(name, value)
            self.send_header("content-length", length if self.command == "HEAD" and length else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    return ThreadingHTTPServer(("127.0.0.1", 0), Proxy)


@contextmanager
def faulty(endpoint: str, fault: Fault) -> Iterator[str]:
    """Serve `endpoint` with faults; yields the address."""
    server = _server(endpoint, fault)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
