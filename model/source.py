"""The files a user brings: the estimator, the modules it needs, a sample of its training data. Build time only."""

import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from model import skops_audit, user_code
from model.engine_joblib import unpickle
from model.errors import ArtifactError, PackingRefused

SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops")
# Names that the deployed code itself goes by; the user's module would hide it, or be hidden.
OURS = ("model", "handler")


@dataclass(frozen=True, slots=True)
class Source:
    """A fitted estimator as bytes that joblib reads, what wrote it, and the modules that it needs (file → bytes)."""

    content: bytes
    written_by: str | None = None
    code: Mapping[str, bytes] = field(default_factory=dict)

    def estimator(self) -> Any:
        """Return a fresh copy of the estimator: packing tries things that change it."""
        user_code.install(self.code)
        return unpickle(self.content)[0]


def runs_code(file: Path) -> bool:
    """Tell whether reading an estimator file runs whatever code is in it."""
    return file.suffix != ".skops"


def read_source(file: Path, code: Path | None = None, allow: Sequence[str] = ()) -> Source:
    """Read an estimator file; raises PackingRefused with what to do.

    .joblib and .pkl run whatever code they hold: read only what you trust. .skops is loaded only when every type in it
    is one that skops trusts, is on `skops_audit`'s list, or is in `allow` by its dotted name.
    """
    if file.suffix not in SUFFIXES:
        raise PackingRefused(
            f"{file.name} is none of {', '.join(SUFFIXES)}: save the fitted estimator with joblib.dump"
        )
    if not file.is_file():
        raise PackingRefused(f"there is no file {file}")
    modules = read_code(code) if code else {}
    content = file.read_bytes() if runs_code(file) else skops_audit.as_joblib(file, modules, allow)
    user_code.install(modules)
    try:
        estimator, version = unpickle(content)
    except ArtifactError as error:
        raise PackingRefused(_advice(str(error))) from error
    if not hasattr(estimator, "get_params"):
        raise PackingRefused(f"{file.name} holds a {type(estimator).__name__}, not a scikit-learn estimator")
    return Source(content, version, modules)


def read_code(path: Path) -> dict[str, bytes]:
    """Return the Python files at `path` (a module, a package, or a folder of them) by their place under code/."""
    if path.is_file():
        found = {path.name: path}
    elif path.is_dir():
        base = path.parent if (path / "__init__.py").exists() else path
        found = {file.relative_to(base).as_posix(): file for file in sorted(path.rglob("*.py"))}
    else:
        raise PackingRefused(f"there is no file or folder {path}")
    if not found:
        raise PackingRefused(f"{path} holds no Python file")
    for top in sorted({name.split("/")[0].removesuffix(".py") for name in found}):
        _refuse_taken(top)
    return {user_code.PREFIX + name: file.read_bytes() for name, file in found.items()}


def read_sample(file: Path, target: str | None) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Return the CSV's columns but the target, and what the manifest says of the data: rows and digest."""
    from model.manifest import digest  # noqa: PLC0415

    content = file.read_bytes()
    sample = pd.read_csv(file)
    if target is not None:
        if target not in sample.columns:
            raise PackingRefused(f"the sample has no column {target!r}, only {', '.join(map(str, sample.columns))}")
        sample = sample.drop(columns=[target])
    return sample, {"file": file.name, "rows": len(sample), "digest": digest(content)}


def _refuse_taken(top: str) -> None:
    if top in OURS:
        raise PackingRefused(
            f"a module of yours is called {top!r}, which is the name of the service's own code: rename it "
            f"(for example my_{top}.py), fit and save the estimator again, and pack it with the new --code"
        )
    installed = importlib.metadata.packages_distributions()
    if top in sys.stdlib_module_names or top in installed:
        raise PackingRefused(
            f"a module of yours is called {top!r}, which hides an installed one of that name: rename it"
        )


def _advice(message: str) -> str:
    if "__main__" in message:
        return (
            f"{message}. The estimator uses a class or function that was defined in a script or notebook: "
            "move it to a module of its own, import it from there, fit and save again, and pack with --code"
        )
    if "needs code" in message:
        return f"{message}. Say where that module is with --code FILE|FOLDER"
    return message
