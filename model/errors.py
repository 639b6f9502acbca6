"""Everything that can go wrong with a model, by whose fault it is.

ModelError
├── InvalidRows            the caller's: each fault names a location and what was expected there
├── TooLarge               the caller's: more bytes or rows than this service takes
├── UnknownModel           the caller's: no such model, or no such version of it
├── ArtifactError          the deployment's: the model is known but cannot answer
│   ├── ArtifactMissing        a file of the artifact is not in the store
│   ├── ArtifactCorrupt        the bytes are not the ones that were packed, or no longer give their golden answers
│   ├── ArtifactIncompatible   written by, or for, versions that are not installed here
│   ├── ArtifactUntrusted      nothing in this deployment vouches for the bytes
│   └── ArtifactUnavailable    the store did not answer in time, or refused
├── PredictionFailed       the estimator raised, or answered with something that is not a finite value
├── BulkError              a whole object of rows cannot be scored
│   ├── JobRefused             the job names a place or a format that is not allowed here
│   ├── InputMalformed         the object is not what its name says: header, columns, compression, one endless record
│   ├── InputMissing           there is no such object
│   ├── InputChanged           another version was written while this one was read
│   ├── AccessDenied           the store forbids reading the input or writing the output
│   ├── StoreUnavailable       the store is throttled, slow or does not answer
│   ├── OutOfTime              what is left of the call does not suffice
│   └── TooManyFailed          more ranges of the object failed than the deployment tolerates
├── PackingRefused         the packer's: the estimator file cannot become an artifact as it is
├── PublishingRefused      the publisher's: the version is taken, or a promotion would break what is live
└── LabelsMoved            the mover's: somebody else moved a label meanwhile

`retryable` tells whether the same call can succeed later without anybody changing anything.
No class knows an HTTP status: that table is the edge's (`handler/api.py`).
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the input: an RFC 6901 JSON pointer and what was expected there, never the value itself."""

    pointer: str
    detail: str


class ModelError(Exception):
    """Root of the tree; catch it where an entry point renders errors."""

    retryable: ClassVar[bool] = False


class InvalidRows(ModelError):
    """The rows do not fit the manifest; `faults` is never empty and is cut at a bound."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults))


class TooLarge(ModelError):
    """The request exceeds a limit; the message names the limit."""


class UnknownModel(ModelError):
    """No model, or no version of it, goes by that name."""


class ArtifactError(ModelError):
    """A known model cannot be served."""


class ArtifactMissing(ArtifactError):
    """A file that the artifact needs is not in the store; it may still be on its way there."""

    retryable = True


class ArtifactCorrupt(ArtifactError):
    """Bytes, manifest or golden answers differ from what was packed."""


class ArtifactIncompatible(ArtifactError):
    """The artifact needs another format or library version than is installed."""


class ArtifactUntrusted(ArtifactError):
    """The deployment does not vouch for these bytes, so they are not interpreted."""


class ArtifactUnavailable(ArtifactError):
    """The store is unreachable, slow or refuses access.

    `progress` says that some of what was asked has arrived and is kept: the next attempt has less to read.
    """

    retryable = True
    progress: bool = False


class PredictionFailed(ModelError):
    """The estimator could not answer rows that fit its manifest."""


class BulkError(ModelError):
    """An object of rows cannot be scored as a whole; single bad rows go to the error file instead."""


class JobRefused(BulkError):
    """The job's input, output or format is not allowed; the message says what is."""


class InputMalformed(BulkError):
    """The object cannot be read as rows; the message names the line, column or byte, never a value."""


class InputMissing(BulkError):
    """The object is not there, or no longer."""


class InputChanged(BulkError):
    """The object was overwritten between two reads of it."""

    retryable = True


class AccessDenied(BulkError):
    """The store refuses what the job needs; somebody has to grant it."""


class StoreUnavailable(BulkError):
    """The store answers with errors, asks to slow down, or not at all."""

    retryable = True


class OutOfTime(BulkError):
    """The object does not fit into what is left of this call, by its size and the measured pace."""

    retryable = True


class TooManyFailed(BulkError):
    """More ranges failed than are tolerated, so nothing is committed; what was scored waits for a redrive."""


class PackingRefused(ModelError):
    """The estimator cannot be packed as it is; the message says what to do."""


class PublishingRefused(ModelError):
    """An artifact is not published, promoted or pruned as asked; the message says what to do."""


class LabelsMoved(ModelError):
    """The label file was changed between reading and writing; nothing was written, look at it and decide again."""
