"""What computes: a protocol, and the table from an engine's name to the module that is imported only when needed."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from model.errors import ArtifactIncompatible
from model.manifest import EngineName, Manifest, OutputName

if TYPE_CHECKING:
    import numpy as np

MODULES: Mapping[EngineName, str] = {"onnx": "model.engine_onnx", "joblib": "model.engine_joblib"}
LIBRARIES: Mapping[EngineName, str] = {"onnx": "onnxruntime", "joblib": "sklearn"}
FILES: Mapping[EngineName, str] = {"onnx": "model.onnx", "joblib": "model.joblib"}


class Engine(Protocol):
    """A loaded estimator."""

    def predict(self, matrix: Any, outputs: Sequence[OutputName]) -> "Mapping[OutputName, np.ndarray[Any, Any]]":
        """Answer n rows: each output asked for, as an array whose first axis is the rows.

        prediction has shape (n,) or (n, targets); probabilities (n, classes); decision (n,) or (n, classes).
        """


def available(manifest: Manifest, allowed: Sequence[EngineName] | None = None) -> EngineName:
    """Return the best engine of the manifest that is allowed and whose library is installed.

    A deployment carries one flavour: onnxruntime, or scikit-learn. Raises ArtifactIncompatible when there is none.
    """
    possible = [name for name in manifest.engines if allowed is None or name in allowed]
    for name in possible:
        if find_spec(LIBRARIES[name]) is not None:
            return name
    wanted = " or ".join(LIBRARIES[name] for name in possible) or "an engine that MODEL_ENGINES forbids"
    raise ArtifactIncompatible(
        f"{manifest.name}/{manifest.version} needs {wanted}, which this deployment does not have"
    )


def files_of(manifest: Manifest, engine: EngineName) -> tuple[str, ...]:
    """Return the files that an engine reads: a compiled twin needs neither the pickle nor the user's code."""
    own = FILES[engine]
    code = [file for file in manifest.digests if engine == "joblib" and file.startswith("code/")]
    return (*code, own)


def load_engine(
    name: EngineName, manifest: Manifest, files: Mapping[str, bytes], version_mismatch: str, threads: int = 1
) -> Engine:
    """Build an engine from verified bytes; imports the one library that it needs.

    Raises ArtifactCorrupt or ArtifactIncompatible.
    """
    module = import_module(MODULES[name])
    engine: Engine = module.load(manifest, files, version_mismatch=version_mismatch, threads=threads)
    return engine
