"""The cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """The whole cores that this process may use: those of its affinity, or fewer if its cgroup has a quota. At least
    one."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = quota_of(_read("/proc/self/cgroup") or "", lambda path: _read(_CGROUPS / path))
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def quota_of(membership: str, read: Callable[[str], str | None]) -> float | None:
    """The cores that a process may use by its cgroups and those above them; None for no limit.

    ``membership`` is its ``/proc/self/cgroup``; ``read`` returns the text of a file below ``/sys/fs/cgroup``, or None.
    """
    limits = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the path may be that of the host, which is not there: its own group is the root then.
        for folder in ("", *_upwards(path)):
            quota = _of_version_2(read, folder) if not controllers else _of_version_1(read, controllers, folder)
            if quota is not None:
                limits.append(quota)
    return min(limits, default=None)


def _upwards(path: str) -> list[str]:
    """This folder and those above it, but for the root; each with a slash at its end."""
    names = [name for name in path.split("/") if name and name != ".."]
    return ["/".join(names[:count]) + "/" for count in range(len(names), 0, -1)]


def _of_version_2(read: Callable[[str], str | None], folder: str) -> float | None:
    quota, _, period = (read(f"{folder}cpu.max") or "max").strip().partition(" ")
    return None if quota == "max" else float(quota) / float(period)


def _of_version_1(read: Callable[[str], str | None], controllers: str, folder: str) -> float | None:
    for mount in dict.fromkeys((controllers, "cpu,cpuacct", "cpu")):
        quota = read(f"{mount}/{folder}cpu.cfs_quota_us")
        period = read(f"{mount}/{folder}cpu.cfs_period_us")
        if quota is not None and period is not None:
            return None if float(quota) <= 0 else float(quota) / float(period)
    return None


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
