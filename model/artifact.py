"""Open an artifact: manifest, trust, digests, engine, golden rows, in that order; only then is there a scorer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from model import fetch, golden, signature
from model.engine import available, files_of, load_engine
from model.errors import ArtifactCorrupt, ArtifactMissing, ArtifactUntrusted
from model.manifest import FILE, EngineName, Manifest, digest, parse
from model.scorer import Scorer
from model.store import Store
from model.trust import Trust


@dataclass(frozen=True, slots=True)
class Policy:
    """What a deployment asks of artifacts: whom it trusts, what another scikit-learn is worth, which engines run.

    `threads` is the number of whole vCPUs.
    """

    trust: Trust = field(default_factory=Trust)
    version_mismatch: str = "refuse"
    engines: tuple[EngineName, ...] | None = None
    threads: int = 1


def _anything(manifest: Manifest, engine: EngineName, size: int) -> None:
    del manifest, engine, size


def read_manifest(store: Store, name: str, version: str, policy: Policy, labelled: str | None = None) -> Manifest:
    """Return a version's manifest once the deployment's trust is satisfied by its bytes.

    `labelled` is the manifest's digest as the label file gives it, where a label led here.
    Raises ArtifactMissing, ArtifactUnavailable, ArtifactUntrusted, ArtifactIncompatible or ArtifactCorrupt.
    """
    artifact = f"{name}/{version}"
    content = store.read(f"{artifact}/{FILE}")
    signatures = _signatures(store, artifact) if policy.trust.mode == "signed" else None
    policy.trust.check_manifest(artifact, content, labelled=labelled, signatures=signatures)
    manifest = parse(content)
    if (manifest.name, manifest.version) != (name, version):
        raise ArtifactCorrupt(f"the manifest in {artifact} is of {manifest.name}/{manifest.version}")
    return manifest


def open_artifact(
    store: Store,
    name: str,
    version: str,
    policy: Policy,
    labelled: str | None = None,
    *,
    admit: Callable[[Manifest, EngineName, int], None] = _anything,
    scratch: Path | None = None,
) -> Scorer:
    """Return a scorer that has just given its golden answers.

    No byte of a file is interpreted before its sha256 is the manifest's. `admit` is told of the manifest, the engine
    and the bytes of its files before they are loaded, and may raise; parts of large files are kept in `scratch` when
    the time is up. Raises the errors of `read_manifest`.
    """
    manifest = read_manifest(store, name, version, policy, labelled)
    engine = available(manifest, policy.engines)
    policy.trust.check_engine(f"{name}/{version}", engine, remote=store.remote)
    digests = {file: _expected(manifest, file) for file in (*files_of(manifest, engine), golden.FILE)}
    files = fetch.files(
        store,
        f"{name}/{version}",
        digests,
        partial(admit, manifest, engine),
        fetch.scratch() if scratch is None else scratch,
    )
    loaded = load_engine(engine, manifest, files, policy.version_mismatch, policy.threads)
    scorer = Scorer(manifest, loaded, engine)
    golden.replay(scorer, files[golden.FILE])
    return scorer


def _signatures(store: Store, artifact: str) -> bytes | None:
    try:
        return store.read(f"{artifact}/{signature.FILE}")
    except ArtifactMissing:
        return None


def verified(store: Store, manifest: Manifest, file: str) -> bytes:
    """Return a file's bytes, whose sha256 is the manifest's; raises ArtifactCorrupt, or what the store says."""
    expected = _expected(manifest, file)
    content = store.read(f"{manifest.name}/{manifest.version}/{file}")
    if digest(content) != expected:
        raise ArtifactCorrupt(
            f"{manifest.name}/{manifest.version}/{file} is not the file that was packed: its sha256 differs"
        )
    return content


def _expected(manifest: Manifest, file: str) -> str:
    if file not in manifest.digests:
        raise ArtifactCorrupt(f"the manifest has no digest of {file}")
    if ".." in file or file.startswith("/"):
        raise ArtifactUntrusted("the manifest names a file outside its artifact")
    return manifest.digests[file]
