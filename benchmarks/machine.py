"""The machine: assignment of cores, and a description for the report."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("websockets", "uvloop", "faststream", "redis", "orjson", "pybase64", "picows")


@dataclass(frozen=True)
class Cores:
    """The cores of the system under test (the first) and of the load generator (the last). They may be the same."""

    test: frozenset[int]
    load: frozenset[int]
    #: All that may be used.
    every: frozenset[int] = frozenset()

    @contextmanager
    def under_test(self) -> Iterator[None]:
        """Processes started in this context run on the cores of the system under test."""
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.test)
        try:
            yield
        finally:
            os.sched_setaffinity(0, mine)

    @property
    def shared(self) -> bool:
        return self.test == self.load


def divide() -> Cores:
    """Divide the cores of this process, and move it to the cores of the load generator."""
    mine = sorted(os.sched_getaffinity(0))
    cores = Cores(frozenset(mine[:1]), frozenset(mine[-1:]), frozenset(mine))
    os.sched_setaffinity(0, cores.load)
    return cores


def description() -> dict[str, str]:
    """The machine, library versions and commit, for the report."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}",
        "Python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "commit": _commit(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (
            " with uncommitted changes" if git("status", "--porcelain") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
