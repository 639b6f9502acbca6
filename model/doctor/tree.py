"""The tree that `sam build` left: what Lambda would unzip for each function, and whether it would run there."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from model.artifact import Policy, read_manifest
from model.doctor import artifact, bytecode, template
from model.doctor.finding import LIMIT, Finding
from model.engine import LIBRARIES
from model.errors import ArtifactError
from model.manifest import EngineName, Manifest
from model.store import Store

_LARGEST = 3
_NEARLY = 0.95
_AGAIN = "Build again: make build, without FLAVOUR, takes the first flavour that serves every model."


@dataclass(frozen=True, slots=True)
class Unzipped:
    """A function as Lambda would lay it out: the folder of its code and those of its layers."""

    name: str
    runtime: str
    code: Path
    layers: tuple[Path, ...]

    @property
    def roots(self) -> dict[str, Path]:
        """Where Python looks for packages, by the name of the code or layer."""
        return {self.code.name: self.code} | {layer.name: layer / "python" for layer in self.layers}

    def holds(self, package: str) -> bool:
        return any((root / package).is_dir() for root in self.roots.values())

    def versions(self) -> dict[str, str]:
        """Package → version of all that is installed in it."""
        return {found.name.lower(): found.version for found in distributions(path=list(map(str, self.roots.values())))}


def is_built(folder: Path) -> bool:
    """Tell a built tree from the project that it is of: SAM names code by the logical id of a function that uses it."""
    parsed = template.read(folder / template.FILE)
    found = [] if isinstance(parsed, Finding) else _functions(parsed, folder)
    return any(function.code.name == function.name for function in found)


def _functions(parsed: Mapping[str, Any], folder: Path) -> list[Unzipped]:
    """The functions whose code is here; of their layers those that are."""

    def place(at: object) -> Path | None:
        return folder / at if isinstance(at, str) and (folder / at).is_dir() else None

    found = []
    for name, properties in template.functions(parsed).items():
        used = [parsed["Resources"].get(layer, {}) for layer in dict.fromkeys(template.refs(properties.get("Layers")))]
        layers = [place((resource.get("Properties") or {}).get("ContentUri")) for resource in used]
        if code := place(properties.get("CodeUri")):
            runtime = str(properties.get("Runtime"))
            found.append(Unzipped(name, runtime, code, tuple(layer for layer in layers if layer)))
    return found


def examine(folder: Path) -> list[Finding]:
    """The findings of a built tree and of the template in it, each once."""
    found = template.examine(file := folder / template.FILE)
    parsed = template.read(file)
    for function in [] if isinstance(parsed, Finding) else _functions(parsed, folder):
        found += [*_size(function), *_models(function)]
        for name, root in function.roots.items() if function.runtime.startswith("python") else ():
            found += bytecode.examine(root, name, function.runtime)
    return list(dict.fromkeys(found))


def _size(function: Unzipped) -> Iterator[Finding]:
    parts: Counter[str] = Counter()
    for folder in (function.code, *function.layers):
        for path in folder.rglob("*"):
            if path.is_file():
                names = path.relative_to(folder).parts
                parts["/".join(names[: 2 if names[0] in ("python", "model") else 1])] += path.stat().st_size
    share = parts.total() / LIMIT
    if share > _NEARLY:
        largest = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in parts.most_common(_LARGEST))
        what = f"{parts.total():,} bytes of code and layers, {share:.0%} of the {LIMIT:,} that Lambda unzips: {largest}"
        cure = "Remove a dependency, serve large models from S3, or give each model a compiled twin."
        yield Finding("error" if share > 1 else "warning", "too-large", function.name, what, cure)


def _models(function: Unzipped) -> Iterator[Finding]:
    versions, framed = function.versions(), False
    for layer in function.layers:
        for path in sorted(layer.glob("model/*/*/manifest.json")):
            store, where = Store((layer / "model").absolute().as_uri()), (path.parts[-3], path.parts[-2])
            engine = _engine(function, manifest := _manifest(store, *where))
            if manifest and not engine:
                yield _no_engine(manifest)
                continue
            yield from artifact.examine(store, *where, versions, engine)
            if manifest and manifest.input == "frame" and engine == "joblib":
                framed = True
                if not function.holds("pandas"):
                    what = "it takes data frames, and no layer holds pandas"
                    yield Finding("error", "no-pandas", "/".join(where), what, _AGAIN)
    yield from _packages(function, framed)


def _manifest(store: Store, name: str, version: str) -> Manifest | None:
    try:
        return read_manifest(store, name, version, Policy())
    except ArtifactError:  # told by artifact.examine
        return None


def _engine(function: Unzipped, manifest: Manifest | None) -> EngineName | None:
    return next((e for e in manifest.engines if function.holds(LIBRARIES[e])), None) if manifest else None


def _no_engine(manifest: Manifest) -> Finding:
    wanted = " or ".join(LIBRARIES[engine] for engine in manifest.engines)
    what = f"it needs {wanted}, and no layer holds it"
    return Finding("error", "no-engine", f"{manifest.name}/{manifest.version}", what, _AGAIN)


def _packages(function: Unzipped, framed: bool) -> Iterator[Finding]:
    if function.holds("pandas") and not framed:
        what = "pandas, which no model here needs: 37 MB, and 150 ms of a cold start, for scikit-learn imports it"
        yield Finding("warning", "needless-pandas", function.name, what, "Leave it out of what the layer is made of.")
    if all(function.holds(library) for library in LIBRARIES.values()):
        what = f"both engines, {' and '.join(LIBRARIES.values())}: one of them is never used"
        yield Finding("warning", "both-engines", function.name, what, _AGAIN)
