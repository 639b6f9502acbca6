"""Who vouches for bytes before they are interpreted. Unpickling runs code, so this is asked first. Pure.

bundled   what lies in the deployment itself (a layer, a folder) is trusted as deployed; says nothing of a remote store
pinned    the deployment carries the digest of each manifest that it may serve
signed    the deployment carries public keys, and serves manifests that one of them has signed
labelled  the label file carries the digests: whoever moves labels is trusted, but never with a pickle
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from model import signature
from model.errors import ArtifactUntrusted
from model.manifest import digest

Mode = Literal["bundled", "pinned", "signed", "labelled"]
# Engines whose files run code when they are read.
RUNS_CODE = frozenset({"joblib"})


@dataclass(frozen=True, slots=True)
class Trust:
    """The deployment's word: a mode; with `pinned` the manifest digests as "name/version" → "sha256:…"; with `signed`
    the public keys as "ed25519:…".
    """

    mode: Mode = "bundled"
    pins: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    def check_manifest(
        self, artifact: str, manifest: bytes, *, labelled: str | None = None, signatures: bytes | None = None
    ) -> None:
        """Raise ArtifactUntrusted unless this deployment vouches for the manifest of `artifact` ("name/version").

        `labelled` is the digest that a label gives, which must hold in every mode; `signatures` is manifest.sig.
        """
        found = digest(manifest)
        if labelled is not None and labelled != found:
            raise ArtifactUntrusted(f"{artifact} is labelled with {labelled}, but its manifest has {found}")
        if self.mode == "pinned":
            self._check_pin(artifact, found)
        elif self.mode == "signed":
            self._check_signature(artifact, manifest, signatures)
        elif self.mode == "labelled" and labelled is None:
            raise ArtifactUntrusted(f"{artifact} has no label, and MODEL_TRUST=labelled serves labelled versions only")

    def check_engine(self, artifact: str, engine: str, *, remote: bool) -> None:
        """Raise ArtifactUntrusted when reading the engine's files would run code that only the store vouches for."""
        if engine not in RUNS_CODE:
            return
        if self.mode == "labelled":
            raise ArtifactUntrusted(f"{artifact} is a pickle, and MODEL_TRUST=labelled never reads one")
        if remote and self.mode == "bundled":
            raise ArtifactUntrusted(
                f"{artifact} is a pickle in a remote store, and reading it runs code: "
                "set MODEL_TRUST=pinned and its manifest's digest in MODEL_PINS, or MODEL_TRUST=signed"
            )

    def _check_pin(self, artifact: str, found: str) -> None:
        pinned = self.pins.get(artifact)
        if pinned is None:
            raise ArtifactUntrusted(f"{artifact} is not pinned in MODEL_PINS; its manifest has {found}")
        if pinned != found:
            raise ArtifactUntrusted(f"{artifact} is pinned to {pinned}, but its manifest has {found}")

    def _check_signature(self, artifact: str, manifest: bytes, signatures: bytes | None) -> None:
        if signatures is None:
            raise ArtifactUntrusted(f"{artifact} is not signed: it has no {signature.FILE}")
        if signature.verified(manifest, signature.parse(signatures), self.keys) is None:
            raise ArtifactUntrusted(f"{artifact} has no good signature by a key in MODEL_PUBLIC_KEYS")
