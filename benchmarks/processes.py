"""Resource usage of processes, read from the kernel: CPU time, memory, file descriptors."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process since its start, user and system, of all threads."""
    # The CPU clock of another process (see clock_getcpuclockid), which is exact; /proc has a resolution of 10 ms.
    return time.clock_gettime((~pid << 3) | 2)


def kernel_seconds(pid: int) -> float:
    """The part of a process's CPU time that the kernel used, in steps of 10 ms."""
    # Its name, in parentheses, may contain spaces; the rest of the fields begin at the third.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[12]) * _TICK


def resident_bytes(pid: int) -> int:
    """The resident memory of a process, including shared memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"process {pid} has no memory: it has ended")


def resident_by_kind(processes: Mapping[str, int]) -> dict[str, int]:
    """The resident memory of processes, by kind. ``processes``: process ids by name, such as ``translator-1``."""
    found: dict[str, int] = {}
    for name, pid in processes.items():
        kind = name.rstrip("-0123456789")
        found[kind] = found.get(kind, 0) + resident_bytes(pid)
    return found


def open_files(pid: int) -> int:
    """The number of open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def machine_busy_seconds() -> float:
    """The CPU time used on all cores of the machine, including time stolen by its host."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * _TICK


def pin(pid: int, cores: Iterable[int]) -> None:
    """Restrict a process, with all its threads, to these cores."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cores)


def allow_open_files(count: int) -> None:
    """Raise the limit of open files of this process and its children to ``count``. Raises OSError if not permitted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise OSError(f"{count} file descriptors are needed, and this user may have {hard}: raise `ulimit -n`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
