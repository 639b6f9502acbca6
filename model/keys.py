"""The keys that sign manifests: made, written to a file, read from it. Build time only.

FILE holds the secret key, "ed25519-secret:" and base64, readable by its owner alone; FILE.pub the public one.
"""

import base64
import os
import stat
from pathlib import Path

from nacl.signing import SigningKey

from model.errors import PublishingRefused
from model.signature import CONTEXT, KEY_BYTES, PREFIX, Signature

SECRET_PREFIX = "ed25519-secret:"  # noqa: S105  -- the mark of one, not one


def generate(file: Path) -> str:
    """Write a new key pair to `file` and `file`.pub, and return the public key; raises PublishingRefused."""
    public_file = file.with_name(f"{file.name}.pub")
    if file.exists() or public_file.exists():
        raise PublishingRefused(f"{file} or {public_file.name} exists, and a key is never overwritten")
    key = SigningKey.generate()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as secret:
        secret.write(SECRET_PREFIX + base64.b64encode(bytes(key)).decode() + "\n")
    public_file.write_text(public(key) + "\n")
    return public(key)


def read(file: Path) -> SigningKey:
    """Read a secret key; raises PublishingRefused when it is none, or others may read it."""
    try:
        mode, text = file.stat().st_mode, file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PublishingRefused(f"{file} cannot be read as a key: {type(error).__name__}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise PublishingRefused(f"{file} can be read by others: chmod 600 {file}")
    try:
        seed = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        seed = b""
    if not text.startswith(SECRET_PREFIX) or len(seed) != KEY_BYTES:
        raise PublishingRefused(f"{file} is no secret key: `python -m model keygen FILE` makes one")
    return SigningKey(seed)


def public(key: SigningKey) -> str:
    """Return the public key as MODEL_PUBLIC_KEYS takes it."""
    return PREFIX + base64.b64encode(bytes(key.verify_key)).decode()


def sign(key: SigningKey, manifest: bytes) -> Signature:
    """Return the signature of a manifest's bytes."""
    return Signature(public(key), base64.b64encode(key.sign(CONTEXT + manifest).signature).decode())
