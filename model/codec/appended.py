"""The columns that scoring appends to each row: their names, and the answers as text or as numbers. Pure.

`prediction`; `label` where classes have names; `probability_<label>` for each class; `prediction_<unit>` for each
further unit; `prediction_<i>` for each of several targets. When the input has a column of one of these names, all of
them start with `model_`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from model.errors import InputMalformed
from model.manifest import Manifest, OutputName

PREFIX = "model_"
_json = msgspec.json.Encoder().encode
Arrays = Mapping[OutputName, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One appended column: values of shape (n,), or positions (n,) in `choices`."""

    name: str
    values: Any
    choices: tuple[Any, ...] | None = None


class Appended:
    """What a model appends; `taken` are the input's own columns. Raises InputMalformed when both names are taken."""

    def __init__(self, manifest: Manifest, taken: Collection[str] = (), prefix: str | None = None) -> None:
        outputs = {output.name: output for output in manifest.outputs}
        self.wanted: tuple[OutputName, ...] = tuple(name for name in outputs if name != "decision")
        self._prediction = outputs["prediction"]
        self._probabilities = outputs.get("probabilities")
        if self._probabilities is not None and not self._probabilities.labels:
            self._probabilities = None
            self.wanted = tuple(name for name in self.wanted if name != "probabilities")
        self.prefix = self._free(set(taken)) if prefix is None else prefix
        self.names = self._names(self.prefix)
        self._index = {c: i for i, c in enumerate(self._prediction.classes or ())} if self._single else {}

    @property
    def _single(self) -> bool:
        return self._prediction.width == 1

    def columns(self, arrays: Arrays) -> list[Column]:
        """Return the appended columns of n rows, in the order of `names`."""
        found: list[tuple[Any, tuple[Any, ...] | None]] = []
        values = arrays["prediction"]
        if not self._single:
            found += [(values[:, i], None) for i in range(self._prediction.width)]
        elif self._index:
            at = self._positions(values)
            found.append((at, self._prediction.classes))
            if self._prediction.labels:
                found.append((at, self._prediction.labels))
        else:
            found.append((values, None))
            found += [(values * factor, None) for factor in self._prediction.conversions.values()]
        if self._probabilities is not None:
            found += [(arrays["probabilities"][:, i], None) for i in range(len(self._probabilities.labels or ()))]
        return [Column(name, *column) for name, column in zip(self.names, found, strict=True)]

    def _positions(self, values: Any) -> Any:
        """Return where in `classes` each answer stands; a graph may know as 1 what the estimator calls True."""
        distinct, inverse = np.unique(values, return_inverse=True)
        return np.array([self._index[value] for value in distinct.tolist()], dtype=np.int64)[inverse]

    def _free(self, taken: set[str]) -> str:
        for prefix in ("", PREFIX):
            if not taken & set(self._names(prefix)):
                return prefix
        clash = sorted(taken & set(self._names(PREFIX)))
        raise InputMalformed(f"the input has the columns {', '.join(clash)} already, which scoring would append")

    def _names(self, prefix: str) -> tuple[str, ...]:
        names = ["prediction"] if self._single else [f"prediction_{i}" for i in range(self._prediction.width)]
        if self._single and self._prediction.classes:
            names += ["label"] if self._prediction.labels else []
        elif self._single:
            names += [f"prediction_{unit}" for unit in self._prediction.conversions]
        if self._probabilities is not None:
            names += [f"probability_{label}" for label in self._probabilities.labels or ()]
        return tuple(prefix + name for name in names)


def texts(column: Column, quote: Any = _json) -> list[bytes]:
    """Return each answer as bytes: the shortest digits that read back as the same number; strings by `quote`.

    One call encodes all numbers, which takes a tenth of a `repr` each.
    """
    if column.choices is not None:
        tokens = [quote(choice) for choice in column.choices]
        return [tokens[i] for i in column.values.tolist()]
    values = column.values.tolist()
    if values and isinstance(values[0], str):
        return [quote(value) for value in values]
    return _json(values)[1:-1].split(b",")


def joined(lines: Sequence[bytes], between: Sequence[bytes], columns: Sequence[list[bytes]], end: bytes) -> bytes:
    """Return line + between[0] + answer + between[1] + answer + … + end, row after row."""
    template = b"%b" + b"".join(text.replace(b"%", b"%%") + b"%b" for text in between) + end
    return b"".join(map(template.__mod__, zip(lines, *columns, strict=True)))
