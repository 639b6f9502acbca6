"""Hold a process to a share of a CPU, as Lambda holds a function to the share that its memory buys. Linux, as root."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PERIOD = 100_000
"""Microseconds over which the kernel counts the share: its default."""


class QuotaUnavailable(Exception):
    """This machine lets us set no CPU quota; the text says why."""


def _group_v1(mount: Path, name: str, quota: int) -> Path:
    group = mount / name
    group.mkdir()
    (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
    (group / "cpu.cfs_quota_us").write_text(str(quota))
    return group


def _group_v2(mount: Path, name: str, quota: int) -> Path:
    (mount / "cgroup.subtree_control").write_text("+cpu")
    group = mount / name
    group.mkdir()
    (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
    return group


@contextmanager
def cpu_quota(vcpus: float) -> Iterator[Path]:
    """Yield the file that takes the id of a process to hold to `vcpus`. Raises QuotaUnavailable."""
    name, quota = f"emulator-{os.getpid()}-{time.monotonic_ns()}", int(vcpus * _PERIOD)
    version1 = next(
        (mount for mount in map(Path, ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct")) if mount.exists()), None
    )
    try:
        group = _group_v1(version1, name, quota) if version1 else _group_v2(Path("/sys/fs/cgroup"), name, quota)
    except OSError as error:
        raise QuotaUnavailable(f"no CPU quota of {vcpus} vCPUs on this machine: {error}") from error
    try:
        yield group / "cgroup.procs"
    finally:
        for _ in range(50):  # the kernel lets the last process go a moment after it ended
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.02)
