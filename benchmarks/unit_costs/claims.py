"""The cost of a session that comes to another gateway because its own has died."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from benchmarks.load.generator import Generator
from benchmarks.scale.costs import Cost
from benchmarks.unit_costs.account import Account, per_unit
from benchmarks.unit_costs.callers import calling, connected
from benchmarks.unit_costs.live import Size
from turngate.local.stack import Stack

#: Seconds until the connections of the gateway that died have ended, and until all is restored.
_SETTLING = 2.0


async def claim(generator: Generator, stack: Stack, redis: Redis, size: Size) -> Cost:
    """The cost of one session in the gateway that takes it up, with dial and restore, and in Redis; measured once. The
    stack has two gateways, and loses the first."""
    async with calling(generator, stack.gateway_urls[0], size.sessions) as callers:
        for caller in callers:
            await caller.exchanges.cycle(0.0, 0.02, 0.02)
        await asyncio.sleep(_SETTLING)
        stack.processes["gateway-1"].kill_permanently()
        await asyncio.sleep(_SETTLING)
        if any(caller.session.client is not None for caller in callers):
            raise RuntimeError("the gateway that was killed has connections")
        one = Account(stack, redis, without=["gateway-1"])
        await one.open()
        await connected(callers, stack.gateway_urls[1], [f"?resume={caller.handle}" for caller in callers])
        await asyncio.sleep(_SETTLING)
        spent = await one.close()
        if any(caller.session.upstream is None for caller in callers):
            raise RuntimeError("a session was not restored")
    return per_unit([(spent, size.sessions)])
