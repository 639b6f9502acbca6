"""Score one range into one part: read, parse, predict, write, in bounded memory, rows in their order."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np

from model.bulk.job import part_name
from model.bulk.objects import BlockFile, Objects, Writer
from model.bulk.plan import Plan, Range, footer_of
from model.bulk.progress import Deadline, Progress, ignore
from model.codec import text_lines
from model.codec.appended import Appended, Arrays, Column
from model.codec.text_lines import Record
from model.errors import Fault, InputChanged, PredictionFailed
from model.manifest import digest, dump
from model.scorer import Scorer


class Codec(Protocol):
    """A format: chunks (bytes, or a record batch) → matrix; answers appended to what the chunk holds."""

    def matrix(self, chunk: Any, count: int, names: tuple[str, ...]) -> Any: ...
    def records(self, chunk: Any, line: int) -> Iterator[Record]: ...
    def clashing(self, raw: Any, names: tuple[str, ...]) -> tuple[Fault, ...]: ...
    def content(self, chunk: Any) -> Any: ...
    def count(self, content: Any) -> int: ...
    def gather(self, chunk: Any, kept: list[Any]) -> Any: ...
    def append(self, content: Any, columns: list[Column]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one range. `lines` is how many lines it spans, `open_quote` whether its quotes are odd."""

    index: int
    url: str
    rows: int
    errors: int
    lines: int
    bytes: int
    digest: str
    errors_url: str | None = None
    open_quote: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """One line of the error file: the line of the input (in Parquet the row, from 1), the field, and the reason."""

    line: int
    field: str | None
    reason: str


class Scoring:
    """Chunks in, content with answers out; bad rows go to the error file."""

    def __init__(self, scorer: Scorer, codec: Codec, appended: Appended, bad: "Callable[[BadRow], None]") -> None:
        self._engine, self._schema = scorer.engine, scorer.schema
        self._codec, self._appended, self._bad = codec, appended, bad
        self.rows = self.errors = 0
        self.failed = False

    def chunk(self, line: int, chunk: Any) -> Any:
        """Return what the chunk's good rows become, or None when there is none."""
        content = self._codec.content(chunk)
        count = self._codec.count(content)
        arrays = None
        if count:
            matrix = self._codec.matrix(chunk, count, self._appended.names)
            if matrix is not None:
                arrays = self._predict(matrix)
        if arrays is None:
            content, arrays = self._salvage(line, chunk)
        if arrays is None:
            return None
        self.rows += self._codec.count(content)
        return self._codec.append(content, self._appended.columns(arrays))

    def _predict(self, matrix: Any) -> Arrays | None:
        """Return the answers, or None when any row has none."""
        try:
            arrays = self._engine.predict(matrix, self._appended.wanted)
        except Exception:  # whatever a user's estimator raises; row by row tells which rows it is about
            return None
        for array in arrays.values():
            if len(array) != len(matrix) or (array.dtype.kind == "f" and not np.isfinite(array).all()):
                return None
        return arrays

    def _salvage(self, line: int, chunk: Any) -> tuple[Any, Arrays | None]:
        """Read a refused chunk row by row: keep the good ones, write down the others."""
        good: list[Record] = []
        for record in self._codec.records(chunk, line):
            faults = record.faults or self._codec.clashing(record.raw, self._appended.names)
            if faults or record.row is None:
                self._refuse(record, faults or (Fault("", "not a row of this model"),))
            else:
                good.append(record)
        matrix = self._schema.matrix([record.row for record in good if record.row is not None])
        arrays = self._predict(matrix) if good else None
        if good and arrays is None:
            alone = [self._predict(matrix[i : i + 1]) for i in range(len(good))]
            for record, found in zip(good, alone, strict=True):
                if found is None:
                    self.failed = True
                    self._refuse(record, (Fault("", "the estimator cannot answer this row"),))
            good = [record for record, found in zip(good, alone, strict=True) if found is not None]
            answers = [found for found in alone if found is not None]
            if answers:
                arrays = {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}
        return self._codec.gather(chunk, [record.raw for record in good]), arrays

    def _refuse(self, record: Record, faults: Iterable[Fault]) -> None:
        self.errors += 1
        for fault in faults:
            self._bad(BadRow(record.line, self._field(fault.pointer), fault.detail))

    def _field(self, pointer: str) -> str | None:
        """Return the feature that a pointer is about: it names it, or gives its position in the row."""
        last = pointer.rsplit("/", 1)[-1].replace("~1", "/").replace("~0", "~")
        if last in self._schema.names:
            return last
        if pointer.startswith("/instances/"):  # /instances/0/3
            return self._schema.names[int(last)] if pointer.count("/") == 3 else None
        return None if last in {"", "features"} else last


class _ErrorFile:
    """Opened by the first bad row: most objects have none."""

    def __init__(self, objects: Objects, url: str) -> None:
        self._objects, self.url = objects, url
        self.writer: Writer | None = None

    def __call__(self, bad: BadRow) -> None:
        if self.writer is None:
            self.writer = self._objects.writer(self.url)
        self.writer.write(msgspec.json.encode(bad) + b"\n")


