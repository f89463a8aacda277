"""What Redis holds, in bytes, on a real server: what open sessions need, and bounded remains of what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis as sync_redis
from prometheus_client import REGISTRY
from pydantic import RedisDsn
from redis.asyncio import Redis
from structlog.testing import capture_logs

from session_state.app import wire as wire_session_state
from session_state.config import SessionStateSettings
from session_state.keys import SESSION_KEY
from session_state.store import SESSIONS, WAITING, Store
from tests.integration.services import until, working
from tests.integration.test_store import asks, record
from translator.app import wire as wire_translator
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus
from turngate.bus.consumer import Batch
from turngate.bus.limits import StreamLimits
from turngate.process.settings import BrokerSettings, ConsumerSettings
from turngate.process.tasks import end
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    DEAD_LETTERS,
    GATEWAYS,
    RELEASES,
    TURNS,
    ClientEvent,
    Command,
    Configuration,
    Intent,
    SendRelease,
    Slot,
    TurnRecord,
    Value,
    commands_stream,
)

STREAM, GROUP = "turngate.test", "readers"
LIMIT = 1_000_000
PROMPT = "word " * 4_915  # 24 KiB
#: Sessions in the test of many; for a long run: MEMORY_SESSIONS=100000.
SESSIONS_HELD = int(os.environ.get("MEMORY_SESSIONS", "600"))
#: Bytes that the server has for data in the tests in which it gets scarce.
ROOM = 6_000_000


class Thing(Value):
    name: str


@pytest.fixture
async def bus(broker_url: str) -> AsyncIterator[Bus]:
    settings = ConsumerSettings(redis_url=RedisDsn(broker_url), stream_max_bytes=LIMIT, reclaim_after_ms=100)
    bus = Bus.connect(settings)
    yield bus
    await bus.close()


@pytest.fixture
def scarce(broker_url: str) -> Iterator[str]:
    """The same server with room for `ROOM` bytes more than it uses empty."""
    with sync_redis.Redis.from_url(broker_url) as admin:
        configured: Any = admin.config_get("maxmemory")
        info: Any = admin.info("memory")
        admin.config_set("maxmemory", info["used_memory"] + ROOM)
        yield broker_url
        admin.config_set("maxmemory", configured["maxmemory"])


async def size_of(redis: Redis, pattern: str = "*") -> int:
    """Bytes of all keys of this pattern."""
    keys: Any = await redis.keys(pattern)
    return sum([await redis.memory_usage(key, samples=0) or 0 for key in keys])


# --- streams that nobody reads ----------------------------------------------------------------------------------------


async def test_a_stream_that_nobody_reads_is_bounded_in_bytes_and_its_reader_goes_on(bus: Bus) -> None:
    got: list[str] = []

    async def take(batch: Batch[Thing]) -> None:
        got.extend(thing.name[:4] for thing in batch.messages)

    consumer = bus.consume(STREAM, GROUP, Thing, take, records=8)
    settings = ConsumerSettings(redis_url=bus.settings.redis_url, stream_max_bytes=LIMIT)
    await bus.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    for number in range(100):
        await bus.publish([(STREAM, Thing(name=f"{number:04}{PROMPT}"))])
    # A consumer takes some, and is never heard of again.
    await bus.redis.xreadgroup(GROUP, "dead", {consumer.key: ">"}, count=10)
    with capture_logs() as logs:
        await StreamLimits(bus, settings).enforce()
    assert await size_of(bus.redis, STREAM) <= LIMIT
    left = await bus.redis.xlen(STREAM)
    assert left > 0
    (line,) = logs
    assert (line["event"], line["stream"], line["dropped"]) == ("stream_trimmed", STREAM, 100 - left)
    assert REGISTRY.get_sample_value("turngate_stream_bytes", {"stream": STREAM, "server": "redis"}) == line["size"]
    await bus.start()

    async def read() -> bool:
        return len(got) == left

    await until(read)
    assert got[-1] == "0099", "the newest are kept"
    await bus.stop()


async def test_a_stream_within_its_limit_is_left_alone(bus: Bus) -> None:
    async def take(batch: Batch[Thing]) -> None:
        """Nothing to do."""

    bus.consume(STREAM, GROUP, Thing, take, records=8)
    await bus.publish([(STREAM, Thing(name="tea"))])
    await StreamLimits(bus, ConsumerSettings()).enforce()
    assert await bus.redis.xlen(STREAM) == 1


async def test_dead_letters_are_bounded_in_bytes_and_by_age(bus: Bus) -> None:
    settings = ConsumerSettings(dead_letters_max_bytes=LIMIT, dead_letter_ttl_ms=60_000)
    seconds, _ = await bus.redis.time()
    for number in range(100):
        await bus.redis.xadd(DEAD_LETTERS, {"body": PROMPT}, id=f"{(int(seconds) - 100 + number) * 1000}-0")
    await StreamLimits(bus, settings).enforce()
    assert await size_of(bus.redis, DEAD_LETTERS) <= LIMIT
    entries: Any = await bus.redis.xrange(DEAD_LETTERS)
    assert 0 < len(entries) < 60
    assert int(entries[0][0].partition(b"-")[0]) > (int(seconds) - 60) * 1000


async def test_a_dead_letter_keeps_only_the_beginning_of_a_long_body(broker_url: str) -> None:
    settings = TranslatorSettings(redis_url=RedisDsn(broker_url), reclaim_after_ms=100, deliveries_max=1)
    async with working(wire_translator(settings, Bus.connect(settings))) as redis:
        await redis.xadd(CLIENT_EVENTS, {"__data__": b"x" * 1_000_000})
        await until(lambda: redis.xlen(DEAD_LETTERS))
        assert await size_of(redis, DEAD_LETTERS) < 50_000


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_session_that_has_ended_leaves_a_small_tombstone_also_when_memory_is_short(scarce: str) -> None:
    async with Redis.from_url(scarce) as redis:
        store = Store(redis, SessionStateSettings())
        busy = record(1, Slot.ACTIVE, last_seq=20, open_configuration=tuple(range(1, 21)))
        for seq in range(1, 21):
            await store.reserve([asks(busy, Intent(seq=seq, configuration=Configuration(append_instructions=PROMPT)))])
        assert await size_of(redis, SESSION_KEY + "*") > 20 * len(PROMPT)
        await redis.config_set("maxmemory", 1)
        (step,) = await store.observe([record(2, Slot.CLOSED, last_seq=20, open_configuration=tuple(range(1, 21)))])
        assert step.error is None
        assert await size_of(redis, SESSION_KEY + "*") < 500
        assert await redis.pttl(SESSION_KEY + "s") > 0
        assert not await redis.exists(SESSIONS, WAITING)
        # An older record that comes late does not bring it back.
        (late,) = await store.observe([busy])
        assert (late.outcome, late.error) == ("settled", None)


class Gateway:
    """Opens sessions with long prompts and ends them, as the gateways' part of the bus."""

    def __init__(self, url: str) -> None:
        self.bus = Bus.connect(BrokerSettings(redis_url=RedisDsn(url)))
        self.applied: dict[str, asyncio.Event] = {}
        self.bus.consume(commands_stream("g"), GATEWAYS, Command, self._on_commands, records=64, own=True)

    async def _on_commands(self, batch: Batch[Command]) -> None:
        for command in batch.messages:
            if isinstance(command, SendRelease) and command.session in self.applied:
                self.applied[command.session].set()

    async def hold_session(self, name: str) -> None:
        """Settings with a long prompt, one prompt more that is held by a reply and never released, and the end."""
        applied = self.applied[name] = asyncio.Event()
        think = {"provider": {"type": "open_ai", "model": "gpt-realtime"}, "prompt": PROMPT}
        while not applied.is_set():
            await self.ask(name, 1, Slot.UNCONFIGURED, type="Settings", audio={}, agent={"think": think})
            # As a gateway does, in case that it was lost.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(applied.wait(), 1)
        await self.ask(name, 2, Slot.ACTIVE, type="UpdatePrompt", prompt=PROMPT)
        await self.end_session(name)

    async def ask(self, name: str, seq: int, slot: Slot, **message: Any) -> None:
        turn = TurnRecord(session=name, gateway="g", version=seq, slot=slot, last_seq=seq, open_configuration=(seq,))
        event = ClientEvent(session=name, gateway="g", seq=seq, message=message, turn=turn)
        await self.bus.publish([(CLIENT_EVENTS, event)], tries=100)

    async def end_session(self, name: str) -> None:
        del self.applied[name]
        await self.bus.publish([(TURNS, TurnRecord(session=name, gateway="g", version=9, slot=Slot.CLOSED))], tries=100)


