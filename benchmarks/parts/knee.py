"""How many sessions one core carries: the most at which 99 % of the frames still arrive within 20 ms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.arena import DIRECT, Arena, Subject
from benchmarks.load.generator import Generator, without_collections
from benchmarks.load.line import Line
from benchmarks.parts.talk import AudioSample, talk

#: In seconds: one frame.
LIMIT = 0.02
#: A number of sessions passes when so many of the tries do; others use this machine too.
_ENOUGH = 2


@dataclass(frozen=True)
class Knee:
    """The most sessions that passed. ``beyond``: none of those tried failed, so it is a lower bound."""

    sessions: int
    beyond: bool
    #: The generator's share of its core at that number: near 1 it was the generator that was full.
    generator_cpu: float


async def run(arena: Arena, candidates: Sequence[int], seconds: float, say: Callable[[str], None]) -> dict[str, Knee]:
    """Find it for everything that carries audio."""
    found = {}
    for subject in arena.subjects:
        if subject.name != DIRECT:
            knee = found[subject.name] = await find(arena.generator, subject, candidates, seconds)
            least = "at least " if knee.beyond else ""
            say(f"{subject.name}: {least}{knee.sessions} sessions (generator {knee.generator_cpu:.0%} of its core)")
    return found


async def find(generator: Generator, subject: Subject, candidates: Sequence[int], seconds: float) -> Knee:
    """Try some of these numbers of sessions, ascending; all of them are connected all the time."""
    samples: dict[int, AudioSample] = {}
    async with generator.open(candidates[-1], subject.url, subject.settings) as lines:

        async def holds(count: int) -> bool:
            return await _holds(lines[:count], subject, seconds, samples)

        index = await last_true(candidates, holds)
    if index < 0:
        return Knee(0, False, 0.0)
    count = candidates[index]
    return Knee(count, index == len(candidates) - 1, samples[count].usage.generator_share)


async def last_true(candidates: Sequence[int], holds: Callable[[int], Awaitable[bool]]) -> int:
    """The index of the last candidate that holds, -1 for none: bisection, as long as what holds for more holds for
    less."""
    low, high = -1, len(candidates)
    while high - low > 1:
        middle = (low + high) // 2
        if await holds(candidates[middle]):
            low = middle
        else:
            high = middle
    return low


async def _holds(lines: Sequence[Line], subject: Subject, seconds: float, samples: dict[int, AudioSample]) -> bool:
    passed = failed = 0
    while passed < _ENOUGH and failed < _ENOUGH:
        async with without_collections():
            sample = await talk(lines, subject, seconds)
        samples[len(lines)] = sample
        if sample.latency["p99"] <= LIMIT and not sample.lost:
            passed += 1
        else:
            failed += 1
    return passed == _ENOUGH
