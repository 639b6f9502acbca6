"""The manifest: what an artifact says of itself, as frozen dataclasses ↔ manifest.json.

FORMAT is raised when a reader of the old format would misunderstand the new one; unknown keys are ignored,
so that a field may be added without raising it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from model.errors import ArtifactCorrupt, ArtifactIncompatible

FORMAT = 1
FILE = "manifest.json"
# What has no dot-dot and no separator cannot leave its folder, whatever store it is joined into.
NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

Kind = Literal["number", "integer", "boolean", "category", "text"]
Task = Literal["classification", "regression", "clustering", "outlier-detection"]
EngineName = Literal["onnx", "joblib"]
OutputName = Literal["prediction", "probabilities", "decision"]
Scalar = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that the estimator takes.

    `range` is the span seen in training, as quantiles, in `unit`; a value outside it is taken, it is only unseen.
    `categories` are the known ones; with `open` the estimator was fitted to take others too.
    `labels` are words for the values: of an integer for 0, 1, …; of categories in their order.
    `missing` says what a null becomes in the matrix: the estimator was fitted with NaN or with None.
    """

    name: str
    kind: Kind
    unit: str | None = None
    nullable: bool = False
    categories: tuple[Scalar, ...] | None = None
    open: bool = False
    range: tuple[float, float] | None = None
    example: Scalar | None = None
    description: str | None = None
    missing: Literal["nan", "none"] = "nan"
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One thing that the estimator answers.

    `classes` are the estimator's own (`classes_`), `labels` their names in the same order.
    `conversions` are further units of the same value: unit → factor.
    `width` is the number of targets; 1 gives a value a row, more a list a row.
    """

    name: OutputName
    kind: Literal["number", "class", "cluster"]
    unit: str | None = None
    classes: tuple[Scalar, ...] | None = None
    labels: tuple[str, ...] | None = None
    conversions: Mapping[str, float] = field(default_factory=dict)
    width: int = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of manifest.json; `digests` maps each other file of the artifact to its "sha256:…".

    `engine` is "onnx" when a compiled twin was proved equal, `parity` the figures of that proof (or of the attempt),
    `notes` what a reader should know, such as why there is no twin. `n_jobs` is what the estimator was fitted with, by
    class; it is served with 1.
    """

    format: int
    name: str
    version: str
    task: Task
    estimator: str
    engine: EngineName
    input: Literal["array", "frame"]
    features: tuple[Feature, ...]
    outputs: tuple[Output, ...]
    digests: Mapping[str, str]
    environment: Mapping[str, str]
    created: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_jobs: Mapping[str, int] = field(default_factory=dict)

    @property
    def engines(self) -> tuple[EngineName, ...]:
        """The engines that can serve it, the best first: the estimator itself always can."""
        return ("onnx", "joblib") if self.engine == "onnx" else ("joblib",)

    def output(self, name: OutputName) -> Output | None:
        return next((output for output in self.outputs if output.name == name), None)


def digest(content: bytes) -> str:
    """Return the sha256 of `content` as every digest is written: "sha256:" and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_name(text: str) -> bool:
    """Tell whether `text` may name a model or a version."""
    return NAME.fullmatch(text) is not None


def dump(manifest: Manifest) -> bytes:
    """Return manifest.json: UTF-8, indented, so that a person can read it and its digest is stable."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def parse(content: bytes) -> Manifest:
    """Return the manifest in `content`.

    Raises ArtifactCorrupt when it is no manifest, ArtifactIncompatible when a newer FORMAT wrote it.
    """
    try:
        head = msgspec.json.decode(content, type=_Head)
        if head.format != FORMAT:
            raise ArtifactIncompatible(f"manifest has format {head.format}, this code reads {FORMAT}")
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise ArtifactCorrupt(f"not a manifest: {error}") from None


class _Head(msgspec.Struct):
    """Read alone first: the rest of a newer format may have other shapes."""

    format: int
