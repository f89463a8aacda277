"""A real Redis that answers and refuses: nothing spins, what can be done is done, and all of it ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.session.publisher import Publisher
from tests.integration.refusing import Server, bus_at, errors
from tests.integration.services import client_event, until
from turngate.bus import trouble
from turngate.bus.bus import Bus
from turngate.bus.consumer import Batch
from turngate.bus.entries import body_of
from turngate.process.tasks import end
from turngate.protocol.messages import CLIENT_EVENTS, TURNS, ClientEvent, Slot, TurnRecord, Value

STREAM, GROUP = "turngate.test", "readers"


class Thing(Value):
    name: str


@pytest.fixture
def server(broker_url: str) -> Iterator[Server]:
    with Server(broker_url) as server:
        yield server


@pytest.fixture
async def bus(server: Server) -> AsyncIterator[Bus]:
    bus = bus_at(server.url)
    yield bus
    await bus.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each pause that anybody makes."""
    made: list[None] = []
    pause = trouble.Backoff.pause

    async def counted(backoff: trouble.Backoff) -> None:
        made.append(None)
        await pause(backoff)

    monkeypatch.setattr(trouble.Backoff, "pause", counted)
    return made


class Talk:
    def __init__(self) -> None:
        self.session = "s"
        self.version = 1

    def record(self) -> TurnRecord:
        return TurnRecord(session="s", gateway="g", version=self.version, slot=Slot.IDLE)

    def size(self, seq: int) -> int:
        return 0

    def client_event(self, seq: int) -> ClientEvent | None:
        return client_event(seq, type="KeepAlive")


async def test_a_publisher_pauses_while_the_server_is_full_and_then_publishes_what_is_newest(
    server: Server, bus: Bus, pauses: list[None]
) -> None:
    before = errors("OOM")
    server.fill()
    publisher = Publisher(bus, 0.01)
    publishing = asyncio.ensure_future(publisher.run())
    talk = Talk()
    publisher.turn(talk, urgent=True)

    async def refused_often() -> bool:
        return errors("OOM") - before >= 4

    await until(refused_often)
    assert len(pauses) >= errors("OOM") - before - 1, "one after each refusal"
    talk.version = 7
    server.free()
    await publisher.drain(30)
    await end([publishing])
    entries: Any = await bus.redis.xrange(TURNS)
    assert [TurnRecord.model_validate_json(body_of(fields)).version for _, fields in entries] == [7]


async def test_a_request_that_was_refused_is_published_as_soon_as_the_server_takes_it(server: Server, bus: Bus) -> None:
    before = errors("OOM")
    server.fill()
    publisher = Publisher(bus, 3_600)
    publishing = asyncio.ensure_future(publisher.run())
    publisher.client_event(Talk(), 1)

    async def refused() -> bool:
        return errors("OOM") > before

    await until(refused)
    server.free()
    await publisher.drain(30)
    await end([publishing])
    assert await bus.redis.xlen(CLIENT_EVENTS) == 1


