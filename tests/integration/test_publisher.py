"""What a gateway publishes, on a real server: how many entries, when, and what of a session that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import RedisDsn
from redis.asyncio import Redis

from gateway.session.publisher import Publisher
from tests.integration.services import client_event, until
from turngate.bus.bus import Bus
from turngate.bus.entries import body_of
from turngate.process.settings import BrokerSettings
from turngate.process.tasks import end
from turngate.protocol.messages import CLIENT_EVENTS, TURNS, ClientEvent, Slot, TurnRecord

FOREVER = 3_600.0


class Talk:
    """A session that says what it is asked."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.version = 1

    def record(self) -> TurnRecord:
        return TurnRecord(session=self.session, gateway="g", version=self.version, slot=Slot.IDLE)

    def size(self, seq: int) -> int:
        return 0

    def client_event(self, seq: int) -> ClientEvent | None:
        return client_event(seq, type="InjectUserMessage", content="tea") if seq != 9 else None


class Broken(Talk):
    def record(self) -> TurnRecord:
        raise ZeroDivisionError("a defect")


@pytest.fixture
async def bus(broker_url: str) -> AsyncIterator[Bus]:
    bus = Bus.connect(BrokerSettings(redis_url=RedisDsn(broker_url)))
    yield bus
    await bus.close()


@pytest.fixture
def redis(bus: Bus) -> Redis:
    return bus.redis


async def entries(redis: Redis, stream: str) -> list[bytes]:
    found: Any = await redis.xrange(stream)
    return [body_of(fields) for _, fields in found]


async def versions(redis: Redis) -> list[tuple[str, int]]:
    records = [TurnRecord.model_validate_json(body) for body in await entries(redis, TURNS)]
    return [(record.session, record.version) for record in records]


async def test_records_that_nothing_waits_for_fold_and_go_together(bus: Bus, redis: Redis) -> None:
    publisher = Publisher(bus, FOREVER)
    talks = [Talk(name) for name in "abc"]
    for version in (1, 2, 3):
        for talk in talks:
            talk.version = version
            publisher.turn(talk, urgent=False)
    publishing = asyncio.ensure_future(publisher.run())
    publisher.client_event(talks[0], 1)
    await until(lambda: redis.xlen(CLIENT_EVENTS))
    assert await versions(redis) == []
    await publisher.drain(FOREVER)
    await end([publishing])
    assert await versions(redis) == [("a", 3), ("b", 3), ("c", 3)], "those of the last moment too"


async def test_after_a_while_they_go_by_themselves(bus: Bus, redis: Redis) -> None:
    publisher = Publisher(bus, 0.01)
    publishing = asyncio.ensure_future(publisher.run())
    for name in "ab":
        publisher.turn(Talk(name), urgent=False)
    await until(lambda: redis.xlen(TURNS))
    assert await versions(redis) == [("a", 1), ("b", 1)]
    await publisher.drain(FOREVER)
    await end([publishing])


async def test_a_record_that_something_waits_for_goes_at_once(bus: Bus, redis: Redis) -> None:
    publisher = Publisher(bus, FOREVER)
    publishing = asyncio.ensure_future(publisher.run())
    talk = Talk("a")
    publisher.turn(talk, urgent=False)
    publisher.turn(talk, urgent=True)
    publisher.turn(talk, urgent=False)
    await until(lambda: redis.xlen(TURNS))
    await publisher.drain(FOREVER)
    await end([publishing])
    assert await versions(redis) == [("a", 1)], "once"


async def test_what_is_settled_meanwhile_is_not_published(bus: Bus, redis: Redis) -> None:
    publisher = Publisher(bus, FOREVER)
    publisher.client_event(Talk("a"), 9)
    publisher.client_event(Talk("a"), 1)
    publishing = asyncio.ensure_future(publisher.run())
    await publisher.drain(FOREVER)
    await end([publishing])
    assert [ClientEvent.model_validate_json(body).seq for body in await entries(redis, CLIENT_EVENTS)] == [1]


async def test_a_defect_in_one_session_does_not_silence_the_others(bus: Bus, redis: Redis) -> None:
    publisher = Publisher(bus, FOREVER)
    publishing = asyncio.ensure_future(publisher.run())
    publisher.turn(Broken("a"), urgent=True)
    publisher.turn(Talk("b"), urgent=True)
    async with asyncio.timeout(30):
        await publisher.drain(FOREVER)
    await end([publishing])
    assert await versions(redis) == [("b", 1)]
