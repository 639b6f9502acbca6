"""An artifact goes into a store, its manifest last: until then it is no version. Build time only.

Claim, upload what is not there yet, sign, look at the claim once more, put the manifest where there is none. Killed
anywhere, the same call ends it: a file that is there is read back, and sent again only if its sha256 is another.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from model import claim, label_file, manifest, moves, signature
from model.artifact import verified
from model.claim import Claim
from model.errors import ArtifactCorrupt, LabelsMoved, PublishingRefused
from model.label_file import Mover
from model.labels import Target
from model.manifest import Manifest, digest
from model.shelf import Shelf, read_if_there
from model.store import Store

if TYPE_CHECKING:
    from nacl.signing import SigningKey

FILES_AT_ONCE = 4
Progress = Callable[[str, int, int], None]
"""Told of a file, its size, and the bytes that were sent of it, or were there already, since the last time."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was done: `sent` is the bytes of files that went over the wire, `new` whether the version is."""

    manifest: Manifest
    digest: str
    sent: int
    new: bool
    signed_by: str | None = None


def _untold(_file: str, _size: int, _sent: int) -> None:
    return None


def publish(
    source: Store,
    name: str,
    version: str,
    shelf: Shelf,
    mover: Mover,
    *,
    key: "SigningKey | None" = None,
    progress: Progress = _untold,
) -> Published:
    """Copy `name/version` of `source` to `shelf`; the same bytes again do nothing.

    Raises PublishingRefused when the version is another's, LabelsMoved, or the ArtifactError of either store.
    """
    artifact = f"{name}/{version}"
    content = source.read(f"{artifact}/{manifest.FILE}")
    found = manifest.parse(content)
    if (found.name, found.version) != (name, version):
        raise ArtifactCorrupt(f"the manifest in {artifact} is of {found.name}/{found.version}")
    files = {file: verified(source, found, file) for file in found.digests}
    shelf.prepare()
    there = _there(shelf, artifact, content)
    if not there:
        keep_live(shelf, name, version, mover)
        claim.take(shelf, artifact, Claim(digest(content), mover.by, mover.at))
    sent = _upload(shelf, artifact, files, progress, whole=there)
    signed_by = _sign(shelf, artifact, content, key) if key is not None else None
    if not there:
        claim.check(artifact, shelf.hold(f"{artifact}/{claim.FILE}"), digest(content))
        if not shelf.create(f"{artifact}/{manifest.FILE}", content):
            raise PublishingRefused(f"{artifact} was published by somebody else meanwhile, with other bytes")
    return Published(found, digest(content), sent, not there, signed_by)


def _there(shelf: Shelf, artifact: str, content: bytes) -> bool:
    """Tell whether this manifest is published; raises PublishingRefused when another is, or was and has been pruned."""
    published = read_if_there(shelf, f"{artifact}/{manifest.FILE}")
    if published is not None and published != content:
        owner = claim.claimed(shelf, artifact)
        by = f" by {owner.by} on {owner.at}" if owner else ""
        raise PublishingRefused(
            f"{artifact} was published{by} with other bytes ({digest(published)}), and versions are immutable: "
            "pack the next version"
        )
    return published is not None


def keep_live(shelf: Shelf, name: str, version: str, mover: Mover) -> None:
    """Put the live label on the only version before a second one comes: without a label the two would be ambiguous."""
    reading = label_file.read(shelf, name)
    line = moves.pruned(reading.labels, version)
    if line is not None:
        raise PublishingRefused(
            f"{name}/{version} was pruned by {line.by} on {line.at}, and its number is not used again: pack the next"
        )
    versions = tuple(v for v in shelf.versions(name) if v != version)
    if reading.labels.live is not None or len(versions) != 1:
        return
    target = Target(versions[0], digest(shelf.read(f"{name}/{versions[0]}/{manifest.FILE}")))
    try:
        label_file.write(shelf, reading, moves.move(reading.labels, "live", target, at=mover.at, by=mover.by))
    except LabelsMoved:
        if label_file.read(shelf, name).labels.live is None:
            raise


def _upload(shelf: Shelf, artifact: str, files: Mapping[str, bytes], progress: Progress, *, whole: bool) -> int:
    """Send the files that are not there, several at once; return the bytes sent.

    Of a version that is whole the sizes are looked at, of an unfinished one the bytes.
    """
    sizes = {entry.key: entry.size for entry in shelf.entries(f"{artifact}/")}

    def one(file: str) -> int:
        key, content = f"{artifact}/{file}", files[file]
        if sizes.get(key) == len(content) and (whole or read_if_there(shelf, key) == content):
            progress(file, len(content), len(content))
            return 0
        shelf.upload(key, content, lambda sent: progress(file, len(content), sent))
        return len(content)

    pool = ThreadPoolExecutor(FILES_AT_ONCE)
    try:
        finished, _ = wait([pool.submit(one, file) for file in files], return_when=FIRST_EXCEPTION)
        return sum(future.result() for future in finished)
    finally:
        pool.shutdown(cancel_futures=True)


def _sign(shelf: Shelf, artifact: str, content: bytes, key: "SigningKey") -> str:
    """Add the key's signature beside the manifest, unless it is there."""
    from model import keys  # noqa: PLC0415  -- imports libsodium

    new = keys.sign(key, content)
    for _ in range(3):
        held = shelf.hold(f"{artifact}/{signature.FILE}")
        before = signature.parse(held.content) if held.content is not None else signature.Signatures()
        if new in before.signatures:
            return new.key
        others = tuple(found for found in before.signatures if found.key != new.key)
        if shelf.swap(f"{artifact}/{signature.FILE}", held, signature.dump(replace(before, signatures=(*others, new)))):
            return new.key
    raise PublishingRefused(f"{artifact} is being signed by others at the same time: try again")
