"""The records of predictions and of feedback: one JSON line each in the log, many in a window. Pure.

`handler/records.py` writes them, `model/window.py` reads them. The tag comes first, so that a reader can tell where a
record begins whatever stands between two.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from model.errors import Fault, InvalidRows
from model.manifest import Scalar

# The largest float32, as for features: what is beyond is no measurement.
_Number = Annotated[float, Meta(ge=-3.4e38, le=3.4e38)]
_BEGIN = b'{"message":'


class PredictionRecord(msgspec.Struct, tag_field="message", tag="prediction", omit_defaults=True):
    """Some rows of one request: their places in it, the bins of their features and answers, and what is recorded else.

    `bins` and `answer_bins` are there when the artifact has a reference; `answers` and `probabilities` (in the order of
    the labels) from the detail "answers" on, `values` of the features with "values".
    """

    timestamp: str
    service: str
    id: str
    model: str
    version: str
    rows: list[int]
    bins: list[list[int]] | None = None
    answer_bins: list[int] | None = None
    answers: list[Scalar] | None = None
    probabilities: list[list[float]] | None = None
    values: list[list[Scalar | None]] | None = None


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """What really was the answer to one row of a prediction: a number, or a class by its value or its label."""

    id: Annotated[str, Meta(min_length=1, max_length=256)]
    actual: bool | _Number | Annotated[str, Meta(max_length=256)]
    row: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


class FeedbackRecord(msgspec.Struct, tag_field="message", tag="feedback", omit_defaults=True):
    """One answer to /feedback. Of several to the same id and row the latest counts."""

    timestamp: str
    service: str
    id: str
    actual: Scalar
    row: int = 0


Record = PredictionRecord | FeedbackRecord
_decode = msgspec.json.Decoder(Record).decode
_decode_feedback = msgspec.json.Decoder(Feedback).decode
encode = msgspec.json.Encoder().encode


def feedback(body: bytes) -> Feedback:
    """Read what a caller says was true; raises InvalidRows with a pointer to the member that is wrong."""
    try:
        return _decode_feedback(body.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.ValidationError as error:
        from model.faults import located  # noqa: PLC0415  -- for what is refused alone

        raise InvalidRows((located(error),)) from None
    except UnicodeDecodeError:
        raise InvalidRows((Fault("", "expected UTF-8"),)) from None
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRows((Fault("", "not valid JSON"),)) from None


def read(lines: Iterable[bytes], *, feedback: bool) -> Iterator[Record | None]:
    """Return the records of one kind, feedback or predictions, and None for each that is damaged.

    Other lines of a log are passed over.
    """
    begin = _BEGIN + (b'"feedback"' if feedback else b'"prediction"')
    for line in lines:
        for part in _apart(line):
            if part.startswith(begin):
                try:
                    yield _decode(part)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    yield None
            elif not part.startswith(b"{"):
                yield None


def _apart(line: bytes) -> list[bytes]:
    """Return the records of a line: a stream that adds no newline runs them together. Inside a text quotes are \\"."""
    if line.find(_BEGIN, 1) < 0:
        return [line] if line.strip() else []
    return list(filter(None, line.replace(b"}" + _BEGIN, b"}\n" + _BEGIN).split(b"\n")))
