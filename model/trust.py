"""Who vouches for bytes before they are interpreted. Unpickling runs code, so this is asked first. Pure.

bundled  what lies in the deployment itself (a layer, a folder) is trusted as deployed; says nothing of a remote store
pinned   the deployment carries the digest of each manifest that it may serve
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from model.errors import ArtifactUntrusted

Mode = Literal["bundled", "pinned"]
# Engines whose files run code when they are read.
RUNS_CODE = frozenset({"joblib"})


@dataclass(frozen=True, slots=True)
class Trust:
    """The deployment's word: a mode, and with `pinned` the manifest digests as "name/version" → "sha256:…"."""

    mode: Mode = "bundled"
    pins: Mapping[str, str] = field(default_factory=dict)

    def check_manifest(self, artifact: str, digest: str) -> None:
        """Raise ArtifactUntrusted when pins are the rule and `artifact` ("name/version") is not pinned to `digest`."""
        if self.mode != "pinned":
            return
        pinned = self.pins.get(artifact)
        if pinned is None:
            raise ArtifactUntrusted(f"{artifact} is not pinned in MODEL_PINS; its manifest has {digest}")
        if pinned != digest:
            raise ArtifactUntrusted(f"{artifact} is pinned to {pinned}, but its manifest has {digest}")

    def check_engine(self, artifact: str, engine: str, *, remote: bool) -> None:
        """Raise ArtifactUntrusted when reading the engine's files would run code that only the store vouches for."""
        if remote and engine in RUNS_CODE and self.mode != "pinned":
            raise ArtifactUntrusted(
                f"{artifact} is a pickle in a remote store, and reading it runs code: "
                "set MODEL_TRUST=pinned and its manifest's digest in MODEL_PINS"
            )
