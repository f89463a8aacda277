"""Who used the machine during a measurement: the subject, the generator, and everybody else."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.load.line import clock
from benchmarks.processes import cpu_seconds, machine_busy_seconds


@dataclass(frozen=True)
class Usage:
    """CPU seconds, and how long the measurement took."""

    seconds: float
    #: By kind of process: ``gateway``, ``translator``, ``session-state``, ``broker``; ``relay``.
    by_kind: Mapping[str, float]
    generator: float
    machine: float

    @property
    def subject(self) -> float:
        """All of the subject's processes."""
        return sum(self.by_kind.values())

    @property
    def generator_share(self) -> float:
        """Of one core."""
        return self.generator / self.seconds

    @property
    def foreign(self) -> float:
        """What neither the subject nor the generator used, as a share of one core: what makes a measurement noisy."""
        return max(0.0, self.machine - self.subject - self.generator) / self.seconds


class Meter:
    """Starts now; `read` it when the measurement ends. The subject's processes must live until then."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        """``processes``: process ids by name, such as ``translator-1``."""
        self._processes = processes
        self._began = self._now()

    def read(self) -> Usage:
        now = self._now()
        seconds, generator, machine = (after - before for before, after in zip(self._began[0], now[0], strict=True))
        by_kind: dict[str, float] = defaultdict(float)
        for name, spent in now[1].items():
            by_kind[name.rstrip("-0123456789")] += spent - self._began[1][name]
        return Usage(seconds, by_kind, generator, machine)

    def _now(self) -> tuple[tuple[float, float, float], dict[str, float]]:
        spent = {name: cpu_seconds(pid) for name, pid in self._processes.items()}
        return (clock(), time.process_time(), machine_busy_seconds()), spent