def score_part(
    objects: Objects,
    plan: Plan,
    piece: Range,
    scorer: Scorer,
    attempt: str,
    *,
    progress: Callable[[Progress], None] = ignore,
    deadline: Deadline | None = None,
) -> Part:
    """Score one range and write <folder>/<attempt>/part-NNNNN.<suffix>, and its error file if a row is bad.

    The same plan, range and model give the same bytes whoever scores them, however often. Line numbers in the error
    file count from the range's first line; `commit` makes them the object's. Raises InputMalformed, InputChanged,
    OutOfTime, PredictionFailed (every row failed, which is the estimator's fault) and the store's errors.
    """
    if digest(dump(scorer.manifest)) != plan.digest:
        raise InputChanged(f"the plan is for {plan.model}/{plan.model_version}, another model answers now")
    url = f"{plan.folder}/{attempt}/{part_name(plan.input.url, piece.index)}"
    writer = objects.writer(url, gzip=plan.gzip)
    errors = _ErrorFile(objects, f"{plan.folder}/{attempt}/errors-{piece.index:05d}.jsonl")
    meter = _Meter(progress, deadline)
    run = _parquet if plan.format == "parquet" else _text
    scoring, lines, odd = run(objects, plan, piece, scorer, writer, errors, meter)
    if scoring.failed and not scoring.rows:
        raise PredictionFailed("the estimator cannot answer any row")
    writer.close()
    if errors.writer is not None:
        errors.writer.close()
    errors_url = errors.url if errors.writer is not None else None
    return Part(piece.index, url, scoring.rows, scoring.errors, lines, writer.bytes, writer.digest, errors_url, odd)


class _Meter:
    """Tells progress after each chunk, and stops the part when its time will not do."""

    def __init__(self, progress: Callable[[Progress], None], deadline: Deadline | None) -> None:
        self._progress, self._deadline = progress, deadline
        self._started = time.monotonic()

    def tell(self, scoring: Scoring, done: int, total: int) -> None:
        now = Progress(scoring.rows, scoring.errors, done, total, time.monotonic() - self._started)
        self._progress(now)
        if self._deadline is not None and done < total:
            self._deadline.check(now)


def _text(
    objects: Objects, plan: Plan, piece: Range, scorer: Scorer, writer: Writer, errors: _ErrorFile, meter: _Meter
) -> tuple[Scoring, int, bool]:
    codec: Any
    if plan.format == "csv":
        from model.codec.csv_lines import CsvLines, header_of  # noqa: PLC0415

        raw = plan.header.encode()
        codec = CsvLines(scorer.schema, header_of(raw)[0], raw)
    else:
        from model.codec.json_lines import JsonLines  # noqa: PLC0415

        codec = JsonLines(scorer.schema)
    appended = Appended(scorer.manifest, prefix=plan.prefix)
    scoring = Scoring(scorer, codec, appended, errors)
    above = plan.header.count("\n") if piece.index == 0 else 0
    # A call of scikit-learn's forests costs milliseconds whatever the number of rows, so they get the larger chunks.
    size = codec.chunk if scorer.engine_name == "onnx" else text_lines.CHUNK
    cutter = text_lines.Cutter(quoted=codec.quoted, line=above + 1, size=size)
    read = [0]
    writer.write(codec.head(appended))
    for line, chunk in cutter.chunks(_bytes(objects, plan, piece, read)):
        found = scoring.chunk(line, chunk)
        if found is not None:
            writer.write(found)
        read[0] += 0 if plan.gzip else len(chunk)
        meter.tell(scoring, read[0], piece.end - piece.start)
    return scoring, cutter.line - 1, bool(cutter.quotes % 2)


def _bytes(objects: Objects, plan: Plan, piece: Range, read: list[int]) -> Iterator[bytes]:
    """Yield the range's bytes, unzipped and without the header that gzip holds inside."""

    def counted() -> Iterator[bytes]:
        for block in objects.blocks(plan.input, piece.start, piece.end):
            read[0] += len(block) if plan.gzip else 0
            yield block

    skip = len(plan.header.encode()) if plan.gzip else 0
    for block in text_lines.unzipped(counted()) if plan.gzip else counted():
        if skip:
            yield block[skip:]
            skip = max(skip - len(block), 0)
        else:
            yield block


def _parquet(
    objects: Objects, plan: Plan, piece: Range, scorer: Scorer, writer: Writer, errors: _ErrorFile, meter: _Meter
) -> tuple[Scoring, int, bool]:
    from model.codec.parquet_rows import ParquetRows  # noqa: PLC0415

    footer = footer_of(objects, plan.input)
    file = BlockFile(objects, plan.input, footer.start, footer.only(piece.start, piece.end))
    codec = ParquetRows(scorer.schema, file)
    appended = Appended(scorer.manifest, prefix=plan.prefix)
    scoring = Scoring(scorer, codec, appended, errors)
    total = sum(group.rows for group in footer.groups[piece.start : piece.end])
    failed: list[Exception] = []

    def scored() -> Iterator[Any]:
        try:
            for row, batch in codec.chunks():
                found = scoring.chunk(row, batch)
                meter.tell(scoring, row - 1 + batch.num_rows, total)
                if found is not None:
                    yield found
        except Exception as error:
            failed.append(error)  # arrow would give it another class
            raise

    try:
        codec.write(scored(), appended.columns(_nothing(scorer, appended)), writer)
    except Exception as error:
        raise (failed[0] if failed else writer.error or error) from None
    return scoring, total, False


def _nothing(scorer: Scorer, appended: Appended) -> Arrays:
    """Return answers to no row, which tell the appended columns' types."""
    widths = {output.name: output for output in scorer.manifest.outputs}
    found = {}
    for name in appended.wanted:
        output = widths[name]
        count = len(output.labels or ()) if name == "probabilities" else output.width
        integer = output.kind == "cluster"
        shape = (0, count) if name == "probabilities" or output.width > 1 else (0,)
        found[name] = np.empty(shape, dtype=np.int64 if integer else np.float64)
    return found
