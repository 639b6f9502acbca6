"""Which media type an answer has (RFC 9110 12.5.1); imported only for an Accept that is not the usual one."""

from collections.abc import Sequence

from handler.problems import Refused

JSON, CSV = "application/json", "text/csv"
# What nearly every client sends, answered without reading it.
PLAIN = frozenset((b"", b"*/*", b"application/json", b"application/json, */*", b"application/json, */*;q=0.5"))


def choose(accept: bytes, offered: Sequence[str] = (JSON, CSV)) -> str:
    """Return the media type offered that the caller likes best, of equals the first; raises Refused 406."""
    wishes = [_wish(part) for part in accept.decode("latin-1").split(",") if part.strip()]
    best = max(offered, key=lambda media: _quality(media, wishes))
    if wishes and _quality(best, wishes) <= 0:
        raise Refused(406, f"expected to accept {' or '.join(offered)}")
    return best


def _wish(part: str) -> tuple[str, float]:
    media, *parameters = [piece.strip().lower() for piece in part.split(";")]
    quality = next((piece[2:].strip() for piece in parameters if piece.startswith("q=")), "1")
    try:
        return media, min(float(quality), 1.0)
    except ValueError:
        return media, 0.0


def _quality(media: str, wishes: Sequence[tuple[str, float]]) -> float:
    """Return the weight that the most specific wish gives."""
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    for name in ranges:
        given = [quality for wish, quality in wishes if wish == name]
        if given:
            return max(given)
    return 0.0
