"""Entries that nobody finishes, on a real server: taken over, and in the end given up, never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from pydantic import RedisDsn
from redis.asyncio import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from session_state.app import wire as wire_session_state
from session_state.config import SessionStateSettings
from tests.integration.services import PATIENCE_SECONDS, client_event, until, working
from translator.app import NOT_PROCESSED
from translator.app import wire as wire_translator
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus
from turngate.bus.consumer import Batch
from turngate.bus.reclaimer import Reclaimer
from turngate.process.settings import ConsumerSettings
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    DEAD_LETTERS,
    SESSION_STATES,
    TRANSLATORS,
    TURNS,
    RefuseRequest,
    Value,
    commands_stream,
)

STREAM, GROUP, DEAD = "turngate.test", "readers", "a-dead-consumer"
DELIVERIES = 3


class Thing(Value):
    name: str


class Reader:
    """A service of one handler, which notes what it was given and may raise."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.settings = ConsumerSettings(
            redis_url=RedisDsn(url), reclaim_after_ms=100, deliveries_max=DELIVERIES, **settings
        )
        self.bus = Bus.connect(self.settings)
        self.redis = self.bus.redis
        self.handled: list[str] = []
        self.told: list[bytes] = []
        self.failures = 0
        self.consumer = self.bus.consume(STREAM, GROUP, Thing, self._handle, records=8, on_given_up=self._given_up)
        self.reclaimer = Reclaimer(self.bus, self.settings)

    async def _handle(self, batch: Batch[Thing]) -> None:
        for thing in batch.messages:
            self.handled.append(thing.name)
            if self.failures > 0:
                self.failures -= 1
                batch.fail(thing, ValueError(f"cannot do {thing.name}"))

    async def _given_up(self, body: bytes) -> None:
        self.told.append(body)

    async def publish(self, body: bytes) -> bytes:
        entry: Any = await self.redis.xadd(STREAM, {"__data__": body})
        assert isinstance(entry, bytes)
        return entry

    async def publish_to_a_dead_consumer(self, body: bytes) -> bytes:
        """As if its consumer had died before it could do anything."""
        await self.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        entry = await self.publish(body)
        await self.redis.xreadgroup(GROUP, DEAD, {STREAM: ">"})
        return entry

    async def pending(self) -> int:
        return int((await self.redis.xpending(STREAM, GROUP))["pending"])

    async def until_nothing_is_pending(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.pending():
                await self.reclaimer.reclaim(self.consumer)

    async def letters(self) -> list[dict[str, str]]:
        return await read_letters(self.redis)


async def read_letters(redis: Redis) -> list[dict[str, str]]:
    entries: Any = await redis.xrange(DEAD_LETTERS)
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]


@pytest.fixture
async def reader(broker_url: str) -> AsyncIterator[Reader]:
    reader = Reader(broker_url)
    yield reader
    await reader.bus.stop()
    await reader.bus.close()


async def test_what_a_dead_consumer_left_is_handled_by_another(reader: Reader) -> None:
    await reader.publish_to_a_dead_consumer(b'{"name": "tea"}')
    await reader.bus.start()
    await reader.until_nothing_is_pending()
    assert reader.handled == ["tea"]
    assert await reader.letters() == []


async def test_a_handler_that_fails_once_gets_the_entry_again(reader: Reader) -> None:
    reader.failures = 1
    await reader.bus.start()
    await reader.publish(b'{"name": "tea"}')
    await until(reader.pending)
    await reader.until_nothing_is_pending()
    assert reader.handled == ["tea", "tea"]
    assert await reader.letters() == []


async def test_an_entry_that_fails_again_and_again_is_given_up_with_the_reason(reader: Reader) -> None:
    before = REGISTRY.get_sample_value("turngate_dead_letters_total", {"stream": STREAM}) or 0
    reader.failures = 1_000
    await reader.bus.start()
    entry = await reader.publish(b'{"name": "tea"}')
    await until(reader.pending)
    await reader.until_nothing_is_pending()
    assert reader.handled == ["tea"] * DELIVERIES
    assert reader.told == [b'{"name": "tea"}']
    assert await reader.letters() == [
        {
            "stream": STREAM,
            "group": GROUP,
            "entry": entry.decode(),
            "deliveries": str(DELIVERIES),
            "reason": "ValueError: cannot do tea",
            "body": '{"name": "tea"}',
        }
    ]
    assert REGISTRY.get_sample_value("turngate_dead_letters_total", {"stream": STREAM}) == before + 1


@pytest.mark.parametrize("body", [b'{"nam": "tea"}', b"not JSON", b"\x89BIN\r\n\x1a\n\x00\x01cut off", b"\xff\xfe"])
async def test_an_entry_that_cannot_be_read_is_given_up_and_the_next_one_handled(reader: Reader, body: bytes) -> None:
    await reader.bus.start()
    await reader.publish(body)
    await reader.publish(b'{"name": "tea"}')
    await until(reader.pending)
    await reader.until_nothing_is_pending()
    assert set(reader.handled) == {"tea"}
    (letter,) = await reader.letters()
    assert letter["deliveries"] == str(DELIVERIES)
    assert letter["reason"]


