"""Golden rows: what the estimator answered when it was packed, asked again at every load. Pure.

They are drawn column by column from the manifest's ranges and categories, so that no row is one of the training data.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec

from model.errors import ArtifactCorrupt, PredictionFailed
from model.manifest import Feature, Manifest, Scalar
from model.rows import Row
from model.scorer import Scorer

FILE = "golden.json"
ROWS = 16
# Other processors sum in another order and a twin may be single precision: answers differ, but not in the fifth digit.
TOLERANCE = 1e-5


class Golden(msgspec.Struct, frozen=True):
    """The rows and the answers to all outputs, as the scorer gave them."""

    rows: list[list[Scalar | None]]
    predictions: list[Any]
    probabilities: list[dict[str, float]] | None = None
    decisions: list[Any] | None = None

    @property
    def request(self) -> dict[str, Any]:
        """The rows and all outputs as one request of the native kind (see `model.codec.json_rows`)."""
        answered = {"probabilities": self.probabilities, "decision": self.decisions}
        outputs = ["prediction", *(name for name, recorded in answered.items() if recorded is not None)]
        return {"instances": self.rows, "outputs": outputs}


def parse(content: bytes) -> Golden:
    """Read the file; raises ArtifactCorrupt."""
    try:
        return msgspec.json.decode(content, type=Golden)
    except msgspec.MsgspecError as error:
        raise ArtifactCorrupt(f"the golden rows cannot be read: {error}") from error


def draw(features: Sequence[Feature], seed: int = 0) -> list[Row]:
    """Return ROWS rows: first the example, then values at random within what each column takes, nulls among them."""
    source = random.Random(seed)  # noqa: S311  -- repeatable, nothing secret
    example = tuple(feature.example for feature in features)
    return [example, *(tuple(_value(feature, source) for feature in features) for _ in range(ROWS - 1))]


def _value(feature: Feature, source: random.Random) -> Scalar | None:
    if feature.nullable and source.random() < 0.2:
        return None
    if feature.categories:
        return source.choice(feature.categories)
    if feature.kind == "boolean":
        return source.random() < 0.5
    if feature.kind in {"text", "category"}:
        return feature.example
    low, high = feature.range or (0.0, 1.0)
    value = source.uniform(low, high)
    return float(round(value)) if feature.kind == "integer" else value


def record(scorer: Scorer, rows: Sequence[Row]) -> Golden:
    """Return the scorer's answers to all that it offers."""
    answer = scorer.score(rows, scorer.schema.offered)
    return Golden([list(row) for row in rows], answer.values or [], answer.probabilities, answer.decisions)


def replay(scorer: Scorer, content: bytes) -> None:
    """Ask the golden rows again; raises ArtifactCorrupt unless every answer is the recorded one.

    Labels must be equal; numbers may differ by TOLERANCE (or by the artifact's own, where it was packed with a
    wider one) of the largest recorded. The replay also warms the engine.
    """
    try:
        golden = parse(content)
        answer = scorer.score([tuple(row) for row in golden.rows], scorer.schema.offered)
    except PredictionFailed as error:
        raise ArtifactCorrupt(f"the golden rows cannot be replayed: {error}") from error
    check(golden, (answer.values, answer.probabilities, answer.decisions), scorer.manifest)


def check(golden: Golden, given: tuple[Any, Any, Any], manifest: Manifest) -> None:
    """Compare predictions, probabilities, decisions with those recorded; raises ArtifactCorrupt, see `replay`."""
    tolerance = max(TOLERANCE, float(manifest.parity.get("tolerance", 0.0)))
    wrong = _first_difference(golden, given, tolerance)
    if wrong is not None:
        raise ArtifactCorrupt(f"golden row {wrong} no longer has the answer it had when packed")


def _first_difference(golden: Golden, given: tuple[Any, Any, Any], tolerance: float) -> int | None:
    recorded = (golden.predictions, golden.probabilities, golden.decisions)
    for old, new in zip(recorded, given, strict=True):
        if old is None and new is None:
            continue
        margin = tolerance * max((abs(number) for number in _numbers(old)), default=1.0)
        for i in range(len(golden.rows)):
            if not (old and new) or i >= min(len(old), len(new)) or not _same(old[i], new[i], margin):
                return i
    return None


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, float):
        yield value


def _same(old: Any, new: Any, margin: float) -> bool:
    if isinstance(old, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key], margin) for key in old)
    if isinstance(old, list):
        return isinstance(new, list) and len(old) == len(new) and all(map(_same, old, new, repeat(margin)))
    if isinstance(old, float) or isinstance(new, float):
        return bool(abs(old - new) <= margin)
    return bool(old == new)
