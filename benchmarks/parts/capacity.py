"""The capacity part: the largest number of sessions on one core at which 99 % of the frames arrive within 20 ms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.environment import DIRECT, Environment, Subject
from benchmarks.load.generator import Generator, without_collections
from benchmarks.load.session import LoadSession
from benchmarks.parts.frame_latency import AudioSample, measure_sessions

#: The limit of p99 in seconds, the length of one frame.
LIMIT = 0.02
#: Number of successful tries required for a number of sessions, since other processes use the machine too.
_ENOUGH = 2


@dataclass(frozen=True)
class Capacity:
    """The largest number of sessions that passed. ``beyond``: it is a lower bound, since no candidate failed."""

    sessions: int
    beyond: bool
    #: The generator's share of its core at that number. Near 1, the generator was the bottleneck.
    generator_cpu: float


async def run(
    environment: Environment, candidates: Sequence[int], seconds: float, say: Callable[[str], None]
) -> dict[str, Capacity]:
    """Determine the capacity of every subject."""
    found = {}
    for subject in environment.subjects:
        if subject.name != DIRECT:
            capacity = found[subject.name] = await find(environment.generator, subject, candidates, seconds)
            least = "at least " if capacity.beyond else ""
            generator_cpu = f"generator {capacity.generator_cpu:.0%} of its core"
            say(f"{subject.name}: {least}{capacity.sessions} sessions ({generator_cpu})")
    return found


async def find(generator: Generator, subject: Subject, candidates: Sequence[int], seconds: float) -> Capacity:
    """Search the capacity among the ascending candidates. All sessions stay connected during the search."""
    samples: dict[int, AudioSample] = {}
    async with generator.open(candidates[-1], subject.url, subject.settings) as load_sessions:

        async def holds(count: int) -> bool:
            return await _holds(load_sessions[:count], subject, seconds, samples)

        index = await last_true(candidates, holds)
    if index < 0:
        return Capacity(0, False, 0.0)
    count = candidates[index]
    return Capacity(count, index == len(candidates) - 1, samples[count].usage.generator_share)


async def last_true(candidates: Sequence[int], holds: Callable[[int], Awaitable[bool]]) -> int:
    """The index of the last candidate for which ``holds`` is true, -1 for none. It searches by bisection, so ``holds``
    must be monotonic."""
    low, high = -1, len(candidates)
    while high - low > 1:
        middle = (low + high) // 2
        if await holds(candidates[middle]):
            low = middle
        else:
            high = middle
    return low


async def _holds(
    load_sessions: Sequence[LoadSession], subject: Subject, seconds: float, samples: dict[int, AudioSample]
) -> bool:
    passed = failed = 0
    while passed < _ENOUGH and failed < _ENOUGH:
        async with without_collections():
            sample = await measure_sessions(load_sessions, subject, seconds)
        samples[len(load_sessions)] = sample
        if sample.latency["p99"] <= LIMIT and not sample.lost:
            passed += 1
        else:
            failed += 1
    return passed == _ENOUGH
