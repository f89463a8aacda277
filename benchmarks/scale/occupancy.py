"""How many calls each Redis server has before, during and after the loss of one: calls begin and end, no more."""

from __future__ import annotations

import random
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from benchmarks.scale.calls import Calls
from benchmarks.scale.placement import placed


def occupancy(
    calls: Calls, sessions: int, names: Sequence[str], away: float, seconds: float, step: float, seed: int = 1
) -> list[list[int]]:
    """The number of calls at each server, at every ``step`` seconds from the loss of the first server on, which comes
    back after ``away`` seconds. A call stays where it began; lengths are exponential."""
    draw = random.Random(seed)
    server_of = {name: number for number, name in enumerate(names)}
    made, counts = 0, [0] * len(names)
    ends: list[tuple[float, int]] = []

    def begin(now: float, up: Sequence[str]) -> tuple[float, int]:
        nonlocal made
        made += 1
        server = server_of[placed(f"call-{seed}-{made}", up)]
        counts[server] += 1
        return now + draw.expovariate(1 / calls.length), server

    ends = [begin(0.0, names) for _ in range(sessions)]
    heapify(ends)
    found: list[list[int]] = []
    while len(found) * step <= seconds:
        now, server = ends[0]
        if now >= len(found) * step:
            found.append([*counts])
            continue
        heappop(ends)
        counts[server] -= 1
        heappush(ends, begin(now, names[1:] if now < away else names))
    return found
