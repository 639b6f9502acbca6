"""One flavour a deployment: the engine that its functions run, by the manifests of the models that go with them.

onnxruntime and scikit-learn together exceed what Lambda unzips, so a layer carries either. Compiled twins serve when
every model has one; the estimators themselves can always serve, a few of them only from data frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.target import LIMIT
from model.errors import ArtifactError
from model.manifest import EngineName, Manifest, parse

FlavourName = Literal["onnx", "joblib", "pandas"]


@dataclass(frozen=True, slots=True)
class Flavour:
    """What a function of the flavour is made of.

    `groups` are dependency groups of pyproject.toml, `marks` the packages by which a built layer is told from others;
    `ceiling` is the bytes that code and dependencies may take, so that what is left of Lambda's limit is for models.
    `sourceless` packages go as bytecode alone: with pandas the rest would not fit.
    """

    engine: EngineName
    groups: tuple[str, ...]
    marks: frozenset[str]
    ceiling: int
    sourceless: tuple[str, ...] = ()


FLAVOURS: Mapping[FlavourName, Flavour] = {
    "onnx": Flavour("onnx", ("serve", "onnx"), frozenset({"onnxruntime"}), 130_000_000),
    "joblib": Flavour("joblib", ("serve", "joblib"), frozenset({"sklearn"}), 250_000_000),
    "pandas": Flavour(
        "joblib", ("serve", "joblib", "frame"), frozenset({"sklearn", "pandas"}), LIMIT, ("pandas", "scipy", "sklearn")
    ),
}

_LACKING = {"onnx": "no compiled twin of", "joblib": "data frames are needed by"}


def manifests(artifacts: Path) -> dict[Path, Manifest]:
    """The manifest of each packed version below a local store, by its folder. Exits with the file that is none."""
    found = {}
    for file in sorted(artifacts.glob("[!.]*/[!.]*/manifest.json")):
        try:
            found[file.parent] = parse(file.read_bytes())
        except ArtifactError as error:
            raise SystemExit(f"{file}: {error}") from None
    return found


def _serves(flavour: FlavourName, manifest: Manifest) -> bool:
    return {"onnx": manifest.engine == "onnx", "joblib": manifest.input == "array", "pandas": True}[flavour]


def choose(artifacts: Path, wanted: str = "") -> FlavourName:
    """The first flavour that serves every model in `artifacts`, or the one `wanted`; says what ruled out the others.

    Exits if `wanted` is no flavour, or cannot serve a model that is there.
    """
    if wanted not in ("", *FLAVOURS):
        raise SystemExit(f"FLAVOUR is one of {', '.join(FLAVOURS)}, not {wanted}")
    found = manifests(artifacts).values()
    if not found and not wanted:
        return "joblib"
    for name in FLAVOURS:
        unserved = ", ".join(f"{m.name}/{m.version}" for m in found if not _serves(name, m))
        if name == wanted and unserved:
            raise SystemExit(
                f"FLAVOUR={name}: {_LACKING[name]} {unserved} in {artifacts}. Take it away, pack it again (`python -m "
                "model inspect` says what is in the way), or leave FLAVOUR out."
            )
        if name == wanted or not (wanted or unserved):
            return name
        if not wanted:
            print(f"Not the {name} flavour: {_LACKING[name]} {unserved}", flush=True)
    raise AssertionError("the last flavour serves every model")
