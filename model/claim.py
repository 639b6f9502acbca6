"""Whose version it is: publisher.json, written before any other file of a version. Build time only.

It holds the digest of the manifest to come, so that of two publishers one is refused before a byte of the other's is
overwritten, and the same publisher goes on where it was. It stays: it says who published, and when that began.
"""

import msgspec

from model.errors import ArtifactCorrupt, PublishingRefused
from model.shelf import Held, Shelf

FILE = "publisher.json"
FORMAT = 1
# In place of a digest: what was never finished is being deleted.
PRUNING = "pruning"


class Claim(msgspec.Struct, frozen=True):
    """`manifest` is the digest of the manifest that makes it a version; `at` in RFC 3339 UTC."""

    manifest: str
    by: str
    at: str
    format: int = FORMAT


def parse(content: bytes) -> Claim:
    """Return the claim in `content`; raises ArtifactCorrupt."""
    try:
        return msgspec.json.decode(content, type=Claim)
    except msgspec.MsgspecError as error:
        raise ArtifactCorrupt(f"not a claim: {error}") from None


def take(shelf: Shelf, artifact: str, claim: Claim) -> None:
    """Claim `artifact` ("name/version"), or renew the claim; raises PublishingRefused when it is another's."""
    held = shelf.hold(f"{artifact}/{FILE}")
    if held.content is not None:
        check(artifact, held, claim.manifest)
    if not shelf.swap(f"{artifact}/{FILE}", held, msgspec.json.encode(claim) + b"\n"):
        # Somebody was here in between: with the same bytes both may go on.
        check(artifact, shelf.hold(f"{artifact}/{FILE}"), claim.manifest)


def check(artifact: str, held: Held, manifest: str) -> None:
    """Raise PublishingRefused unless the claim held is on `manifest`."""
    if held.content is None:
        raise PublishingRefused(f"{artifact} was pruned while it was being published: publish it again")
    found = parse(held.content)
    if found.manifest == PRUNING:
        raise PublishingRefused(f"{artifact} is being pruned by {found.by}: try again when that has ended")
    if found.manifest != manifest:
        raise PublishingRefused(
            f"{artifact} is taken: {found.by} has been publishing other bytes under it since {found.at}. "
            "Versions are immutable: choose another, or prune what was never finished"
        )


def claimed(shelf: Shelf, artifact: str) -> Claim | None:
    """Return who claimed a version, None where nobody did."""
    content = shelf.hold(f"{artifact}/{FILE}").content
    return parse(content) if content is not None else None
