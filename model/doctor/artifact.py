"""An artifact, looked at without its engine: format, files, engine, data frames, jobs, versions."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from model.artifact import Policy, read_manifest
from model.doctor.finding import LIMIT, Finding
from model.engine import FILES, files_of
from model.errors import ArtifactCorrupt, ArtifactIncompatible, ArtifactMissing
from model.golden import FILE as GOLDEN
from model.manifest import EngineName, Manifest, digest
from model.store import Store

# What a pickle depends on beside scikit-learn itself, whose version the engine compares.
_BESIDE = ("numpy", "scipy", "joblib")


def locked(requirements: Path) -> dict[str, str]:
    """Package → version of a requirements file with exact versions; nothing where there is no file."""
    text = requirements.read_text() if requirements.is_file() else ""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


def examine(
    store: Store, name: str, version: str, versions: Mapping[str, str], engine: EngineName | None = None
) -> list[Finding]:
    """The findings of one version. Raises ArtifactMissing or ArtifactUnavailable.

    `versions` are those of the packages that it will run with; `engine` is the one deployed with it, whose files alone
    are then expected.
    """
    where = f"{name}/{version}"
    try:
        manifest = read_manifest(store, name, version, Policy())
    except ArtifactIncompatible as error:
        return [Finding("error", "newer-format", where, str(error), "Update this project, or pack the model again.")]
    except ArtifactCorrupt as error:
        return [Finding("error", "no-manifest", where, str(error), "Pack the model again.")]
    found = [*_files(store, manifest, where, engine), *_engine(manifest, where, engine)]
    return [*found, *_jobs(manifest, where), *_drift(manifest, where, versions, engine or manifest.engine)]


def _files(store: Store, manifest: Manifest, where: str, engine: EngineName | None) -> Iterator[Finding]:
    serving = engine or manifest.engine
    stayed_behind: set[str] = set()
    if engine:
        stayed_behind = {f for other in FILES for f in files_of(manifest, other)} - set(files_of(manifest, engine))
    for file in sorted({GOLDEN, *files_of(manifest, serving)} - manifest.digests.keys()):
        yield Finding("error", "no-digest", where, f"the manifest has no digest of {file}", "Pack the model again.")
    for file in sorted(manifest.digests.keys() - stayed_behind):
        cure = "Copy the artifact again from where it was packed, or pack it under a new version."
        try:
            content = store.read(f"{where}/{file}")
        except ArtifactMissing:
            yield Finding("error", "missing-file", where, f"{file} is not there", cure)
            continue
        if digest(content) != manifest.digests[file]:
            yield Finding("error", "digest", where, f"{file} is not the file that was packed: its sha256 differs", cure)
        if file == FILES[serving] and len(content) > LIMIT:
            what = f"{file} has {len(content):,} bytes; Lambda unzips {LIMIT:,} of code and layers together"
            yield Finding("error", "too-large", where, what, "Serve it from S3 (ModelStore), or make it smaller.")


def _engine(manifest: Manifest, where: str, engine: EngineName | None) -> Iterator[Finding]:
    if manifest.engine == "joblib":
        reasons = "; ".join(manifest.notes) or "it was packed with --engine joblib"
        what = f"no compiled twin, so this and every model deployed with it run on scikit-learn: {reasons}"
        cure = "Pack it with --engine auto, or fit another estimator. It is served as it is, a second later when cold."
        yield Finding("warning", "joblib-engine", where, what, cure)
        if manifest.input == "frame":
            what = "the estimator answers from data frames only: pandas in the layer, and 230 ms more of a cold start"
            cure = "Choose columns by ColumnTransformer rather than by name inside a function."
            yield Finding("warning", "needs-pandas", where, what, cure)
    elif engine == "joblib":
        what = "it has a compiled twin, and runs on scikit-learn all the same"
        cure = "Give the other models one, or build without FLAVOUR=joblib."
        yield Finding("hint", "unused-twin", where, what, cure)


def _jobs(manifest: Manifest, where: str) -> Iterator[Finding]:
    for kind, jobs in manifest.n_jobs.items():
        what = f"{kind} was fitted with n_jobs={jobs}; it is served with 1, for threads cost more than a row does"
        yield Finding("hint", "n-jobs", where, what, f"Nothing here. Elsewhere: set_params(n_jobs=1) on {kind}.")


def _drift(manifest: Manifest, where: str, versions: Mapping[str, str], engine: EngineName) -> Iterator[Finding]:
    packed = manifest.environment

    def differs(name: str) -> bool:
        return name in versions and name in packed and versions[name] != packed[name]

    learn = "scikit-learn"
    if differs(learn):
        what = f"written by scikit-learn {packed[learn]}; it will run with {versions[learn]}"
        if engine == "onnx":
            yield Finding("hint", "version-drift", where, f"{what}, were it not compiled", "Pack it again some day.")
        else:
            cure = "Pack it again with that version, pin its own, or set MODEL_VERSION_MISMATCH=warn."
            yield Finding("error", "version-drift", where, f"{what}, which refuses it", cure)
    others = ", ".join(f"{name} {packed[name]} → {versions[name]}" for name in _BESIDE if differs(name))
    if others and engine == "joblib":
        what = f"other versions than it was packed with: {others}"
        yield Finding("warning", "version-drift", where, what, "Pack it again; golden rows are checked at each load.")
