"""One client that sends as much as it can, on both engines: it is told, its session ends, and the others lose nothing.

How much later the audio of the others comes is measured by the benchmark (`benchmarks.parts.flood`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from benchmarks.environment import settings, turngate
from benchmarks.load.flood import FLOODS, Met, flooded
from benchmarks.load.frames import UPSTREAM_RATE
from benchmarks.load.generator import Generator
from benchmarks.load.pacing import Pacer
from benchmarks.machine import Cores
from benchmarks.parts.frame_latency import download, drained, upload
from benchmarks.processes import resident_bytes
from gateway.sockets.engines import ENGINES
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEIGHBOURS = 3
#: Frames that each neighbour sends during a flood, 20 ms each; ``make attack`` takes more.
HEARD = int(os.environ.get("ATTACK_FRAMES", "60"))
PATIENCE_SECONDS = 60
#: What the memory of a gateway may grow by.
MAY_COST = 96 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=sorted(ENGINES))
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Generator, Stack]]:
    env = {"TURNGATE_SOCKET_ENGINE": request.param}
    here = frozenset(os.sched_getaffinity(0))
    async with Generator() as generator, turngate(generator.url, Cores(here, here), translators=1, env=env) as stack:
        yield generator, stack


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood(scene: tuple[Generator, Stack], kind: str) -> None:
    generator, stack = scene
    flood, met = FLOODS[kind], Met()
    pid = stack.processes["gateway-1"].pid
    assert pid is not None
    async with generator.open(NEIGHBOURS, stack.gateway_url, settings()) as neighbours:
        before, cost = resident_bytes(pid), 0
        pacer = Pacer(
            [send for one in neighbours for send in (upload(one, UPSTREAM_RATE), download(one, UPSTREAM_RATE))]
        )
        pacer.start()
        try:
            async with flooded(kind, stack.gateway_url, met), asyncio.timeout(PATIENCE_SECONDS):
                while min(min(one.up.sent, one.down.sent) for one in neighbours) < HEARD or not met.closed:
                    await asyncio.sleep(0.02)
                    cost = max(cost, resident_bytes(pid) - before)
        finally:
            pacer.stop()
        print(f"{met}; memory {cost / 1024:+.0f} KiB")
        assert await drained(neighbours) == 0
        assert all(one.client and one.upstream for one in neighbours)
    assert cost < MAY_COST
    if flood.code is not None:
        assert met.codes[flood.code] >= 1
    assert set(met.closed) == {flood.closed}
