"""The services in this process, without their HTTP, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from turngate.process.service import Service
from turngate.process.tasks import end
from turngate.protocol.messages import ClientEvent, Slot, TurnRecord

PATIENCE_SECONDS = 30


@asynccontextmanager
async def working(service: Service) -> AsyncIterator[Redis]:
    """The service at work; its connection for looking at the server."""
    await service.bus.start()
    works = [service.bus.watch, *service.background.values()]
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        yield service.bus.redis
    finally:
        await end(tasks)
        await service.bus.stop()
        await service.bus.close()


def client_event(seq: int, gateway: str = "g", **message: Any) -> ClientEvent:
    turn = TurnRecord(session="s", gateway=gateway, version=seq, slot=Slot.UNCONFIGURED, last_seq=seq)
    return ClientEvent(session="s", gateway=gateway, seq=seq, message=message, turn=turn)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What the condition says once it says something."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await condition()):
            # The time-out's cancellation can be lost in the condition: see `turngate.process.tasks.end`.
            assert loop.time() < deadline, "it never came"
            await asyncio.sleep(0)
    return found
