"""What stays in Redis of readers that have gone, on a real server: neither their names nor their streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from pydantic import RedisDsn
from redis.asyncio import Redis

from session_state.app import wire as wire_session_state
from session_state.config import SessionStateSettings
from session_state.store import Store
from tests.integration.services import PATIENCE_SECONDS, client_event, until, working
from translator.app import wire as wire_translator
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus, consumer_name
from turngate.bus.connection import connect
from turngate.bus.consumer import Batch
from turngate.bus.consumer_groups import remove_silent
from turngate.bus.readers import FastStreamReaders
from turngate.bus.reclaimer import Reclaimer
from turngate.process.settings import ConsumerSettings
from turngate.process.tasks import end
from turngate.protocol.messages import CLIENT_EVENTS, GATEWAYS, Slot, TurnRecord, Value, commands_stream

STREAM, GROUP = "turngate.test", "readers"
FOREVER_MS = 3_600_000


class Thing(Value):
    name: str


class Reader:
    """A process that reads one stream, and keeps what it got."""

    def __init__(self, url: str, *, own: bool = False) -> None:
        self.settings = ConsumerSettings(redis_url=RedisDsn(url), reclaim_after_ms=100)
        self.redis: Redis = connect(self.settings)
        self.got: asyncio.Queue[str] = asyncio.Queue()
        self.bus = Bus(self.settings, self.redis, FastStreamReaders(self.settings), watch_interval=0.01)
        self.bus.consume(STREAM, GROUP, Thing, self._take, records=8, own=own)
        self.reclaimer = Reclaimer(self.bus, self.settings)

    async def _take(self, batch: Batch[Thing]) -> None:
        for thing in batch.messages:
            self.got.put_nowait(thing.name)

    async def publish(self, name: str) -> None:
        """As the translators publish: never where nobody reads."""
        assert await self.bus.publish([(STREAM, Thing(name=name))], create=False) == [None]

    async def next(self) -> str:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.got.get()

    async def members(self) -> set[str]:
        consumers: Any = await self.redis.xinfo_consumers(STREAM, GROUP)
        return {consumer["name"].decode() for consumer in consumers}

    async def take_one_as(self, consumer: str) -> None:
        """This consumer is given an entry, and never finishes it."""
        await self.redis.xadd(STREAM, {"name": "tea"})
        await self.redis.xreadgroup(GROUP, consumer, {STREAM: ">"})


@pytest.fixture
async def reader(broker_url: str) -> AsyncIterator[Reader]:
    reader = Reader(broker_url)
    yield reader
    await reader.bus.stop()
    await reader.redis.aclose()


async def test_only_who_is_silent_and_has_nothing_pending_is_removed(reader: Reader) -> None:
    await reader.redis.xgroup_create(STREAM, GROUP, mkstream=True)
    await reader.redis.xgroup_createconsumer(STREAM, GROUP, "gone")
    await reader.take_one_as("busy")
    assert await remove_silent(reader.redis, STREAM, GROUP, FOREVER_MS) == []
    assert await remove_silent(reader.redis, STREAM, GROUP, 0) == ["gone"]
    assert await reader.members() == {"busy"}
    assert (await reader.redis.xpending(STREAM, GROUP))["pending"] == 1


async def test_a_lost_group_has_nobody_to_remove(reader: Reader) -> None:
    assert await remove_silent(reader.redis, STREAM, GROUP, 0) == []
    await reader.redis.xadd(STREAM, {"name": "tea"})
    assert await remove_silent(reader.redis, STREAM, GROUP, 0) == []


async def test_who_was_only_quiet_reads_on_as_if_nothing_had_happened(reader: Reader) -> None:
    await reader.bus.start()
    await reader.redis.xadd(STREAM, {"name": "before"})
    assert await reader.next() == "before"
    # Its entry is acknowledged a moment after it was handled.
    assert await until(lambda: remove_silent(reader.redis, STREAM, GROUP, 0)) == [consumer_name()]
    await reader.redis.xadd(STREAM, {"name": "after"})
    assert await reader.next() == "after"
    assert await reader.members() == {consumer_name()}
    assert reader.bus.alive()


async def test_the_reclaimer_removes_those_that_have_gone_once_nothing_of_theirs_is_left(reader: Reader) -> None:
    await reader.redis.xgroup_create(STREAM, GROUP, mkstream=True)
    await reader.take_one_as("gone")
    await reader.bus.start()
    reclaiming = asyncio.ensure_future(reader.reclaimer.run())
    assert await reader.next() == "tea"

    async def removed() -> bool:
        return "gone" not in await reader.members()

    await until(removed)
    await end([reclaiming])


async def test_who_stops_takes_its_name_along_unless_something_is_pending(reader: Reader) -> None:
    await reader.bus.start()
    await reader.redis.xadd(STREAM, {"name": "tea"})
    assert await reader.next() == "tea"
    assert await reader.members() == {consumer_name()}
    await reader.bus.stop()
    assert await reader.members() == set()
    await reader.take_one_as(consumer_name())
    await reader.bus.stop()
    assert await reader.members() == {consumer_name()}
    assert (await reader.redis.xpending(STREAM, GROUP))["pending"] == 1


async def test_stopping_does_not_wait_for_a_server_that_is_away(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("turngate.bus.bus.leave", never)
    monkeypatch.setattr("turngate.bus.bus._LEAVE_SECONDS", 0)
    await reader.bus.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await reader.bus.stop()


async def test_a_stream_of_ones_own_is_renewed_while_its_reader_lives_and_goes_with_it(broker_url: str) -> None:
    reader = Reader(broker_url, own=True)
    await reader.bus.start()
    watching = asyncio.ensure_future(reader.bus.watch())
    assert await reader.redis.pttl(STREAM) > 0
    await reader.redis.persist(STREAM)

    async def renewed() -> bool:
        return bool(await reader.redis.pttl(STREAM) > 0)

    await until(renewed)
    await reader.publish("tea")
    assert await reader.next() == "tea"
    assert await reader.redis.pttl(STREAM) > 0, "publishing leaves it as it is"
    await end([watching])
    await reader.bus.stop()
    await reader.publish("late")
    assert not await reader.redis.exists(STREAM)
    await reader.redis.aclose()


async def test_a_stream_of_ones_own_that_was_lost_is_made_anew_and_goes_with_its_reader_too(broker_url: str) -> None:
    reader = Reader(broker_url, own=True)
    await reader.bus.start()
    watching = asyncio.ensure_future(reader.bus.watch())
    await reader.redis.flushall()
    await until(lambda: reader.redis.exists(STREAM))
    await reader.publish("tea")
    assert await reader.next() == "tea"
    assert await reader.redis.pttl(STREAM) > 0
    await end([watching])
    await reader.bus.stop()
    await reader.redis.aclose()


async def test_a_command_for_a_gateway_that_has_gone_leaves_nothing_behind(broker_url: str) -> None:
    settings = TranslatorSettings(redis_url=RedisDsn(broker_url))
    async with working(wire_translator(settings, Bus.connect(settings))) as redis:
        await redis.xgroup_create(commands_stream("g"), GATEWAYS, mkstream=True)
        for gateway in ("gone", "g"):
            event = client_event(1, gateway, type="InjectUserMessage", content="tea").model_dump(mode="json")
            await redis.xadd(CLIENT_EVENTS, {"__data__": orjson.dumps(event)})
        await until(lambda: redis.xlen(commands_stream("g")))
        assert not await redis.exists(commands_stream("gone"))


async def test_the_sweeper_counts_sessions(broker_url: str) -> None:
    settings = SessionStateSettings(redis_url=RedisDsn(broker_url), sweep_interval_ms=10)
    async with working(wire_session_state(settings, Bus.connect(settings))) as redis:
        turn = TurnRecord(session="s", gateway="g", version=1, slot=Slot.ACTIVE)
        await Store(redis, settings).observe([turn])

        async def counted() -> bool:
            names = ("turngate_sessions_known", "turngate_sessions_waiting")
            return [REGISTRY.get_sample_value(name, {"server": "redis"}) for name in names] == [1, 0]

        await until(counted)
