"""Parquet: columns by name, other columns carried through untouched. Pure; reads and writes through file objects.

arro3 (Rust's arrow and parquet, 35 MB) reads 2.5 million rows of 30 numbers a second; pyarrow (171 MB) does not fit
beside onnxruntime. Floats are written without a dictionary, which their many values would only outgrow: 5.6 million
rows a second against 0.4, and a fifth smaller.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import arro3.core as arrow
import arro3.io
import msgspec
import numpy as np

from model.codec.appended import Column
from model.codec.columns import matrix
from model.codec.csv_lines import is_truth
from model.codec.text_lines import Record
from model.errors import Fault, InputMalformed
from model.faults import explain
from model.manifest import Feature
from model.rows import RowSchema, is_text

BATCH = 8192
_GROUP = 128 * 1024
_Type = arrow.DataType


class ParquetRows:
    """Reads and writes the batches of one object; raises InputMalformed when a feature's column is missing or of
    another kind."""

    def __init__(self, schema: RowSchema, file: Any) -> None:
        self._schema, self._file = schema, file
        try:
            self._batches = arro3.io.read_parquet(file, batch_size=BATCH)
        except Exception as error:  # arro3 raises nothing narrower
            raise _malformed(file, error) from None
        self._types: arrow.Schema = self._batches.schema
        self.names: list[str] = list(self._types.names)
        faults = [fault for feature in schema.features for fault in _faults(feature, self._types)]
        if faults:
            raise InputMalformed("; ".join(faults[:20]))

    def chunks(self) -> Iterator[tuple[int, arrow.RecordBatch]]:
        """Yield (number of the first row, batch); rows are numbered from 1."""
        line = 1
        while True:
            try:
                batch = next(self._batches, None)
            except Exception as error:
                raise _malformed(self._file, error) from None
            if batch is None:
                return
            yield line, batch
            line += batch.num_rows

    def matrix(self, batch: arrow.RecordBatch, count: int, names: tuple[str, ...] = ()) -> Any:
        """Return the batch's rows as a matrix, or None when any row does not fit."""
        del names  # columns of the file, which are the same for every row
        columns = [_values(feature, batch.column(feature.name)) for feature in self._schema.features]
        return matrix(self._schema, columns, count)

    def records(self, batch: arrow.RecordBatch, line: int) -> Iterator[Record]:
        """Read row by row what `matrix` refused."""
        columns = [batch.column(feature.name).to_pylist() for feature in self._schema.features]
        for i, values in enumerate(zip(*columns, strict=True)):
            # Parquet knows both null and NaN; a data frame writes one for the other, so a NaN is missing as well.
            document = {"instances": [[None if value != value else value for value in values]]}  # noqa: PLR0124
            try:
                request = self._schema.request(self._schema.convert(document))
            except msgspec.ValidationError:
                request = None
            row = request.rows[0] if request is not None else None
            yield Record(line + i, i, row, () if row is not None else explain(document, self._schema))

    def clashing(self, raw: Any, names: tuple[str, ...]) -> tuple[Fault, ...]:
        del raw, names
        return ()

    def content(self, batch: arrow.RecordBatch) -> arrow.RecordBatch:
        return batch

    def count(self, content: arrow.RecordBatch) -> int:
        return content.num_rows

    def gather(self, batch: arrow.RecordBatch, kept: list[int]) -> arrow.RecordBatch:
        return batch.take(arrow.Array(np.array(kept, dtype=np.uint64)))

    def append(self, content: arrow.RecordBatch, columns: list[Column]) -> arrow.RecordBatch:
        """Return the batch with the answers as further columns."""
        for column in columns:
            content = content.append_column(column.name, _array(column))
        return content

    def write(self, scored: Iterable[arrow.RecordBatch], kinds: list[Column], file: Any) -> None:
        """Write batches as they come, a row group of 131,072 rows at a time. `kinds` tells the appended types."""
        types = self._types
        for column in kinds:
            types = types.append(arrow.Field(column.name, _array(column).type))
        floats: dict[str | Sequence[str], bool] = {
            name: False for name in types.names if _Type.is_floating(types.field(name).type)
        }
        stream = arrow.RecordBatchReader.from_batches(types, (batch.with_schema(types) for batch in scored))
        arro3.io.write_parquet(
            stream, file, compression="snappy", column_dictionary_enabled=floats, max_row_group_size=_GROUP
        )


def _malformed(file: Any, error: Exception) -> Exception:
    """Return the store's own error, if that was what stopped the reader."""
    own: Exception | None = getattr(file, "error", None)
    return own or InputMalformed(f"the Parquet file cannot be read ({type(error).__name__})")


def _faults(feature: Feature, types: arrow.Schema) -> Iterator[str]:
    found = types.get_all_field_indices(feature.name)
    if len(found) != 1:
        yield f"column {feature.name} is {'missing' if not found else 'there twice'}"
        return
    kind = types.field(found[0]).type
    kind = kind.value_type or kind if _Type.is_dictionary(kind) else kind
    text = _Type.is_string(kind) or _Type.is_large_string(kind) or _Type.is_string_view(kind)
    number = _Type.is_numeric(kind) or _Type.is_decimal(kind)
    fits = text if is_text(feature) else _Type.is_boolean(kind) if is_truth(feature) else number
    if not (fits or _Type.is_null(kind)):
        wanted = "strings" if is_text(feature) else "booleans" if is_truth(feature) else "numbers"
        yield f"column {feature.name} holds {kind}, expected {wanted}"


def _values(feature: Feature, column: arrow.Array) -> Any:
    if is_text(feature) or is_truth(feature):
        return column.to_pylist()
    if column.null_count:
        return [None if value is None else float(value) for value in column.to_pylist()]
    column = column if _Type.is_float64(column.type) else column.cast(_Type.float64())
    return column.to_numpy()


def _array(column: Column) -> arrow.Array:
    if column.choices is None:
        values = np.asarray(column.values)
        return arrow.Array(values.tolist(), type=_Type.string()) if values.dtype.kind in "OU" else _numbers(values)
    choices = [column.choices[i] for i in column.values.tolist()]
    first = column.choices[0]
    for kind, type_ in ((bool, _Type.bool()), (int, _Type.int64()), (float, _Type.float64())):
        if isinstance(first, kind):
            return arrow.Array(choices, type=type_)
    return arrow.Array([str(choice) for choice in choices], type=_Type.string())


def _numbers(values: Any) -> arrow.Array:
    kind = np.int64 if values.dtype.kind in "iu" else np.float64
    return arrow.Array(np.ascontiguousarray(values, dtype=kind))
