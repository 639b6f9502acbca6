"""CSV with a header, as a stream: features by name in any order, other columns carried through untouched. Pure.

Arrow's reader (arro3) types a chunk: 790,000 rows of 30 numbers a second, numpy's loadtxt 190,000. Its buffers are
allocated for `batch_size` rows of every column, however few there are: 16,384 halve its speed.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from model.codec.appended import Appended, Column, joined, texts
from model.codec.columns import TRUTH, matrix
from model.codec.csv_rows import reader
from model.codec.text_lines import CHUNK, Record, lines
from model.errors import Fault, InputMalformed
from model.faults import explain
from model.manifest import Feature
from model.rows import RowSchema, is_text

try:
    import arro3.core as arrow
    import arro3.io
except ModuleNotFoundError:  # beside scikit-learn it does not fit into a zip; there Python's own reader does it all
    HAS_ARROW = False
else:
    HAS_ARROW = True

_BATCH = 4096
_BOM = b"\xef\xbb\xbf"


def header_of(first: bytes) -> tuple[list[str], int]:
    """Return the header's names and its length in bytes; raises InputMalformed when there is none in `first`."""
    records = io.BytesIO(first)
    taken: list[str] = []

    def counted() -> Iterator[str]:
        for line in records:
            taken.append("")
            yield line.decode("utf-8-sig" if len(taken) == 1 else "utf-8")

    try:
        names = next(csv.reader(counted(), strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise InputMalformed("line 1: expected a header in UTF-8") from None
    if not names or b"\n" not in first[: records.tell()]:
        raise InputMalformed("line 1: expected a header, and rows below it")
    return names, records.tell()


class CsvLines:
    """Reads and writes the chunks of one object with the header given; raises InputMalformed when it lacks a column."""

    quoted = True
    chunk = CHUNK  # by smaller ones each call of arro3's costs more than the cache saves

    def __init__(self, schema: RowSchema, header: list[str], raw: bytes) -> None:
        faults = [f"column {name} is missing" for name in schema.names if name not in header]
        faults += [f"column {name} appears twice" for name in dict.fromkeys(header) if header.count(name) > 1]
        if faults:
            raise InputMalformed(f"line 1: {'; '.join(faults[:20])}")
        self._schema, self.names = schema, header
        self._order = [header.index(name) for name in schema.names]
        self._types = _types(schema, self._order, len(header)) if HAS_ARROW else None
        self._readers = [reader(feature) for feature in schema.features]
        self.header = raw.removeprefix(_BOM).rstrip(b"\r\n")

    def matrix(self, chunk: bytes, count: int, names: tuple[str, ...] = ()) -> Any:
        """Return the chunk's rows as a matrix, or None when any line does not fit."""
        del names  # columns of the header, which are the same for every line
        if self._types is None:
            return None
        try:
            batches = list(arro3.io.read_csv(chunk, self._types, has_header=False, batch_size=min(_BATCH, count + 1)))
        except Exception:  # arro3 raises nothing narrower
            return None
        if sum(batch.num_rows for batch in batches) != count:
            return None
        columns = [_column(feature, batches, i) for feature, i in zip(self._schema.features, self._order, strict=True)]
        return None if any(column is None for column in columns) else matrix(self._schema, columns, count)

    def records(self, chunk: bytes, line: int) -> Iterator[Record]:
        """Read record by record what `matrix` refused; one may span lines."""
        physical = chunk.split(b"\n")
        physical.pop()
        records = csv.reader(part.decode("utf-8", "surrogateescape") + "\n" for part in physical)
        before = 0
        while True:
            try:
                cells = next(records, None)
            except csv.Error as error:
                cells = [f"\udc00{error}"]
            if cells is None:
                return
            raw, start, before = b"\n".join(physical[before : records.line_num]), before, records.line_num
            if cells and raw.strip(b"\r"):
                yield self._record(line + start, raw.rstrip(b"\r"), cells)

    def clashing(self, raw: bytes, names: tuple[str, ...]) -> tuple[Fault, ...]:
        del raw, names
        return ()

    def count(self, content: list[bytes]) -> int:
        return len(content)

    def gather(self, chunk: bytes, kept: list[bytes]) -> list[bytes]:
        del chunk
        return kept

    def append(self, content: list[bytes], columns: list[Column]) -> bytes:
        """Return the lines with the answers behind them."""
        return joined(content, [b","] * len(columns), [texts(c, _cell) for c in columns], b"\n")

    def head(self, appended: Appended) -> bytes:
        """Return the header of the output."""
        return b",".join([self.header, *map(_cell, appended.names)]) + b"\n"

    def content(self, chunk: bytes) -> list[bytes]:
        return lines(chunk)

    def _record(self, line: int, raw: bytes, cells: list[str]) -> Record:
        if any(not cell.isascii() and any("\udc00" <= c <= "\udfff" for c in cell) for cell in cells):
            return Record(line, raw, None, (Fault("", "expected UTF-8 in cells of at most 128 KB"),))
        if len(cells) != len(self.names):
            return Record(line, raw, None, (Fault("", f"expected {len(self.names)} cells, got {len(cells)}"),))
        values = [read(cells[i]) for read, i in zip(self._readers, self._order, strict=True)]
        document = {"instances": [values]}
        try:
            request = self._schema.request(self._schema.convert(document))
        except msgspec.ValidationError:
            request = None
        if request is not None:
            return Record(line, raw, request.rows[0])
        return Record(line, raw, None, explain(document, self._schema))


def _types(schema: RowSchema, order: list[int], count: int) -> "arrow.Schema":
    numbers = {i for i, f in zip(order, schema.features, strict=True) if _is_number(f)}
    number, text = arrow.DataType.float64(), arrow.DataType.string()
    return arrow.Schema([arrow.Field(f"c{i}", number if i in numbers else text) for i in range(count)])


def _is_number(feature: Feature) -> bool:
    return not is_text(feature) and not is_truth(feature)


def is_truth(feature: Feature) -> bool:
    """Tell a column of booleans."""
    return feature.kind == "boolean" or (
        feature.kind == "category" and all(isinstance(c, bool) for c in feature.categories or ("",))
    )


def _column(feature: Feature, batches: "list[arrow.RecordBatch]", i: int) -> Any:
    parts = [batch.column(i) for batch in batches]
    if any(part.null_count for part in parts) or not _is_number(feature):
        values = [value for part in parts for value in part.to_pylist()]
        if is_truth(feature):
            if not all(value is None or value.strip().lower() in TRUTH for value in values):
                return None
            return [None if value is None else TRUTH[value.strip().lower()] for value in values]
        # An empty cell is a missing value, but in a column of texts it is an empty text.
        return [value or "" for value in values] if feature.kind == "text" else values
    return np.concatenate([part.to_numpy() for part in parts]) if len(parts) > 1 else parts[0].to_numpy()


def _cell(value: Any) -> bytes:
    """Return one cell, quoted where RFC 4180 wants it."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    text = str(value)
    if any(c in text for c in ',"\r\n'):
        text = '"' + text.replace('"', '""') + '"'
    return text.encode()
