"""SnapStart: what is done before a snapshot is taken and after one is restored, where the function is built for it.

Before: all that a first request would wait for. After: what must not be the same in two environments of one snapshot,
and what has grown old since. The hooks are the runtime's (`snapshot_restore_py`); both together have 10 s.
"""

import os
import random
from collections.abc import Callable

from handler.runtime import Runtime, credentials
from handler.settings import Settings


def register(runtime: Runtime, *warm: Callable[[], object]) -> None:
    """Register the hooks when Lambda takes a snapshot of this environment; `warm` is called before it."""
    if not runtime.settings.snap_start:
        return
    from snapshot_restore_py import register_after_restore, register_before_snapshot  # noqa: PLC0415

    register_before_snapshot(before, runtime, warm)
    register_after_restore(after, runtime)


def before(runtime: Runtime, warm: tuple[Callable[[], object], ...] = ()) -> None:
    """Load what is not loaded, import what is not imported, and close every connection: none outlives the snapshot."""
    runtime.registry.warm()
    for call in warm:
        call()
    runtime.store.drop()


def after(runtime: Runtime) -> None:
    """Be an environment of one's own: another seed, the credentials of now, and the labels of now."""
    random.seed()
    runtime.store.drop(credentials(Settings.from_env(os.environ)))
    runtime.registry.look_again()