async def test_what_waits_for_the_server_is_bounded(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.session.publisher._WAITING_MAX", 10)
    publisher = Publisher(bus, 3_600)
    before = REGISTRY.get_sample_value("turngate_publications_dropped_total") or 0
    for seq in range(1, 31):
        publisher.client_event(Talk(), seq)
        publisher.client_event(Talk(), seq)
    assert REGISTRY.get_sample_value("turngate_publications_dropped_total") == before + 20
    publishing = asyncio.ensure_future(publisher.run())
    await publisher.drain(30)
    await end([publishing])
    entries: Any = await bus.redis.xrange(CLIENT_EVENTS)
    seqs = [ClientEvent.model_validate_json(body_of(fields)).seq for _, fields in entries]
    assert seqs == list(range(21, 31)), "the newest"


async def test_a_publication_is_tried_again_a_few_times_and_then_raises(
    server: Server, bus: Bus, pauses: list[None]
) -> None:
    server.fill()
    with pytest.raises(Exception, match="maxmemory"):
        await bus.publish([(STREAM, Thing(name="tea"))], tries=3)
    assert len(pauses) == 2


async def test_what_was_published_is_not_published_again_with_what_was_refused(server: Server) -> None:
    bus = bus_at(server.allow("-@all", "+xadd", "resetkeys", f"~{STREAM}"))
    publishing = asyncio.ensure_future(
        bus.publish([(STREAM, Thing(name="tea")), ("turngate.other", Thing(name="milk"))])
    )
    before = errors("NOPERM")

    async def refused() -> bool:
        return errors("NOPERM") > before

    await until(refused)
    server.allow()
    assert await publishing == [None, None]
    assert (server.client.xlen(STREAM), server.client.xlen("turngate.other")) == (1, 1)
    await bus.close()


async def test_a_message_that_cannot_be_published_keeps_no_other_from_being(bus: Bus) -> None:
    await bus.redis.set(STREAM, "no stream")
    other = "turngate.other"
    without_json = Thing.model_construct(name="\ud83d")
    no_stream, no_json, good = await bus.publish(
        [(STREAM, Thing(name="tea")), (other, without_json), (other, Thing(name="tea"))]
    )
    assert "WRONGTYPE" in str(no_stream)
    assert "surrogate" in str(no_json)
    assert good is None
    assert await bus.redis.xlen("turngate.other") == 1


async def test_reading_pauses_while_it_is_not_permitted_and_goes_on_by_itself(
    server: Server, pauses: list[None]
) -> None:
    bus = bus_at(server.allow())
    got: list[str] = []

    async def take(batch: Batch[Thing]) -> None:
        got.extend(thing.name for thing in batch.messages)

    bus.consume(STREAM, GROUP, Thing, take, records=8)
    await bus.start()
    before = errors("NOPERM")
    server.allow("-xreadgroup")
    # Wakes the read that blocks.
    server.client.xadd(STREAM, {"__data__": '{"name": "tea"}'})

    async def refused_often() -> bool:
        return errors("NOPERM") - before >= 4

    await until(refused_often)
    assert len(pauses) >= errors("NOPERM") - before - 1
    server.allow()
    server.client.xadd(STREAM, {"__data__": '{"name": "milk"}'})

    async def both_read() -> bool:
        return got == ["tea", "milk"]

    await until(both_read)
    await bus.stop()
    await bus.close()


async def test_a_replica_s_connections_are_dropped_so_that_the_next_ones_find_the_new_master(
    server: Server, bus: Bus
) -> None:
    first = await bus.redis.client_id()
    assert await bus.redis.client_id() == first
    server.become_replica()
    with pytest.raises(Exception, match=r"read.?only"):
        await bus.publish([(STREAM, Thing(name="tea"))], tries=1)
    assert errors("READONLY") > 0
    assert await bus.redis.client_id() != first
    server.become_master()
    assert await bus.publish([(STREAM, Thing(name="tea"))]) == [None]


async def test_reading_goes_on_after_a_failover(server: Server, bus: Bus, pauses: list[None]) -> None:
    got: list[str] = []

    async def take(batch: Batch[Thing]) -> None:
        got.extend(thing.name for thing in batch.messages)

    bus.consume(STREAM, GROUP, Thing, take, records=8)
    await bus.start()
    watching = asyncio.ensure_future(bus.watch())
    before = errors("READONLY")
    server.become_replica()

    async def refused_often() -> bool:
        return errors("READONLY") - before >= 3

    await until(refused_often)
    assert not await bus.ready()
    server.become_master()
    await bus.publish([(STREAM, Thing(name="tea"))], tries=100)

    async def read() -> bool:
        return got == ["tea"]

    await until(read)
    assert await bus.ready()
    await end([watching])
    await bus.stop()


async def test_a_server_that_refuses_writes_is_not_ready_although_it_answers(server: Server, bus: Bus) -> None:
    assert await bus.ready()
    server.fill()
    assert await bus.redis.ping()
    assert not await bus.ready()
    server.free()
    assert await bus.ready()


async def test_what_cannot_be_handled_because_the_server_refuses_is_dropped_after_some_tries(
    server: Server, bus: Bus, pauses: list[None]
) -> None:
    handled: list[str] = []

    async def store(batch: Batch[Thing]) -> None:
        for thing in batch.messages:
            if thing.name == "tea":
                server.fill()
            await bus.redis.set(thing.name, "x")
            handled.append(thing.name)

    consumer = bus.consume(STREAM, GROUP, Thing, store, records=8)
    await bus.start()
    await bus.publish([(STREAM, Thing(name="tea"))])

    async def dropped() -> bool:
        return bool(REGISTRY.get_sample_value("turngate_entries_dropped_total", {"stream": STREAM}))

    await until(dropped)
    assert len(pauses) >= 4

    async def empty() -> bool:
        return await bus.redis.xlen(consumer.key) == 0

    # What waits for memory takes none.
    await until(empty)
    server.free()
    await bus.publish([(STREAM, Thing(name="milk"))])

    async def done() -> bool:
        return handled == ["milk"]

    await until(done)
    await bus.stop()


async def test_a_process_that_starts_while_the_server_is_full_works_as_soon_as_it_is_not(
    server: Server, bus: Bus, pauses: list[None]
) -> None:
    got: list[str] = []

    async def take(batch: Batch[Thing]) -> None:
        got.extend(thing.name for thing in batch.messages)

    bus.consume(STREAM, GROUP, Thing, take, records=8)
    server.fill()
    starting = asyncio.ensure_future(bus.start())

    async def refused() -> bool:
        return len(pauses) >= 2

    await until(refused)
    server.free()
    await starting
    assert bus.alive()
    await bus.publish([(STREAM, Thing(name="tea"))])

    async def read() -> bool:
        return got == ["tea"]

    await until(read)
    await bus.stop()


async def test_a_lost_group_is_made_again_although_the_server_was_full_meanwhile(server: Server, bus: Bus) -> None:
    got: list[str] = []

    async def take(batch: Batch[Thing]) -> None:
        got.extend(thing.name for thing in batch.messages)

    bus.consume(STREAM, GROUP, Thing, take, records=8)
    await bus.start()
    watching = asyncio.ensure_future(bus.watch())
    before = errors("OOM")
    server.fill()
    await bus.redis.flushdb()

    async def refused() -> bool:
        return errors("OOM") > before

    await until(refused)
    server.free()
    await bus.publish([(STREAM, Thing(name="tea"))])

    async def read() -> bool:
        return got == ["tea"]

    await until(read)
    await end([watching])
    await bus.stop()


async def test_reading_pauses_when_the_stream_is_no_stream(server: Server, bus: Bus, pauses: list[None]) -> None:
    async def take(batch: Batch[Thing]) -> None:
        """Nothing to do."""

    bus.consume(STREAM, GROUP, Thing, take, records=8)
    await bus.start()
    before = errors(trouble.ONE_COMMAND)
    await bus.redis.rename(STREAM, "turngate.old")
    await bus.redis.set(STREAM, "no stream")

    async def failed_often() -> bool:
        return errors(trouble.ONE_COMMAND) - before >= 4 or not bus.alive()

    await until(failed_often)
    assert len(pauses) >= errors(trouble.ONE_COMMAND) - before - 1
    await bus.redis.delete(STREAM)
    await bus.stop()
