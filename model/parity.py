"""Does the twin answer as the estimator does? Replays rows through both and keeps the figures. Build time only."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.engine import Engine
from model.manifest import Output, OutputName
from model.rows import Row, RowSchema

TOLERANCE = 1e-5
ROWS = 20_000
SECONDS = 60.0
# Rows that are also asked one by one: a graph may treat a single row by another kernel.
ALONE = 50
_CHUNK = 1_000
# Rounding, not error: so many steps of float32 may lie between an input and the split it crosses.
_STEPS = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What a twin is held to: differences up to `tolerance`, and with `strict` no boundary row either."""

    tolerance: float = TOLERANCE
    strict: bool = False
    rows: int = ROWS
    seconds: float = SECONDS


@dataclass(slots=True)
class Replay:
    """The figures of a replay: the worst differences by output, and the first row that differs beyond the limits."""

    rows: int = 0
    boundary_rows: int = 0
    worst: dict[str, float] | None = None
    failure: str | None = None

    def document(self, limits: Limits) -> dict[str, Any]:
        """Return what the manifest keeps."""
        return {
            "rows": self.rows,
            "boundary_rows": self.boundary_rows,
            "tolerance": limits.tolerance,
            "worst": {name: float(f"{value:.3g}") for name, value in (self.worst or {}).items()},
        }


def replay(
    estimator: Engine,
    twin: Engine,
    schema: RowSchema,
    outputs: Sequence[Output],
    rows: Sequence[Row],
    splits: Mapping[int, Any],
    limits: Limits,
    clock: Callable[[], float] = time.monotonic,
) -> Replay:
    """Ask both all rows, in chunks and some alone, until the first disagreement, the last row or the time is up."""
    found = Replay(worst={output.name: 0.0 for output in outputs})
    deadline = clock() + limits.seconds
    chunks = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
    alone: list[Sequence[Row]] = [[row] for row in rows[:ALONE]]
    for chunk in [*alone, *chunks]:
        if clock() > deadline and found.rows >= _CHUNK:
            break
        _compare(found, estimator, twin, schema, outputs, chunk, splits, limits)
        if found.failure is not None:
            break
    return found


def _compare(
    found: Replay,
    estimator: Engine,
    twin: Engine,
    schema: RowSchema,
    outputs: Sequence[Output],
    rows: Sequence[Row],
    splits: Mapping[int, Any],
    limits: Limits,
) -> None:
    matrix = schema.matrix(rows)
    names: list[OutputName] = [output.name for output in outputs]
    try:
        expected = estimator.predict(matrix, names)
    except Exception as error:
        found.failure = f"the estimator itself raises {type(error).__name__} on some rows"
        return
    try:
        given = twin.predict(matrix, names)
    except Exception as error:
        found.failure = f"the twin raises {type(error).__name__}: {str(error).splitlines()[0][:160]}"
        return
    counted = len(rows) > 1  # the rows asked alone are asked again in their chunk
    found.rows += len(rows) if counted else 0
    for output in outputs:
        wrong, difference = differences(output, expected[output.name], given[output.name], limits.tolerance)
        if wrong is None:
            found.failure = f"{output.name} has shape {given[output.name].shape}, not {expected[output.name].shape}"
            return
        for i in np.flatnonzero(wrong):
            if _at_boundary(rows[int(i)], splits) and not limits.strict:
                found.boundary_rows += counted
                difference[i] = 0.0
                continue
            found.failure = _described(output, expected[output.name][i], given[output.name][i])
            break
        if found.worst is not None and len(difference):
            found.worst[output.name] = max(found.worst[output.name], float(np.max(difference)))
        if found.failure is not None:
            return


def differences(output: Output, expected: Any, given: Any, tolerance: float) -> tuple[Any, Any]:
    """Return for each row whether it is wrong, and by how much: labels 0 or 1, probabilities and numbers as below.

    Decision values and probabilities are held to `tolerance` absolutely; predicted numbers relatively to themselves,
    or to a millionth of the largest where they are about nothing.
    """
    expected, given = np.asarray(expected), np.asarray(given)
    if expected.shape != given.shape:
        return None, np.zeros(0)
    if output.kind in {"class", "cluster"} and output.name == "prediction":
        wrong = (expected != given).reshape(len(expected), -1).any(axis=1)
        return wrong, wrong.astype(np.float64)
    gap = np.abs(expected.astype(np.float64) - given.astype(np.float64))
    if output.name == "prediction":
        sizes = np.abs(expected)
        gap = gap / np.maximum(sizes, max(1e-6 * float(sizes.max(initial=0.0)), 1e-300))
    gap = gap.reshape(len(expected), -1).max(axis=1)
    return ~(gap <= tolerance), np.nan_to_num(gap, nan=np.inf)


def _at_boundary(row: Row, splits: Mapping[int, Any]) -> bool:
    """Tell whether a value of the row lies within two float32 steps of a split of its column."""
    for column, values in splits.items():
        value = row[column]
        if isinstance(value, str) or value is None:
            continue
        step = float(np.spacing(np.float32(abs(value))))
        i = int(np.searchsorted(values, value))
        near = values[max(i - 1, 0) : i + 1]
        if len(near) and float(np.min(np.abs(near - value))) <= _STEPS * step:
            return True
    return False


def _described(output: Output, expected: Any, given: Any) -> str:
    """Return the figures of a row, without the row: it may be one of the training data."""
    return f"{output.name} differs: the estimator gives {_short(expected)}, the twin {_short(given)}"


def _short(value: Any) -> str:
    return np.array2string(np.asarray(value), precision=6, threshold=8)
