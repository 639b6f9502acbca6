"""Compare-and-swap of a file: a lock file, then a rename. Build time only.

The lock is the kernel's (flock): it ends with the process that holds it, so one that is killed locks nobody out. The
lock file itself stays, hidden; to delete it would let two processes lock two files of one name.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import LabelsMoved

WAIT_SECONDS = 10.0
_PAUSE = 0.02


def swap(path: Path, expected: bytes | None, content: bytes, wait: float = WAIT_SECONDS) -> bool:
    """Replace the file's content, whole or not at all, if it is `expected` (None: no file); tell whether it was.

    Raises LabelsMoved when another process holds the lock for longer than `wait` seconds, OSError as files do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(f".{path.name}.lock"), wait):
        if (path.read_bytes() if path.exists() else None) != expected:
            return False
        _replace(path, content)
    return True


def _replace(path: Path, content: bytes) -> None:
    # Hidden: what a killed process leaves behind is no file of the store.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as scratch:
        try:
            scratch.write(content)
            scratch.flush()
            os.fsync(scratch.fileno())
            os.fchmod(scratch.fileno(), 0o644)
            Path(scratch.name).replace(path)
        except BaseException:
            Path(scratch.name).unlink(missing_ok=True)
            raise


@contextmanager
def _locked(path: Path, wait: float) -> Iterator[None]:
    deadline = time.monotonic() + wait
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LabelsMoved("another process has been writing here for too long: try again") from None
                time.sleep(_PAUSE)
        yield