async def test_after_many_sessions_redis_holds_what_the_open_ones_need(scarce: str) -> None:
    """Many times as many bytes go through as the server has room for."""
    url, ttl = RedisDsn(scarce), 5_000
    translators = TranslatorSettings(redis_url=url, session_ttl_ms=ttl)
    states = SessionStateSettings(redis_url=url, session_ttl_ms=ttl)
    gateway = Gateway(scarce)
    async with AsyncExitStack() as running:
        redis = await running.enter_async_context(working(wire_translator(translators, Bus.connect(translators))))
        await running.enter_async_context(working(wire_session_state(states, Bus.connect(states))))
        await gateway.bus.start()
        watching = asyncio.ensure_future(gateway.bus.watch())
        names = [f"session-{number}" for number in range(SESSIONS_HELD)]
        async with asyncio.timeout(60 + SESSIONS_HELD / 20):
            for first in range(0, len(names), 20):
                async with asyncio.TaskGroup() as group:
                    for name in names[first : first + 20]:
                        group.create_task(gateway.hold_session(name))
        # Two that stay, each with a prompt that is held.
        for name in ("open-1", "open-2"):
            await gateway.ask(name, 2, Slot.ACTIVE, type="UpdatePrompt", prompt=PROMPT)

        async def only_the_open_ones() -> bool:
            streams = (CLIENT_EVENTS, TURNS, RELEASES, commands_stream("g"), DEAD_LETTERS)
            entries = [await redis.xlen(stream) for stream in streams]
            return await redis.zcard(SESSIONS) == await redis.zcard(WAITING) == 2 and not any(entries)

        await until(only_the_open_ones)
        tombstones = await size_of(redis, SESSION_KEY + "session-*")
        assert tombstones < SESSIONS_HELD * 500
        assert await size_of(redis) - tombstones < 4 * len(PROMPT)
        await end([watching])
        await gateway.bus.stop()
        await gateway.bus.close()
