"""A request's body: read up to a limit, inflated up to the same limit, and what its headers say of it."""

from typing import TYPE_CHECKING

from handler.problems import Refused
from model.errors import Fault, InvalidRows, TooLarge

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

Headers = dict[bytes, bytes]
_READ = frozenset(
    (
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"accept",
        b"x-canary-key",
        b"inference-header-content-length",
    )
)
CODINGS = {"accept-encoding": "gzip"}
# zlib copies what follows the end of a member: of 300,000 empty ones in 6 MB each time the rest, were it one piece.
_PIECE = 4096


def headers(scope: "Scope") -> Headers:
    """Return the headers that this service reads; repeated ones are joined by commas, as RFC 9110 5.3 says."""
    found: Headers = {}
    for name, value in scope["headers"]:
        if name in _READ:
            found[name] = found[name] + b", " + value if name in found else value
    return found


async def read(receive: "Receive", head: Headers, limit: int) -> bytes:
    """Read a body, and stop as soon as it is longer than `limit` bytes, whatever its headers say.

    Raises TooLarge, InvalidRows when it is not the gzip it claims to be, Refused 415 for other codings and 400
    when the caller went away before its end.
    """
    length = head.get(b"content-length", b"")
    if length.isdigit() and len(length) < 20 and int(length) > limit:
        raise TooLarge(f"a body of {int(length)} bytes, at most {limit} are taken")
    coding = head.get(b"content-encoding", b"identity").strip().lower()
    if coding in {b"gzip", b"x-gzip"}:
        return await _inflate(receive, limit)
    if coding not in {b"identity", b""}:
        raise Refused(415, "expected no Content-Encoding, or gzip", CODINGS)
    body, more = b"", True
    while more:
        chunk, more = await _chunk(receive)
        body = body + chunk if body else chunk
        if len(body) > limit:
            raise TooLarge(f"a body of more than {limit} bytes is not taken")
    return body


async def _chunk(receive: "Receive") -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Refused(400, "the body was cut")
    return message.get("body", b""), message.get("more_body", False)


async def _inflate(receive: "Receive", limit: int) -> bytes:
    """Inflate as it comes: never more than one byte over the limit exists, whatever was promised."""
    import zlib  # noqa: PLC0415  -- most bodies are not compressed

    out, more, member, read = bytearray(), True, zlib.decompressobj(wbits=31), 0
    while more:
        chunk, more = await _chunk(receive)
        read += len(chunk)
        if read > limit:
            raise TooLarge(f"a body of more than {limit} bytes is not taken")
        try:
            for at in range(0, len(chunk), _PIECE):
                data = chunk[at : at + _PIECE]
                while data:
                    out += member.decompress(data, limit + 1 - len(out))
                    if len(out) > limit:
                        raise TooLarge(f"a body of more than {limit} bytes when inflated is not taken")
                    # A further member may follow the end of one (RFC 1952 2.2).
                    data = member.unused_data
                    member = zlib.decompressobj(wbits=31) if member.eof and data else member
        except zlib.error:
            raise InvalidRows((Fault("", "not valid gzip"),)) from None
    if not member.eof:
        raise InvalidRows((Fault("", "not valid gzip: it ends too early"),))
    return bytes(out)
