"""The heart: typed rows → matrix → predict → Prediction. Does no I/O and reads no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from model.engine import Engine
from model.errors import PredictionFailed
from model.manifest import EngineName, Manifest, Output, OutputName, Scalar
from model.rows import OUTPUTS, Request, Row, RowSchema

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[OutputName, np.ndarray[Any, Any]]

Value = Scalar | list[Scalar]
# Up to so many numbers Python adds faster than numpy is called.
_FEW = 32


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answers to n rows: each list has n entries in the order of the rows; None where not asked or not offered."""

    name: str
    version: str
    values: list[Value] | None
    labels: list[str] | None = None
    probabilities: list[dict[str, float]] | None = None
    decisions: list[Value] | None = None
    conversions: list[dict[str, float]] | None = None
    unit: str | None = None

    def part(self, start: int, stop: int, outputs: Sequence[OutputName]) -> "Prediction":
        """Return the answers to the rows from `start` to `stop` alone, of them only the outputs named."""
        plain, proba, decision = (name in outputs for name in OUTPUTS)
        return Prediction(
            name=self.name,
            version=self.version,
            values=self.values[start:stop] if self.values is not None and plain else None,
            labels=self.labels[start:stop] if self.labels is not None and plain else None,
            probabilities=self.probabilities[start:stop] if self.probabilities is not None and proba else None,
            decisions=self.decisions[start:stop] if self.decisions is not None and decision else None,
            conversions=self.conversions[start:stop] if self.conversions is not None and plain else None,
            unit=self.unit if plain else None,
        )


class Scorer:
    """One version of one model, ready to answer."""

    def __init__(self, manifest: Manifest, engine: Engine, engine_name: EngineName = "joblib") -> None:
        self.manifest = manifest
        self.engine_name = engine_name
        self.schema = RowSchema(manifest.features, tuple(output.name for output in manifest.outputs))
        self._engine = engine
        self._outputs = {output.name: output for output in manifest.outputs}
        self._default: tuple[OutputName, ...] = tuple(name for name in self._outputs if name != "decision")
        prediction = self._outputs["prediction"]
        self._prediction = prediction
        classes = prediction.classes or ()
        # A graph knows classes as integers where the estimator has 1.0 or True: equal keys find the estimator's own.
        self._class = dict(zip(classes, classes, strict=True)) if prediction.width == 1 else {}
        self._label = dict(zip(classes, prediction.labels or (), strict=True)) if prediction.width == 1 else {}
        probabilities = self._outputs.get("probabilities")
        self._class_labels = (probabilities.labels or ()) if probabilities else ()

    @property
    def engine(self) -> Engine:
        """What computes; packing compares it with another."""
        return self._engine

    @property
    def default_outputs(self) -> tuple[OutputName, ...]:
        """What is answered when nobody says what is wanted: all but the decision values."""
        return self._default

    def score(self, rows: Sequence[Row], outputs: Sequence[OutputName] | None = None) -> Prediction:
        """Answer typed rows (see `RowSchema`); no outputs named means all but the decision values.

        Raises PredictionFailed when the estimator raises or answers with something that is not finite.
        """
        wanted = tuple(outputs or self._default)
        arrays = self._predict(rows, wanted) if rows else {}
        values = _list(arrays, "prediction", wanted)
        if values is not None and self._class:
            values = [self._class[value] for value in values]
        return Prediction(
            name=self.manifest.name,
            version=self.manifest.version,
            values=values,
            labels=[self._label[value] for value in values] if values is not None and self._label else None,
            probabilities=self._named(arrays, wanted),
            decisions=_list(arrays, "decision", wanted),
            conversions=_convert(values, self._prediction),
            unit=self._prediction.unit if values is not None else None,
        )

    def score_groups(self, groups: Sequence[Request]) -> list[Prediction | PredictionFailed]:
        """Answer several requests by one predict, each in its place; raises nothing.

        Where the predict of all fails, each half is asked alone, down to the request that is to blame: for one among n
        that is 2 log2(n) predicts more, and all others have their answers.
        """
        asked = [group.outputs or self._default for group in groups]
        union = tuple(name for name in OUTPUTS if any(name in outputs for outputs in asked))
        try:
            together = self.score([row for group in groups for row in group.rows], union or None)
        except PredictionFailed as error:
            if len(groups) == 1:
                return [error]
            half = len(groups) // 2
            return self.score_groups(groups[:half]) + self.score_groups(groups[half:])
        found: list[Prediction | PredictionFailed] = []
        stop = 0
        for group, outputs in zip(groups, asked, strict=True):
            start, stop = stop, stop + len(group.rows)
            found.append(together.part(start, stop, outputs))
        return found

    def _predict(
        self, rows: Sequence[Row], wanted: Sequence[OutputName]
    ) -> "Mapping[OutputName, np.ndarray[Any, Any]]":
        try:
            arrays = self._engine.predict(self.schema.matrix(rows), wanted)
        except Exception as error:
            # The text of a library's error may quote a value, so only its class is told.
            raise PredictionFailed(f"the estimator raised {type(error).__name__}") from error
        for name, array in arrays.items():
            if array.shape[0] != len(rows):
                raise PredictionFailed(f"{name} has {array.shape[0]} answers for {len(rows)} rows")
            if array.dtype.kind == "f" and not _finite(array):
                raise PredictionFailed(f"{name} is not a finite number")
        return arrays

    def _named(self, arrays: "Arrays", wanted: Sequence[OutputName]) -> list[dict[str, float]] | None:
        rows = _list(arrays, "probabilities", wanted)
        return None if rows is None else [dict(zip(self._class_labels, row, strict=True)) for row in rows]


def _list(arrays: "Arrays", name: OutputName, wanted: Sequence[OutputName]) -> Any:
    if name not in wanted:
        return None
    return arrays[name].tolist() if name in arrays else []


def _finite(array: "np.ndarray[Any, Any]") -> bool:
    """Tell whether every part is finite. A finite sum proves it; one that is not may only have overflowed."""
    total = sum(array.ravel().tolist()) if array.size <= _FEW else array.sum()
    return isfinite(total) or bool(abs(array).max() < float("inf"))


def _convert(values: list[Any] | None, output: Output) -> list[dict[str, float]] | None:
    if not output.conversions or values is None or output.width != 1:
        return None
    return [{unit: value * factor for unit, factor in output.conversions.items()} for value in values]
