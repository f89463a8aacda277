"""The flood part: how much later the audio of others comes while one client sends as much as it can."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.environment import RESAMPLED, Environment, settings
from benchmarks.load.flood import FLOODS, Met, flooded
from benchmarks.load.generator import without_collections
from benchmarks.parts.frame_latency import AudioSample, measure_sessions
from benchmarks.percentiles import median

#: Sessions whose audio is measured.
SESSIONS = 20

#: The p99 of a frame with the flood, divided by that without it, by flood and round.
Samples = Mapping[str, Sequence[float]]


async def run(environment: Environment, rounds: int, seconds: float, say: Callable[[str], None]) -> Samples:
    """Measure every flood in every round, each right after a measurement without one."""
    found: dict[str, list[float]] = {kind: [] for kind in FLOODS}
    for _ in range(rounds):
        for kind, ratios in found.items():
            met = Met()
            without = await _measure(environment, seconds)
            async with flooded(kind, environment.stack.gateway_url, met):
                during = await _measure(environment, seconds)
            ratios.append(during.latency["p99"] / without.latency["p99"])
            say(
                f"{kind}: p99 {during.latency['p99'] * 1e3:.1f} ms, × {ratios[-1]:.2f}; {met.connections} connections, "
                f"{met.sent:,} messages"
            )
    return found


#: The floods that the target is about.
_TARGETS = ("KeepAlive", "texts of 1 MB")


def worst(samples: Samples) -> float | None:
    """The largest ratio of the floods that the target is about."""
    return max((median(samples[kind]) for kind in _TARGETS if samples.get(kind)), default=None)


async def _measure(environment: Environment, seconds: float) -> AudioSample:
    subject = next(one for one in environment.subjects if one.name == RESAMPLED)
    async with environment.generator.open(SESSIONS, subject.url, settings(16_000)) as sessions, without_collections():
        return await measure_sessions(sessions, subject, seconds)
