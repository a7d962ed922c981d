"""Available memory, for in-memory data and for models."""

from __future__ import annotations

import os
from pathlib import Path

from ptheta.errors import PthetaError

try:
    import resource
except ImportError:  # a system without process limits
    resource = None  # type: ignore[assignment]

# memory limit and usage of a container, by the two versions of control groups
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def room() -> int | None:
    """Bytes that this process can still allocate: the minimum over the machine, its container and
    its own limit; None if unknown.
    """
    limits = [_machine(), _own_limit(), *(_container(*files) for files in GROUPS)]
    return min((n for n in limits if n is not None), default=None)


def check(needed: int, what: str) -> None:
    """Raise PthetaError if `what` needs more memory than is available. needed: bytes"""
    free = room()
    if free is not None and needed > free:
        raise PthetaError(
            f"{what} claims to hold {needed:,} bytes, and memory has room for {free:,}: give fewer "
            "or smaller images, or a .npy file or a folder, which are not held in memory"
        )


def _machine() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _own_limit() -> int | None:
    """Bytes left by the limit of the address space (`ulimit -v`)."""
    if resource is None:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    used = _lines("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not used:
        return None
    return max(0, limit - int(used[0].split()[0]) * os.sysconf("SC_PAGE_SIZE"))


def _container(most: str, now: str) -> int | None:
    limit, used = _lines(most), _lines(now)
    if not limit or not used or not (limit[0].isdecimal() and used[0].isdecimal()):
        return None
    return max(0, int(limit[0]) - int(used[0]))


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
