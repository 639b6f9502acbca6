"""Prediction → CSV (RFC 4180): a header, then a line a row. A column is called by its way in the answer of one row."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from model.manifest import Manifest
from model.scorer import Prediction


def encode(prediction: Prediction, manifest: Manifest, *, header: bool = True) -> bytes:
    """Return columns such as prediction, label, probabilities.setosa, decision, conversions.g; empty where cut away."""
    columns = list(_columns(prediction, manifest))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if header:
        writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(map(_cell, values) for _, values in columns), strict=True))
    return text.getvalue().encode()


def _columns(prediction: Prediction, manifest: Manifest) -> Iterator[tuple[str, Sequence[Any]]]:
    yield from _values("prediction", prediction.values, manifest)
    if prediction.labels is not None:
        yield "label", prediction.labels
    for name, rows, output, keys in (
        ("probabilities", prediction.probabilities, "probabilities", "labels"),
        ("conversions", prediction.conversions, "prediction", "conversions"),
    ):
        found = next((found for found in manifest.outputs if found.name == output), None)
        for key in getattr(found, keys) or () if rows is not None else ():
            yield f"{name}.{key}", [row.get(key) for row in rows or ()]
    yield from _values("decision", prediction.decisions, manifest)


def _values(name: str, values: Sequence[Any] | None, manifest: Manifest) -> Iterator[tuple[str, Sequence[Any]]]:
    if values is None:
        return
    output = next((output for output in manifest.outputs if output.name == name), None)
    width = output.width if output else 1
    if width == 1:
        yield name, values
    else:
        for i in range(width):
            yield f"{name}.{i}", [row[i] for row in values]


def _cell(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value
