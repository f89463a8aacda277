"""One message, one session, one installation: what is wrong with it stays with it. On a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from pydantic import RedisDsn
from redis.asyncio import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from session_state.app import Sweeper
from session_state.app import wire as wire_session_state
from session_state.config import SessionStateSettings
from session_state.keys import SESSION_KEY
from session_state.store import SESSIONS, WAITING, Outcome, Store
from tests.integration.services import client_event, until, working
from tests.integration.test_store import asks, record
from translator.app import wire as wire_translator
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus
from turngate.bus.consumer import Batch
from turngate.bus.entries import body_of, fields_of
from turngate.process.settings import ConsumerSettings
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    DEAD_LETTERS,
    GATEWAYS,
    RELEASES,
    TURNS,
    Intent,
    Release,
    ResponseRequest,
    Slot,
    Value,
    commands_stream,
)

STREAM, GROUP = "turngate.test", "readers"


class Thing(Value):
    name: str


@pytest.fixture
async def bus(broker_url: str) -> AsyncIterator[Bus]:
    bus = Bus.connect(ConsumerSettings(redis_url=RedisDsn(broker_url)))
    yield bus
    await bus.close()


# --- a message --------------------------------------------------------------------------------------------------------


async def test_a_handler_that_raises_gets_the_messages_one_by_one_and_the_others_are_finished(bus: Bus) -> None:
    handled: list[str] = []

    async def handle(batch: Batch[Thing]) -> None:
        for thing in batch.messages:
            if thing.name == "poison":
                raise ZeroDivisionError("a defect")
        handled.extend(thing.name for thing in batch.messages)

    consumer = bus.consume(STREAM, GROUP, Thing, handle, records=8)
    await bus.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    for name in ("tea", "poison", "milk"):
        await bus.publish([(STREAM, Thing(name=name))])
    entries: Any = await bus.redis.xrange(STREAM)
    (poison,) = [entry for entry, fields in entries if b"poison" in body_of(fields)]
    with capture_logs(processors=[merge_contextvars]) as logs:
        await bus.start()

        async def finished() -> bool:
            return int(await bus.redis.xlen(STREAM)) == 1

        await until(finished)
    assert handled == ["tea", "milk"]
    (failed,) = [line for line in logs if line["event"] == "entry_failed"]
    assert (failed["stream"], failed["entry"]) == (STREAM, poison.decode())
    assert failed["reason"] == "ZeroDivisionError: a defect"
    assert (await bus.redis.xpending(consumer.key, GROUP))["pending"] == 1
    await bus.stop()


async def test_a_reason_does_not_contain_what_a_person_said(bus: Bus) -> None:
    async def handle(batch: Batch[Thing]) -> None:
        """Nothing to do."""

    consumer = bus.consume(STREAM, GROUP, Thing, handle, records=8)
    await bus.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    await bus.redis.xadd(STREAM, {"__data__": '{"name": ["my secret"]}'})
    with capture_logs(processors=[merge_contextvars]) as logs:
        await bus.start()
        await until(lambda: _pending(bus.redis, consumer.key))
        await asyncio.sleep(0)
    await bus.stop()
    (failed,) = [line for line in logs if line["event"] == "entry_failed"]
    assert failed["reason"] == "Thing: name: Input should be a valid string"


async def test_entries_leave_redis_when_they_are_acknowledged(broker_url: str) -> None:
    settings = TranslatorSettings(redis_url=RedisDsn(broker_url))
    async with working(wire_translator(settings, Bus.connect(settings))) as redis:
        await redis.xgroup_create(commands_stream("g"), GATEWAYS, mkstream=True)
        for seq in range(1, 100):
            await redis.xadd(CLIENT_EVENTS, fields_of(client_event(seq, type="InjectUserMessage", content="tea")))

        async def empty() -> bool:
            return await redis.xlen(commands_stream("g")) >= 99 and await redis.xlen(CLIENT_EVENTS) == 0

        await until(empty)


async def _pending(redis: Redis, stream: str) -> bool:
    return bool((await redis.xpending(stream, GROUP))["pending"])


# --- a session --------------------------------------------------------------------------------------------------------


async def make_unreadable(redis: Redis, how: str) -> None:
    """The session ``bad``: waiting, and of a form that nobody here understands."""
    if how == "another type":
        await redis.set(SESSION_KEY + "bad", "a string")
    elif how == "another version":
        await redis.hset(SESSION_KEY + "bad", "turn", orjson.dumps({"v": 2, "slots": ["idle"]}).decode())
    elif how == "a body that is none":
        turn = record(1, session="bad", last_seq=2, open_responses=(1, 2))
        store = Store(redis, SessionStateSettings(release_lease_ms=50))
        for seq in (1, 2):
            await store.reserve([asks(turn, Intent(seq=seq, response=ResponseRequest()))])
        await redis.hset(SESSION_KEY + "bad", "body:1", "{")
    await redis.zadd(SESSIONS, {"bad": 2**41})
    await redis.zadd(WAITING, {"bad": 0})


def failures() -> float:
    return REGISTRY.get_sample_value("turngate_sessions_failed_total") or 0


UNREADABLE = ("another type", "another version", "a body that is none")


@pytest.mark.parametrize("how", UNREADABLE)
async def test_an_unreadable_session_stops_neither_the_sweeper_nor_the_others(bus: Bus, how: str) -> None:
    settings = SessionStateSettings(release_lease_ms=50)
    store = Store(bus.redis, settings)
    names = ("a", "b")
    for name in names:
        turn = record(1, session=name, last_seq=1, open_responses=(1,))
        await store.reserve([asks(turn, Intent(seq=1, response=ResponseRequest()))])
        await bus.redis.zadd(WAITING, {name: 1})
    await make_unreadable(bus.redis, how)
    before = failures()
    sweeper = Sweeper(store, bus, settings)
    released: set[str] = set()

    async def all_released() -> bool:
        await sweeper.sweep()
        entries: Any = await bus.redis.xrange(RELEASES)
        released.update(Release.model_validate_json(body_of(fields)).session for _, fields in entries)
        return released >= set(names) and failures() > before

    with capture_logs(processors=[merge_contextvars]) as logs:
        await until(all_released)
    assert released == set(names)
    assert "bad" in [line["session"] for line in logs if line["event"] == "session_unreadable"]
    assert await bus.redis.zscore(WAITING, "bad") is None, "it does not come again and again"


@pytest.mark.parametrize("how", UNREADABLE[:2])
async def test_a_turn_record_of_an_unreadable_session_costs_no_other_its_release(bus: Bus, how: str) -> None:
    settings = SessionStateSettings(redis_url=bus.settings.redis_url)
    store = Store(bus.redis, settings)
    busy = record(1, Slot.ACTIVE, session="good", last_seq=1, open_responses=(1,))
    await store.reserve([asks(busy, Intent(seq=1, response=ResponseRequest()))])
    await make_unreadable(bus.redis, how)
    for name in ("bad", "good"):
        await bus.publish([(TURNS, record(2, session=name, last_seq=1, open_responses=(1,)))])
    async with working(wire_session_state(settings, Bus.connect(settings))) as redis:

        async def woken() -> bool:
            return int(await redis.xlen(RELEASES)) == 1

        await until(woken)
        assert await redis.xlen(DEAD_LETTERS) == 0


@pytest.mark.parametrize("how", UNREADABLE)
async def test_operators_see_that_a_session_is_unreadable_and_all_others(bus: Bus, how: str) -> None:
    store = Store(bus.redis, SessionStateSettings())
    await store.observe([record(1, session="good")])
    await make_unreadable(bus.redis, how)
    now, live = await store.live()
    shown = {one["session"]: one for one in await store.described(live, now) if one is not None}
    assert shown["good"]["slot"] == "idle"
    assert ("unreadable" in shown["bad"]) == (how != "a body that is none")


async def test_a_reservation_of_an_unreadable_session_fails_alone(bus: Bus) -> None:
    store = Store(bus.redis, SessionStateSettings())
    await bus.redis.set(SESSION_KEY + "bad", "a string")
    intent = Intent(seq=1, response=ResponseRequest())
    turns = [record(1, session=name, last_seq=1, open_responses=(1,)) for name in ("bad", "good")]
    bad, good = await store.reserve([asks(turn, intent) for turn in turns])
    assert (bad.outcome, good.outcome) == (Outcome.FAILED, Outcome.GRANTED)
    assert "WRONGTYPE" in str(bad.error)


# --- an installation --------------------------------------------------------------------------------------------------


async def test_two_installations_on_one_redis_do_not_see_each_other(broker_url: str) -> None:
    of = {
        prefix: TranslatorSettings(redis_url=RedisDsn(broker_url), redis_prefix=prefix)
        for prefix in ("blue:", "green:")
    }
    async with working(wire_translator(of["blue:"], Bus.connect(of["blue:"]))) as redis:
        for prefix in of:
            await redis.xgroup_create(prefix + commands_stream("g"), GATEWAYS, mkstream=True)
        event = client_event(1, type="InjectUserMessage", content="tea")
        for settings in of.values():
            bus = Bus.connect(settings)
            await bus.publish([(CLIENT_EVENTS, event)])
            await bus.close()

        async def answered() -> bool:
            return (
                await redis.xlen("blue:" + commands_stream("g")) > 0 and await redis.xlen(f"blue:{CLIENT_EVENTS}") == 0
            )

        await until(answered)
        assert await redis.xlen("green:" + commands_stream("g")) == 0
        assert await redis.xlen(f"green:{CLIENT_EVENTS}") == 1
        keys: Any = await redis.keys("*")
        assert all(key.startswith((b"blue:", b"green:")) for key in keys), keys
