"""CPU usage during a measurement: by the subject, the generator, and other processes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.load.session import clock
from benchmarks.processes import cpu_seconds, kernel_seconds, machine_busy_seconds


@dataclass(frozen=True)
class Usage:
    """CPU seconds and the duration of a measurement."""

    seconds: float
    #: CPU seconds by kind of process: ``gateway``, ``translator``, ``session-state``, ``broker``, ``relay``.
    by_kind: Mapping[str, float]
    generator: float
    machine: float
    #: The part of the subject's that the kernel used.
    kernel: float = 0.0

    @property
    def subject(self) -> float:
        """CPU seconds of all processes of the subject."""
        return sum(self.by_kind.values())

    @property
    def kernel_share(self) -> float:
        """The kernel's share of the subject's CPU time."""
        return self.kernel / self.subject if self.subject else 0.0

    @property
    def generator_share(self) -> float:
        """The generator's share of one core."""
        return self.generator / self.seconds

    @property
    def foreign(self) -> float:
        """The share of one core used by processes other than the subject and the generator."""
        return max(0.0, self.machine - self.subject - self.generator) / self.seconds


class Meter:
    """Starts when created; call `read` at the end of the measurement. The subject's processes must run until then."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        """``processes``: process ids by name, such as ``translator-1``."""
        self._processes = processes
        self._kernel = self._in_kernel()
        self._began = self._now()

    def read(self) -> Usage:
        now, kernel = self._now(), self._in_kernel()
        seconds, generator, machine = (after - before for before, after in zip(self._began[0], now[0], strict=True))
        by_kind: dict[str, float] = defaultdict(float)
        for name, spent in now[1].items():
            by_kind[name.rstrip("-0123456789")] += spent - self._began[1][name]
        return Usage(seconds, by_kind, generator, machine, kernel - self._kernel)

    def _in_kernel(self) -> float:
        return sum(kernel_seconds(pid) for pid in self._processes.values())

    def _now(self) -> tuple[tuple[float, float, float], dict[str, float]]:
        spent = {name: cpu_seconds(pid) for name, pid in self._processes.items()}
        return (clock(), time.process_time(), machine_busy_seconds()), spent
