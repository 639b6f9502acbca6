"""The compiled engine: an ONNX graph in onnxruntime, without scikit-learn, scipy or joblib in the process.

A graph takes either `numbers` (n, a) and `strings` (n, b), the features' columns of each kind in their order, or one
tensor (n, 1) a column; what it declares decides. One thread a vCPU: another would only wait for it. No arena: it grows
to the largest batch ever seen and is never given back.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Set before the import: the Linux wheel otherwise starts a thread and writes a database under the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime

from model.errors import ArtifactCorrupt, ArtifactIncompatible
from model.manifest import Feature, Manifest, OutputName
from model.rows import is_text

FILE = "model.onnx"
# What a null in a column of strings is fed as: a private-use character, which no request may hold.
NULL = "\ue000null"
_DTYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(string)": object}
_TENSORS = {"numbers": False, "strings": True}

Feed = Callable[[Any], dict[str, Any]]


class OnnxEngine:
    """A session behind the engine protocol; the matrix is (n, features), see `RowSchema.matrix`."""

    def __init__(self, session: Any, manifest: Manifest) -> None:
        self._run = session.run
        self._feed = feeder(session, manifest.features)
        known = {output.name for output in manifest.outputs}
        given = {output.name for output in session.get_outputs()}
        if known - given:
            raise ArtifactCorrupt(f"the graph lacks the outputs {', '.join(sorted(known - given))}")

    def predict(self, matrix: Any, outputs: Sequence[OutputName]) -> dict[OutputName, Any]:
        return dict(zip(outputs, self._run(list(outputs), self._feed(matrix)), strict=True))


def feeder(session: Any, features: Sequence[Feature]) -> Feed:
    """Return what turns a matrix into the graph's inputs; raises ArtifactCorrupt when they are not the features."""
    inputs = {entry.name: entry for entry in session.get_inputs()}
    text = [is_text(feature) for feature in features]
    if set(inputs) <= set(_TENSORS):
        return _by_kind(inputs, text)
    if list(inputs) != [f"c{i}" for i in range(len(features))]:
        raise ArtifactCorrupt(f"the graph takes {', '.join(inputs)}, which are not the manifest's features")
    columns = [(i, name, _dtype(entry, text[i])) for i, (name, entry) in enumerate(inputs.items())]

    def feed(matrix: Any) -> dict[str, Any]:
        return {
            name: _strings(matrix[:, i : i + 1]) if dtype is object else matrix[:, i : i + 1].astype(dtype)
            for i, name, dtype in columns
        }

    return feed


def _by_kind(inputs: Mapping[str, Any], text: Sequence[bool]) -> Feed:
    counts = {"numbers": len(text) - sum(text), "strings": sum(text)}
    for name, count in counts.items():
        width = inputs[name].shape[1] if name in inputs else 0
        if width != count:
            raise ArtifactCorrupt(f"the graph takes {width} columns of {name}, the manifest has {count}")
    number = _dtype(inputs["numbers"], False) if counts["numbers"] else np.float64
    if not counts["strings"]:
        return lambda matrix: {"numbers": matrix.astype(number, copy=False)}
    _dtype(inputs["strings"], True)
    if not counts["numbers"]:
        return lambda matrix: {"strings": _strings(matrix)}
    numbers = [i for i, is_string in enumerate(text) if not is_string]
    strings = [i for i, is_string in enumerate(text) if is_string]
    return lambda matrix: {"numbers": matrix[:, numbers].astype(number), "strings": _strings(matrix[:, strings])}


def _dtype(entry: Any, text: bool) -> Any:
    dtype = _DTYPES.get(entry.type)
    if dtype is None or (dtype is object) != text:
        raise ArtifactCorrupt(f"the graph takes {entry.name} as {entry.type}, which the manifest's features are not")
    return dtype


def _strings(columns: Any) -> Any:
    """Return the columns with nulls (None, or the NaN that the matrix has for it) as the graph knows them."""
    absent = columns != columns  # noqa: PLR0124  -- NaN alone is not itself
    if absent.any() or (columns == None).any():  # noqa: E711  -- elementwise
        columns = np.where(absent | (columns == None), NULL, columns)  # noqa: E711
    return np.ascontiguousarray(columns)


def open_session(content: bytes, threads: int = 1) -> Any:
    """Return a session of verified bytes; raises ArtifactCorrupt or ArtifactIncompatible.

    With two threads 5,000 rows take 0.6 of the time; one row is answered by one anyway.
    """
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:
        kind = type(error).__name__
        if kind in {"NotImplemented", "InvalidGraph", "Fail", "EPFail"}:
            raise ArtifactIncompatible(f"onnxruntime {onnxruntime.__version__} cannot run the graph: {kind}") from error
        raise ArtifactCorrupt(f"the file is no ONNX graph: {kind}") from error


def load(manifest: Manifest, files: Mapping[str, bytes], *, version_mismatch: str, threads: int) -> OnnxEngine:
    """Open model.onnx of verified `files`; a graph names its own operator versions, so none is compared here."""
    del version_mismatch
    return OnnxEngine(open_session(files[FILE], threads), manifest)
