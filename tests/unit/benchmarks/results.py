"""Results of a run, made up."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.load.exchange import EXCHANGES
from benchmarks.machine import Cores
from benchmarks.parts.control import BARE, ControlSample
from benchmarks.parts.frame_latency import AudioSample
from benchmarks.plan import Plan
from benchmarks.run import Results
from benchmarks.usage import Usage


def results() -> Results:
    """Of a run that measured nothing."""
    return Results(Plan(), Cores(frozenset({0}), frozenset({1})))


def audio(cost: float, p99: float, *, kernel: float = 0.5, busy: float = 0.5) -> AudioSample:
    """``cost`` is in CPU seconds per pair, ``p99`` in seconds; the subject used ``busy`` of a core, of which the kernel
    used ``kernel``."""
    latency = {"p50": p99 / 2, "p99": p99, "p99.9": p99 * 2}
    usage = Usage(2.0, {"gateway": 2.0 * busy}, 0.5, 2.0, kernel=2.0 * busy * kernel)
    return AudioSample(latency, latency, cost, 0, (0.0, 0.0), usage)


def control(p99: Mapping[str, float], *, busy: float = 0.5) -> ControlSample:
    """``p99`` of each exchange, in seconds; 10 ms if it is not given."""
    latency = {name: (0.005, p99.get(name, 0.01)) for name in (BARE, *EXCHANGES)}
    return ControlSample(latency, 100, 0, Usage(2.0, {"gateway": 2.0 * busy}, 0.5, 2.0))
