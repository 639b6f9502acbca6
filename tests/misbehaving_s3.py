"""A real S3 (moto's) behind a server that misbehaves on demand: slow, throttled, cut short, altered, denied, gone."""

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Kind = Literal["slow", "throttled", "broken", "denied", "skewed", "gone", "cut", "altered", "refused"]
_STATUS: dict[str, tuple[int, str]] = {
    "throttled": (503, "SlowDown"),
    "broken": (500, "InternalError"),
    "denied": (403, "AccessDenied"),
    "skewed": (403, "RequestTimeTooSkewed"),
    "gone": (404, "NoSuchKey"),
}


@dataclass
class Fault:
    """What happens to requests whose path matches; `times` so often, `after` so many that go well."""

    kind: Kind
    path: str = ""
    seconds: float = 0.0
    times: int = 1_000_000
    after: int = 0

    def strikes(self, path: str) -> bool:
        if not re.search(self.path, path) or self.times <= 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


class FaultyS3(ThreadingHTTPServer):
    """Forwards to `target`; `seen` has the method and path of every request, `struck` the file that each fault met."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str, int]] = []
        self.struck: list[tuple[Kind, str]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyS3
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave apart, and the second would wait 40 ms

    def do_GET(self) -> None:
        with self.server.lock:
            fault = next((fault for fault in self.server.faults if fault.strikes(self.path)), None)
            if fault is not None:
                self.server.struck.append((fault.kind, urlsplit(self.path).path.rsplit("/", 1)[-1]))
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "refused":
            self.close_connection = True
            self.connection.close()
            return
        if fault is not None and fault.kind in _STATUS:
            status, code = _STATUS[fault.kind]
            self._answer(status, {}, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())
            return
        status, headers, body = self._forward()
        if fault is not None and fault.kind == "altered" and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        self._answer(status, headers, body, cut=fault is not None and fault.kind == "cut")

    def _forward(self) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.target)
        connection.request("GET", self.path, headers=dict(self.headers.items()))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        self.server.seen.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "connection", "transfer-encoding", "date", "server"}:
                self.send_header(name, value)
        if status != 304:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def faulty_s3(target: str) -> Iterator[FaultyS3]:
    server = FaultyS3(target)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
