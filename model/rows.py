"""Manifest → row decoder and matrix.

The decoder is compiled once from the features into typed structures, so that a request's bytes become checked rows in
one pass (msgspec, C). It only refuses; `model.faults` reads a refused body again and says everything that is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from model.manifest import Feature, OutputName, Scalar

if TYPE_CHECKING:
    import numpy as np

# The largest float32: beyond it a compiled twin would see infinity where the estimator sees a number.
LIMIT = 3.4e38
OUTPUTS: tuple[OutputName, ...] = ("prediction", "probabilities", "decision")
RESERVED = ("features", "instances", "outputs")
# Reserved only where no feature is called so: a bare row's own key comes first.
OPTIONS = ("top_k", "threshold")
LARGEST = 2**31 - 1

Row = tuple[Scalar | None, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """Typed rows and what is wanted of them; `single` when the caller asked about one row and expects one answer.

    `top_k` keeps the most probable classes, `threshold` is the probability from which the second of two is predicted.
    """

    rows: tuple[Row, ...]
    single: bool = False
    outputs: tuple[OutputName, ...] | None = None
    top_k: int | None = None
    threshold: float | None = None


class RowSchema:
    """What a model's rows look like: compiled types, the matrix they become, and how a column is found by its name."""

    def __init__(self, features: Sequence[Feature], offered: Sequence[OutputName] = OUTPUTS) -> None:
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in features)
        self.offered = tuple(offered)
        self.numeric = all(not is_text(f) for f in features)
        self._closed = [
            (i, frozenset(f.categories or ()))
            for i, f in enumerate(features)
            if f.kind == "category" and f.categories is not None and not f.open and not _as_literal(f)
        ]
        self._nones = [i for i, f in enumerate(features) if f.missing == "none"]
        self.bare = not set(self.names) & set(RESERVED)
        self.options = tuple(name for name in OPTIONS if name not in self.names)
        request = self._request_type()
        self.decode_json = msgspec.json.Decoder(request).decode
        self._request = request

    def convert(self, value: Any) -> Any:
        """Type an already parsed request as `decode_json` types bytes; raises msgspec.ValidationError."""
        return msgspec.convert(value, self._request)

    def request(self, typed: Any) -> Request | None:
        """Return the request in a decoded structure, or None when it is refused (ask `model.faults` why)."""
        named = [getattr(typed, f"c{i}") for i in range(len(self.names))] if self.bare else []
        extra = any(value is not UNSET for value in named)
        if typed.instances is not UNSET:
            rows = None if extra or typed.features is not UNSET else typed.instances
            single = False
        elif typed.features is not UNSET:
            rows, single = None if extra else (typed.features,), True
        else:
            rows, single = None if not named or UNSET in named else (tuple(named),), True
        if rows is None:
            return None
        plain = tuple(row if type(row) is tuple else msgspec.structs.astuple(row) for row in rows)
        if self._closed and not self._known(plain):
            return None
        outputs = None if typed.outputs is UNSET else tuple(typed.outputs)
        top_k, threshold = (getattr(typed, name, None) for name in OPTIONS)
        # 5.0 is an integer in JSON Schema, and in what some clients send.
        return Request(plain, single, outputs, None if top_k is None else int(top_k), threshold)

    def matrix(self, rows: Sequence[Row]) -> "np.ndarray[Any, Any]":
        """Return rows as an array of shape (n, features): float64 when every column is numeric, else object.

        A null becomes NaN, or None in a column whose estimator was fitted with None.
        """
        import numpy as np  # noqa: PLC0415  -- 65 ms, and a refused request or the command line's help need none of it

        if self.numeric:
            return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.names))
        matrix = np.empty((len(rows), len(self.names)), dtype=object)
        if rows:
            matrix[:] = rows
        for i in range(len(self.names)):
            if i not in self._nones:
                column = matrix[:, i]
                column[[value is None for value in column]] = np.nan
        return matrix

    def _known(self, rows: Sequence[Row]) -> bool:
        return all(row[i] in known or row[i] is None for i, known in self._closed for row in rows)

    def _request_type(self) -> Any:
        types = [value_type(feature) for feature in self.features]
        keys = {f"c{i}": name for i, name in enumerate(self.names)}
        columns = [(key, kind) for key, kind in zip(keys, types, strict=True)]
        named = msgspec.defstruct("Row", columns, rename=keys, forbid_unknown_fields=True, gc=False)
        row: Any = named | tuple[tuple(types)]  # type: ignore[misc]
        offered: Any = Literal[tuple(self.offered)]
        fields: list[tuple[str, Any, Any]] = [
            ("features", row | UnsetType, UNSET),
            ("instances", list[row] | UnsetType, UNSET),
            ("outputs", Annotated[list[offered], Meta(min_length=1)] | UnsetType, UNSET),
        ]
        kinds = {
            "top_k": Annotated[float, Meta(ge=1, le=LARGEST, multiple_of=1)],
            "threshold": Annotated[float, Meta(ge=0, le=1)],
        }
        # Null is no choice: `None` only stands for what was not sent.
        fields += [(name, kinds[name], None) for name in self.options]
        if self.bare:
            fields += [(key, kind | UnsetType, UNSET) for key, kind in columns]
        return msgspec.defstruct("Request", fields, rename=keys, forbid_unknown_fields=True)


def value_type(feature: Feature) -> Any:
    """Return the type that one value of the column decodes to, bounds included."""
    kind: Any
    if feature.kind == "boolean":
        kind = bool
    elif is_text(feature):
        kind = Literal[feature.categories] if _as_literal(feature) else str
    elif feature.kind == "category" and all(isinstance(c, bool) for c in feature.categories or ()):
        kind = bool
    elif feature.kind in {"integer", "category"}:
        # 1.0 is an integer too: a data frame with one missing value sends the whole column so.
        kind = Annotated[float, Meta(ge=-LIMIT, le=LIMIT, multiple_of=1 if feature.kind == "integer" else None)]
    else:
        kind = Annotated[float, Meta(ge=-LIMIT, le=LIMIT)]
    return kind | None if feature.nullable else kind


def is_text(feature: Feature) -> bool:
    """Tell a column of strings (text, or categories that are strings) from one of numbers or booleans."""
    if feature.kind == "category":
        return any(isinstance(category, str) for category in feature.categories or ("",))
    return feature.kind == "text"


def _as_literal(feature: Feature) -> bool:
    """Closed sets of strings are checked by the decoder itself; of numbers after it, for 1 and 1.0 are equal."""
    return feature.kind == "category" and not feature.open and bool(feature.categories) and is_text(feature)
