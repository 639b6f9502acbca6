"""What computes: a protocol, and the table from an engine's name to the module that is imported only when needed."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from model.manifest import Manifest, OutputName

if TYPE_CHECKING:
    import numpy as np

MODULES = {"joblib": "model.engine_joblib"}


class Engine(Protocol):
    """A loaded estimator."""

    def predict(self, matrix: Any, outputs: Sequence[OutputName]) -> "Mapping[OutputName, np.ndarray[Any, Any]]":
        """Answer n rows: each output asked for, as an array whose first axis is the rows.

        prediction has shape (n,) or (n, targets); probabilities (n, classes); decision (n,) or (n, classes).
        """


def load_engine(manifest: Manifest, files: Mapping[str, bytes], version_mismatch: str) -> Engine:
    """Build the manifest's engine from verified bytes.

    Imports the one library that it needs. Raises ArtifactCorrupt or ArtifactIncompatible.
    """
    module = import_module(MODULES[manifest.engine])
    engine: Engine = module.load(manifest, files, version_mismatch=version_mismatch)
    return engine
