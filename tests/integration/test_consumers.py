"""Consumers on a real broker: a backlog is read, a lost group is noticed and made anew, and nothing is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import orjson
import pytest
from redis.asyncio import Redis

from turngate.bus.broker import Consumers, connect, make_broker, require_redis, subscribe
from turngate.process.settings import BrokerSettings, SettingsError, load
from turngate.process.tasks import end

STREAM, GROUP = "turngate.test", "testers"
FOREVER = 3_600.0


class Bench:
    """A consumer that keeps what it got."""

    def __init__(self, url: str, watch_interval: float) -> None:
        self.settings = load(BrokerSettings, redis_url=url)
        self.redis: Redis = connect(self.settings)
        self.broker = make_broker(self.settings)
        self.got: asyncio.Queue[str] = asyncio.Queue()
        subscribe(self.broker, STREAM, GROUP, self._take, records=8)
        self.consumers = Consumers(self.broker, self.redis, [(STREAM, GROUP)], watch_interval=watch_interval)

    async def _take(self, bodies: list[bytes]) -> None:
        for body in bodies:
            self.got.put_nowait(orjson.loads(body)["text"])

    async def add(self, text: str) -> None:
        await self.redis.xadd(STREAM, {"text": text})

    async def next(self) -> str:
        async with asyncio.timeout(30):
            return await self.got.get()


@pytest.fixture
async def make(broker_url: str) -> AsyncIterator[Callable[[float], Awaitable[Bench]]]:
    made: list[Bench] = []

    async def one(watch_interval: float) -> Bench:
        bench = Bench(broker_url, watch_interval)
        made.append(bench)
        return bench

    yield one
    for bench in made:
        await bench.consumers.stop()
        await bench.redis.aclose()


async def test_what_was_published_before_the_first_start_is_read(make: Callable[[float], Awaitable[Bench]]) -> None:
    bench = await make(FOREVER)
    await bench.add("early")
    await bench.consumers.start()
    assert await bench.next() == "early"
    assert await bench.consumers.ready()


async def test_dead_consumers_are_not_alive_although_the_server_answers(
    make: Callable[[float], Awaitable[Bench]],
) -> None:
    bench = await make(FOREVER)
    await bench.consumers.start()
    assert bench.consumers.alive()
    await bench.redis.flushall()
    async with asyncio.timeout(30):
        # Some servers end the blocked read in two steps, with a new try in between.
        while bench.broker.subscribers[0].running:
            await asyncio.sleep(0)
    assert await bench.redis.ping()
    assert not bench.consumers.alive()
    assert not await bench.consumers.ready()


async def test_a_lost_group_is_made_anew_and_nothing_is_skipped(make: Callable[[float], Awaitable[Bench]]) -> None:
    bench = await make(0.01)
    await bench.consumers.start()
    watching = asyncio.ensure_future(bench.consumers.watch())
    await bench.add("before")
    assert await bench.next() == "before"
    async with bench.redis.pipeline(transaction=True) as both:
        both.flushall()
        both.xadd(STREAM, {"text": "in the gap"})
        await both.execute()
    assert await bench.next() == "in the gap"
    async with asyncio.timeout(30):
        while not await bench.consumers.ready():
            await asyncio.sleep(0)
    await end([watching])


async def test_a_server_that_does_not_answer_is_named(make: Callable[[float], Awaitable[Bench]]) -> None:
    nowhere = load(BrokerSettings, redis_url="redis://127.0.0.1:1/0")
    redis = connect(nowhere)
    with pytest.raises(SettingsError, match=r"TURNGATE_REDIS_URL: no Redis answers at redis://127\.0\.0\.1:1"):
        await require_redis(redis, nowhere)
    await redis.aclose()
