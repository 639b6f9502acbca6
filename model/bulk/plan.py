"""What to read: one version of one object, cut into ranges that can be scored apart and put together in order."""

import io
from dataclasses import dataclass
from importlib.util import find_spec

from model.bulk.job import FormatName, Job, format_of, version_name
from model.bulk.objects import BlockFile, Objects, Version
from model.codec import parquet_footer, text_lines
from model.codec.appended import Appended
from model.codec.parquet_footer import TAIL, Footer
from model.errors import InputMalformed, JobRefused
from model.manifest import Manifest, digest, dump
from model.rows import RowSchema

FORMAT = 1
_HEAD = 1024 * 1024
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Range:
    """One piece: bytes [start, end) that begin and end between records, or in Parquet row groups [start, end)."""

    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a part needs beside its range; JSON by msgspec, so that ranges can be scored by other functions.

    `header` is the CSV's own first record and `start` where the rows begin; `prefix` goes before appended names.
    `model` and `digest` pin the version of the model: parts scored by different ones are never put together.
    """

    input: Version
    format: FormatName
    gzip: bool
    output: str
    model: str
    model_version: str
    digest: str
    prefix: str
    ranges: tuple[Range, ...]
    header: str = ""
    plan_format: int = FORMAT

    @property
    def folder(self) -> str:
        """The prefix of this input version: its manifest, and a prefix for each attempt."""
        return folder(self.output, self.input)


def folder(output: str, version: Version) -> str:
    return f"{output.rstrip('/')}/{version_name(version.etag, version.id)}"


def plan(objects: Objects, job: Job, version: Version, manifest: Manifest, part_bytes: int | None = None) -> Plan:
    """Cut one version into ranges of about `part_bytes`, one without it. Reads the object's beginning, or its footer,
    and a few bytes at each cut; gzip cannot be cut.

    Raises InputMalformed (no header, missing columns, names taken, not Parquet) and the store's errors.
    """
    found, named = format_of(version.url)
    schema = RowSchema(manifest.features, tuple(output.name for output in manifest.outputs))
    if version.size == 0:
        raise InputMalformed("the object is empty")
    if found == "parquet":
        if find_spec("arro3") is None:
            raise JobRefused(
                "this deployment has no Parquet reader: it fits beside compiled models (FLAVOUR=onnx) only"
            )
        footer = footer_of(objects, version)
        ranges = parquet_footer.cut(footer.groups, part_bytes) if part_bytes else [(0, len(footer.groups))]
        return _plan(job, version, manifest, _parquet_names(objects, version, footer, schema), ranges, found)
    first = objects.read(version, 0, min(_HEAD, version.size))
    gzip = named or first.startswith(_GZIP)
    if gzip:
        first = _first_unzipped(first, whole=version.size <= _HEAD)
    header, start = b"", 0
    if found == "csv":
        from model.codec.csv_lines import header_of  # noqa: PLC0415

        start = header_of(first)[1]
        header = first[:start]
    ranges = [(0 if gzip else start, version.size)]
    if part_bytes and not gzip:
        ranges = _cut(objects, version, start, part_bytes)
    taken = _csv_names(header, schema) if found == "csv" else _json_names(first, schema)
    return _plan(job, version, manifest, taken, ranges, found, gzip=gzip, header=header)


def _plan(
    job: Job,
    version: Version,
    manifest: Manifest,
    taken: list[str],
    ranges: list[tuple[int, int]],
    found: FormatName,
    *,
    gzip: bool = False,
    header: bytes = b"",
) -> Plan:
    prefix = Appended(manifest, taken).prefix
    cuts = tuple(Range(i, start, end) for i, (start, end) in enumerate(ranges))
    name, number, pin = manifest.name, manifest.version, digest(dump(manifest))
    return Plan(version, found, gzip, job.output, name, number, pin, prefix, cuts, header.decode("utf-8"))


def _csv_names(header: bytes, schema: RowSchema) -> list[str]:
    from model.codec.csv_lines import CsvLines, header_of  # noqa: PLC0415

    return CsvLines(schema, header_of(header)[0], header).names


def _json_names(first: bytes, schema: RowSchema) -> list[str]:
    from model.codec.json_lines import JsonLines  # noqa: PLC0415

    return JsonLines(schema).taken(first.lstrip())


def _parquet_names(objects: Objects, version: Version, footer: Footer, schema: RowSchema) -> list[str]:
    from model.codec.parquet_rows import ParquetRows  # noqa: PLC0415

    return ParquetRows(schema, BlockFile(objects, version, footer.start, footer.only(0, 0))).names


def _cut(objects: Objects, version: Version, start: int, part_bytes: int) -> list[tuple[int, int]]:
    """Cut after the first line break from each multiple of `part_bytes` on.

    In CSV such a line break may stand between quotes; `commit` finds out, by the quotes that the parts counted.
    """
    cuts = [start]
    for aim in range(start + part_bytes, version.size, part_bytes):
        at = max(aim, cuts[-1])
        while at < version.size:
            piece = objects.read(version, at, min(at + 64 * 1024, version.size))
            found = piece.find(b"\n")
            if found >= 0:
                at += found + 1
                break
            at += len(piece)
        if cuts[-1] < at < version.size:
            cuts.append(at)
    return list(zip(cuts, [*cuts[1:], version.size], strict=True))


def _first_unzipped(first: bytes, *, whole: bool) -> bytes:
    found = io.BytesIO()
    try:
        for piece in text_lines.unzipped([first]):
            found.write(piece)
            if found.tell() >= _HEAD:
                break
    except InputMalformed:
        if whole:
            raise
    return found.getvalue()


def footer_of(objects: Objects, version: Version) -> Footer:
    """Read a Parquet object's footer; raises InputMalformed."""
    length = parquet_footer.footer_length(objects.read(version, max(version.size - TAIL, 0), version.size))
    start = version.size - TAIL - length
    if start < len(parquet_footer.MAGIC):
        raise InputMalformed("the Parquet footer is longer than the file")
    return parquet_footer.parse(objects.read(version, start, version.size - TAIL), start)
