"""What is to be scored and where the answers go: jobs, what they may name, and the keys of an output. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model.errors import JobRefused

FormatName = Literal["csv", "json-lines", "parquet"]
SUFFIXES: dict[str, FormatName] = {
    ".csv": "csv",
    ".jsonl": "json-lines",
    ".ndjson": "json-lines",
    ".parquet": "parquet",
}
MANIFEST, PARTIAL = "_manifest.json", "_partial.json"
_URL = re.compile(r"(s3://[^/?#]+|file://)/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Job:
    """One object to score.

    `output` is the prefix below which this object's answers go: <output>/<version of the input>/. `etag` and `version`
    are what an event said of the object; without them whatever is there now is scored.
    """

    input: str
    output: str
    model: str | None = None
    model_version: str | None = None
    etag: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A URL as the bucket (or the root of the file system) that a store is opened at, and the key in it."""

    root: str
    key: str

    @property
    def url(self) -> str:
        return f"{self.root}/{self.key}"


def place(url: str) -> Place:
    """Split s3://bucket/key or file:///path; raises JobRefused. A path may not climb, and what obstore cannot address
    is refused here: it would read another key (a slash at the end is dropped), or raise what has no name.
    """
    match = _URL.fullmatch(url)
    if match is None or not all(map(_addressable, match[2].split("/"))):
        raise JobRefused(
            "expected s3://bucket/key or file:///path, without //, a / at the end, . or .. between slashes, or control"
            " characters"
        )
    return Place(match[1], match[2])


def _addressable(part: str) -> bool:
    return part not in {"", ".", ".."} and not any(c < " " or c == "\x7f" for c in part)


def permit(job: Job, inputs: Sequence[str], outputs: Sequence[str]) -> Job:
    """Return the job if its input and output lie below prefixes that are allowed; raises JobRefused."""
    for what, url, allowed in (("input", job.input, inputs), ("output", job.output, outputs)):
        place(url.rstrip("/") if what == "output" else url)
        if not any(inside(url, prefix) for prefix in allowed):
            raise JobRefused(f"the {what} is not below {' or '.join(allowed) or 'any prefix: none is allowed here'}")
    return job


def inside(url: str, prefix: str) -> bool:
    """Tell whether a URL lies below a prefix; s3://b/in/ does not hold s3://b/inner/x."""
    return f"{url.rstrip('/')}/".startswith(f"{prefix.rstrip('/')}/")


def loops(inputs: Sequence[str], outputs: Sequence[str]) -> str | None:
    """Return an output prefix whose objects would be input again, or None."""
    return next((out for out in outputs if any(inside(out, prefix) for prefix in inputs)), None)


def format_of(key: str) -> tuple[FormatName, bool]:
    """Return the format by the key's suffix, and whether it is gzip; raises JobRefused."""
    name = key.lower()
    plain = name.removesuffix(".gz")
    for suffix, found in SUFFIXES.items():
        if plain.endswith(suffix):
            if found == "parquet" and plain != name:
                raise JobRefused("Parquet compresses its own columns: expected .parquet, not .parquet.gz")
            return found, plain != name
    raise JobRefused(f"expected a key that ends with {', '.join(SUFFIXES)}, with .gz or without")


def part_name(key: str, index: int) -> str:
    """Return the name of the part with an index: part-00000 and the input's own suffixes."""
    found, gzip = format_of(key)
    suffix = next(s for s, name in SUFFIXES.items() if name == found and s in key.lower())
    return f"part-{index:05d}{suffix}{'.gz' if gzip else ''}"


def version_name(etag: str, version: str | None) -> str:
    """Return what names one version of an input in the output's key: its version id, otherwise its etag."""
    return re.sub(r"[^A-Za-z0-9._-]", "", version or etag)[:128] or "unversioned"
