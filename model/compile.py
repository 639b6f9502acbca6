"""Estimator → proven ONNX twin, or the reason why there is none. Build time only.

Candidates in the order of their exactness: our own graph in double precision, skl2onnx in double, skl2onnx in single.
None is believed: the first that survives the replay of `model.parity` is taken.
"""

import copy
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper
from onnx.compose import add_prefix

from model import adversary, parity
from model.engine import Engine
from model.engine_onnx import OnnxEngine, open_session
from model.errors import ArtifactError
from model.estimator import by_position, final
from model.manifest import Feature, Manifest, Output
from model.rows import Row, RowSchema, is_text
from model.twin.build import build

CONVERSION_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Twin:
    """A proven graph and its figures, or no graph and the reasons, one a candidate."""

    content: bytes | None
    parity: dict[str, Any]
    reasons: tuple[str, ...]


class TooSlow(Exception):
    """A conversion took longer than it may."""


def compile_twin(
    estimator: Any, manifest: Manifest, engine: Engine, sample: Sequence[Row], limits: parity.Limits
) -> Twin:
    """Return the first candidate that answers as `engine`, which runs `estimator`, does."""
    schema = RowSchema(manifest.features)
    hard = adversary.rows(manifest.features, estimator, sample, limits.rows)
    splits = adversary.thresholds(estimator, len(manifest.features))
    reasons: list[str] = []
    figures: dict[str, Any] = {}
    for name, convert in _candidates(estimator, manifest):
        try:
            with time_limit(CONVERSION_SECONDS):
                content = convert()
            twin = OnnxEngine(open_session(content), manifest)
        except (ArtifactError, TooSlow) as error:
            reasons.append(f"{name}: {error}")
            continue
        except Exception as error:
            reasons.append(f"{name}: {_first_line(error)}")
            continue
        found = parity.replay(engine, twin, schema, manifest.outputs, hard, splits, limits)
        figures = found.document(limits) | {"converter": name}
        if found.failure is None:
            return Twin(content, figures, tuple(reasons))
        reasons.append(f"{name}: {found.failure}")
    return Twin(None, figures, tuple(reasons))


def _candidates(estimator: Any, manifest: Manifest) -> Iterator[tuple[str, Callable[[], bytes]]]:
    wanted = [output.name for output in manifest.outputs]
    yield "exact", lambda: build(estimator, manifest.features, list(wanted)).SerializeToString()
    for precision in ("double", "single"):
        yield f"skl2onnx {precision}", lambda precision=precision: _skl2onnx(estimator, manifest, precision)  # type: ignore[misc]


def _skl2onnx(estimator: Any, manifest: Manifest, precision: str) -> bytes:
    served = copy.deepcopy(estimator)
    by_position(served)
    while hasattr(served, "best_estimator_"):
        served = served.best_estimator_
    names = [output.name for output in manifest.outputs]
    if names == ["prediction", "probabilities", "decision"]:
        plain = _converted(served, manifest, precision, raw=False)
        return _named(plain, manifest.outputs[:2], _converted(served, manifest, precision, raw=True))
    raw = names == ["prediction", "decision"] and manifest.task == "classification"
    return _named(_converted(served, manifest, precision, raw=raw), manifest.outputs, None)


def _converted(estimator: Any, manifest: Manifest, precision: str, *, raw: bool) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn  # noqa: PLC0415  -- a second, and only when the exact graph was not enough

    options: dict[int, dict[str, bool]] = {}
    if manifest.task == "classification" and len(manifest.outputs) > 1:
        options[id(estimator)] = {"zipmap": False}
        if raw:
            options[id(final(estimator))] = {"zipmap": False, "raw_scores": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model: onnx.ModelProto = convert_sklearn(
            estimator,
            initial_types=_inputs(manifest.features, precision),
            options=options or None,
            target_opset={"": 18, "ai.onnx.ml": 3},
        )
    return model


def _inputs(features: Sequence[Feature], precision: str) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType  # noqa: PLC0415

    number = DoubleTensorType if precision == "double" else FloatTensorType
    text = [is_text(feature) for feature in features]
    if not any(text):
        return [("numbers", number([None, len(features)]))]
    if all(text):
        return [("strings", StringTensorType([None, len(features)]))]
    return [
        (f"c{i}", StringTensorType([None, 1]) if is_string else number([None, 1])) for i, is_string in enumerate(text)
    ]


def _named(model: onnx.ModelProto, outputs: Sequence[Output], scores: onnx.ModelProto | None) -> bytes:
    """Give the outputs the manifest's names and shapes; `scores` is a second graph, whose last output is decision."""
    # A prefix, because skl2onnx calls tensors of its own "probabilities" and the like.
    model = add_prefix(model, "s_", rename_inputs=False)
    ends = [(output, value.name) for output, value in zip(outputs, model.graph.output, strict=False)]
    if scores is not None:
        other = add_prefix(scores, "d_", rename_inputs=False)
        model.graph.node.extend(other.graph.node)
        model.graph.initializer.extend(other.graph.initializer)
        ends.append((Output("decision", "number", width=_width(outputs)), other.graph.output[1].name))
    del model.graph.output[:]
    flat = helper.make_tensor("flat", onnx.TensorProto.INT64, [1], [-1])
    model.graph.initializer.append(flat)
    for output, name in ends:
        node = (
            ("Reshape", [name, "flat"])
            if output.width == 1 and output.name != "probabilities"
            else ("Identity", [name])
        )
        model.graph.node.append(helper.make_node(node[0], node[1], [output.name]))
        model.graph.output.append(onnx.ValueInfoProto(name=output.name))
    return bytes(model.SerializeToString())


def _width(outputs: Sequence[Output]) -> int:
    classes = outputs[0].classes or ()
    return 1 if len(classes) == 2 else len(classes)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow inside the block after `seconds`; in another than the main thread there is no limit."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise TooSlow(f"no graph after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