async def test_a_bad_entry_costs_those_that_were_read_with_it_nothing(reader: Reader) -> None:
    await reader.redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    for body in (b'{"name": "tea"}', b"not JSON", b'{"name": "milk"}'):
        await reader.publish(body)
    await reader.bus.start()
    await until(reader.pending)
    await reader.until_nothing_is_pending()
    assert reader.handled == ["tea", "milk"]
    (letter,) = await reader.letters()
    assert letter["body"] == "not JSON"


async def test_an_entry_of_unknown_fields_is_shown_as_they_are(reader: Reader) -> None:
    await reader.bus.start()
    await reader.redis.xadd(STREAM, {"nam": "tea"})
    await until(reader.pending)
    await reader.until_nothing_is_pending()
    (letter,) = await reader.letters()
    assert letter["body"] == '{"nam":"tea"}'


async def test_an_entry_that_nobody_survives_is_given_up_unread(reader: Reader) -> None:
    entry = await reader.publish_to_a_dead_consumer(b'{"name": "poison"}')
    # Every process that took it up died of it, so no failure of it was ever seen.
    for _ in range(DELIVERIES - 1):
        await reader.redis.xclaim(STREAM, GROUP, DEAD, 0, [entry])
    await reader.bus.start()
    await reader.until_nothing_is_pending()
    assert reader.handled == []
    (letter,) = await reader.letters()
    assert letter["deliveries"] == str(DELIVERIES)
    assert "ended before it was finished" in letter["reason"]


async def test_of_two_that_reclaim_at_once_one_gets_it(reader: Reader) -> None:
    await reader.publish_to_a_dead_consumer(b'{"name": "tea"}')
    await reader.bus.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await reader.pending():
            await asyncio.gather(*(reader.reclaimer.reclaim(reader.consumer) for _ in range(8)))
    assert reader.handled == ["tea"]


async def test_an_answer_that_cannot_be_given_yet_is_tried_again(reader: Reader) -> None:
    failures = ["away"]

    async def told(body: bytes) -> None:
        if failures:
            raise ConnectionError(failures.pop())
        reader.told.append(body)

    reader.consumer.on_given_up = told
    await reader.publish_to_a_dead_consumer(b"not JSON")
    await reader.bus.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while failures:
            with suppress(ConnectionError):
                await reader.reclaimer.reclaim(reader.consumer)
        assert await reader.letters() == []
        while await reader.pending():
            await reader.reclaimer.reclaim(reader.consumer)
    assert reader.told == [b"not JSON"]
    assert len(await reader.letters()) == 1


async def test_dead_letters_are_bounded(broker_url: str) -> None:
    reader = Reader(broker_url, stream_max_length=100)
    await reader.bus.start()
    for _ in range(400):
        await reader.publish(b"not JSON")
    await until(reader.pending)
    await reader.until_nothing_is_pending()
    # Trimming is by whole nodes of 100 entries.
    assert await reader.redis.xlen(DEAD_LETTERS) <= 200
    await reader.bus.stop()
    await reader.bus.close()


# --- the two services -------------------------------------------------------------------------------------------------


async def test_the_client_is_told_of_an_event_that_no_translator_can_handle(broker_url: str) -> None:
    settings = TranslatorSettings(redis_url=RedisDsn(broker_url), reclaim_after_ms=100, deliveries_max=2)
    async with working(wire_translator(settings, Bus.connect(settings))) as redis:
        await redis.xgroup_create(commands_stream("g"), "gateway", mkstream=True)
        good = client_event(2, type="InjectUserMessage", content="tea").model_dump(mode="json")
        await redis.xadd(CLIENT_EVENTS, {"__data__": orjson.dumps({**good, "seq": 1, "turn": "not a record"})})
        await redis.xadd(CLIENT_EVENTS, {"__data__": b"whose is this?"})
        await redis.xadd(CLIENT_EVENTS, {"__data__": orjson.dumps(good)})
        await until(lambda: _count(redis, DEAD_LETTERS, 2))
        letters = await read_letters(redis)
        assert [letter["stream"] for letter in letters] == [CLIENT_EVENTS] * 2
        assert "turn" in letters[0]["reason"]
        answers = str(await redis.xrange(commands_stream("g")))
        assert answers.count(RefuseRequest.__name__) == 1
        assert NOT_PROCESSED in answers
        assert "InjectUserMessage could not be processed." in answers
        assert "AddItems" in answers, "the event after it is translated"
        assert (await redis.xpending(CLIENT_EVENTS, TRANSLATORS))["pending"] == 0


async def test_a_turn_record_that_makes_no_sense_is_given_up(broker_url: str) -> None:
    settings = SessionStateSettings(redis_url=RedisDsn(broker_url), reclaim_after_ms=100, deliveries_max=2)
    with capture_logs(processors=[merge_contextvars]) as logs:
        async with working(wire_session_state(settings, Bus.connect(settings))) as redis:
            await redis.xadd(TURNS, {"__data__": b'{"session": "s", "slot": "a new kind of slot"}'})
            await until(lambda: _count(redis, DEAD_LETTERS, 1))
            (letter,) = await read_letters(redis)
            assert letter["stream"] == TURNS
            assert (await redis.xpending(TURNS, SESSION_STATES))["pending"] == 0
    given_up = [(line["session"], line["dead_letter"]) for line in logs if line["event"] == "entry_given_up"]
    assert given_up == [("s", True)]


async def _count(redis: Redis, stream: str, least: int) -> bool:
    return bool(await redis.xlen(stream) >= least)
