"""Consumers on a real broker: a backlog is read, a lost group is noticed and made anew, and nothing is skipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from turngate.bus.bus import Bus
from turngate.bus.connection import connect
from turngate.bus.consumer import Batch
from turngate.bus.readers import FastStreamReaders
from turngate.bus.server import require_server
from turngate.bus.trouble import ONE_COMMAND
from turngate.process.settings import BrokerSettings, SettingsError, load
from turngate.process.tasks import end
from turngate.protocol.messages import Value

STREAM, GROUP = "turngate.test", "testers"
FOREVER = 3_600.0


class Thing(Value):
    text: str


class Bench:
    """A consumer that keeps what it got."""

    def __init__(self, url: str, watch_interval: float) -> None:
        self.settings = load(BrokerSettings, redis_url=url)
        self.redis: Redis = connect(self.settings)
        self.bus = Bus(self.settings, self.redis, FastStreamReaders(self.settings), watch_interval=watch_interval)
        self.got: asyncio.Queue[str] = asyncio.Queue()
        #: What was handled to its end; cleared: handling does not end.
        self.handled: list[str] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.bus.consume(STREAM, GROUP, Thing, self._take, records=8)

    async def _take(self, batch: Batch[Thing]) -> None:
        for thing in batch.messages:
            self.got.put_nowait(thing.text)
        await self.go_on.wait()
        self.handled += [thing.text for thing in batch.messages]

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
        await bench.bus.stop()
        await bench.redis.aclose()


async def test_what_was_published_before_the_first_start_is_read(make: Callable[[float], Awaitable[Bench]]) -> None:
    bench = await make(FOREVER)
    await bench.add("early")
    await bench.bus.start()
    assert await bench.next() == "early"
    assert await bench.bus.ready()


async def test_what_the_client_library_offers_at_a_start_counts_as_no_refusal(
    make: Callable[[float], Awaitable[Bench]],
) -> None:
    name, labels = "turngate_redis_errors_total", {"kind": ONE_COMMAND}
    before = REGISTRY.get_sample_value(name, labels)
    bench = await make(FOREVER)
    await bench.bus.start()
    await bench.add("tea")
    assert await bench.next() == "tea"
    assert REGISTRY.get_sample_value(name, labels) == before


async def test_dead_consumers_are_not_alive_although_the_server_answers(
    make: Callable[[float], Awaitable[Bench]],
) -> None:
    bench = await make(FOREVER)
    await bench.bus.start()
    assert bench.bus.alive()
    await bench.redis.flushall()
    async with asyncio.timeout(30):
        # Some servers end the blocked read in two steps, with a new try in between.
        reader: Any = bench.bus._readings[0].reader
        while reader._subscriber.running:
            await asyncio.sleep(0)
    assert await bench.redis.ping()
    assert not bench.bus.alive()
    assert not await bench.bus.ready()


async def test_a_lost_group_is_made_anew_and_nothing_is_skipped(make: Callable[[float], Awaitable[Bench]]) -> None:
    bench = await make(0.01)
    await bench.bus.start()
    watching = asyncio.ensure_future(bench.bus.watch())
    await bench.add("before")
    assert await bench.next() == "before"
    async with bench.redis.pipeline(transaction=True) as both:
        both.flushall()
        both.xadd(STREAM, {"text": "in the gap"})
        await both.execute()
    assert await bench.next() == "in the gap"
    async with asyncio.timeout(30):
        while not await bench.bus.ready():
            await asyncio.sleep(0)
    await end([watching])


async def test_a_server_that_does_not_answer_is_named(make: Callable[[float], Awaitable[Bench]]) -> None:
    nowhere = load(BrokerSettings, redis_url="redis://127.0.0.1:1/0")
    redis = connect(nowhere)
    with pytest.raises(SettingsError, match=r"TURNGATE_REDIS_URL: Redis at redis://127\.0\.0\.1:1/0 does not answer"):
        await require_server(redis, nowhere)
    await redis.aclose()


async def test_a_stop_waits_for_what_is_being_handled(make: Callable[[float], Awaitable[Bench]]) -> None:
    bench = await make(1.0)
    await bench.bus.start()
    bench.go_on.clear()
    await bench.add("first")
    assert await bench.next() == "first"
    stopping = asyncio.create_task(bench.bus.stop())
    async with asyncio.timeout(30):
        while bench.bus.alive():
            await asyncio.sleep(0)
    bench.go_on.set()
    await stopping
    assert bench.handled == ["first"]


async def test_a_defect_in_one_delivery_is_logged_and_the_next_one_comes(
    make: Callable[[float], Awaitable[Bench]],
) -> None:
    bench = await make(1.0)
    (consumer,) = bench.bus.consumers
    failed = asyncio.Event()

    async def once(entries: Any) -> Any:
        if failed.is_set():
            return await consumer.deliver(entries)
        failed.set()
        raise RuntimeError("a defect")

    (reading,) = bench.bus._readings
    cast(Any, reading.reader)._subscriber.on_entries = once
    await bench.bus.start()
    with capture_logs() as logs:
        await bench.add("first")
        async with asyncio.timeout(30):
            await failed.wait()
        await bench.add("second")
        assert await bench.next() == "second"
    assert [(line["event"], line["entries"]) for line in logs if line["log_level"] == "error"] == [
        ("delivery_failed", 1)
    ]
    assert bench.bus.alive()
