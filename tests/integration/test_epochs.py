"""Turn records and reservations of sessions that change their owner, rule by rule: on a real server, and on the stub of
Redis on which the simulation runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import RedisDsn
from redis.asyncio import Redis

from session_state.app import Turns
from session_state.config import SessionStateSettings
from session_state.owners import OwnersClient, Written
from session_state.store import Outcome, Reservation, Store
from tests.integration.owned import SERVERS, SETTINGS, claimed, connected, count, entry, owners_on, told
from tests.integration.services import client_event, until, working
from translator.app import wire as wire_translator
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus
from turngate.bus.consumer import Batch
from turngate.bus.entries import fields_of
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    DEAD_LETTERS,
    AddItems,
    Configuration,
    Intent,
    SendRelease,
    SessionClaimed,
    Slot,
    TurnRecord,
    commands_stream,
)


@pytest.fixture(params=SERVERS)
async def redis(request: pytest.FixtureRequest, broker_url: str) -> AsyncIterator[Redis]:
    async for client in connected(request.param, broker_url):
        yield client


@pytest.fixture
async def owners(redis: Redis) -> OwnersClient:
    return await owners_on(redis)


@pytest.fixture
async def bus(broker_url: str) -> AsyncIterator[Bus]:
    bus = Bus.connect(SessionStateSettings(redis_url=RedisDsn(broker_url)))
    yield bus
    await bus.close()


def record(version: int, epoch: int = 0, **fields: Any) -> TurnRecord:
    given = {"slot": Slot.IDLE, "last_seq": 1, "open_configuration": (1,)} | fields
    return TurnRecord(session="s", gateway="ab"[epoch], epoch=epoch, version=version, **given)


def reservation(turn: TurnRecord, release: str = "r") -> Reservation:
    intent = Intent(seq=1, configuration=Configuration(session={"instructions": "x"}))
    answer = AddItems(session="s", epoch=turn.epoch, seq=1)
    alone = SendRelease(session="s", epoch=turn.epoch, release=release, configures=(1,))
    return Reservation(turn, intent, answer, alone)


async def test_nothing_is_granted_to_an_older_epoch(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    await store.observe([record(5)])
    await owners.write([entry()])
    await claimed(owners)
    (step,) = await store.reserve([reservation(record(6))])
    assert (step.outcome, step.release) == (Outcome.FENCED, None)
    (step,) = await store.observe([record(7)])
    assert step.outcome is Outcome.FENCED
    assert await told(redis, "a") == [SessionClaimed(session="s", epoch=1, gateway="b")], "it is told nothing else"


async def test_an_older_epoch_cannot_end_the_session(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    await store.observe([record(5), record(1, 1), record(9, slot=Slot.CLOSED)])
    (step,) = await store.reserve([reservation(record(1, 1))])
    assert step.outcome is Outcome.GRANTED
    await store.observe([record(2, 1, slot=Slot.CLOSED)])
    (step,) = await store.observe([record(99)])
    assert step.outcome is Outcome.FENCED, "what is left of a closed session knows its epoch"


async def test_what_was_granted_to_the_owner_before_is_granted_again(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    (step,) = await store.reserve([reservation(record(5))])
    assert step.outcome is Outcome.GRANTED
    (step,) = await store.observe([record(1, 1)])
    assert step.outcome is Outcome.GRANTED
    assert step.release is not None
    assert (step.release.epoch, step.release.gateway) == (1, "b")
    assert [intent.seq for intent in step.release.intents] == [1]


async def test_what_is_held_is_granted_to_the_next_owner(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    (step,) = await store.reserve([reservation(record(5, slot=Slot.ACTIVE))])
    assert step.outcome is Outcome.HELD
    await owners.write([entry()])
    await claimed(owners)
    (step,) = await store.observe([record(1, 1)])
    assert step.release is not None
    assert (step.release.epoch, step.again, [intent.seq for intent in step.release.intents]) == (1, False, [1])


async def test_the_sweeper_grants_nothing_to_the_owner_before(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS.model_copy(update={"release_lease_ms": 0}))
    (step,) = await store.reserve([reservation(record(5))])
    assert step.outcome is Outcome.GRANTED
    await owners.write([entry()])
    await claimed(owners)
    (step,) = await store.revisit(["s"])
    assert (step.outcome, step.release) == (Outcome.HELD, None), "it waits for the new owner's first record"
    (step,) = await store.observe([record(1, 1)])
    assert step.release is not None
    assert (step.release.epoch, step.release.gateway) == (1, "b")


async def test_a_closed_session_that_was_claimed_keeps_the_epoch(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    await owners.write([entry()])
    await store.observe([record(9, slot=Slot.CLOSED)])
    await claimed(owners)
    (step,) = await store.revisit(["s"])
    assert step.outcome is Outcome.SETTLED
    (step,) = await store.observe([record(99)])
    assert step.outcome is Outcome.FENCED
    (step,) = await store.reserve([reservation(record(1, 1))])
    assert step.outcome is Outcome.GRANTED, "the session goes on at its new owner"


async def test_an_older_epoch_does_not_bring_back_what_a_newer_one_has_ended(
    owners: OwnersClient, redis: Redis
) -> None:
    store = Store(redis, SETTINGS)
    await owners.write([entry()])
    await claimed(owners)
    await owners.write([entry(1, "b", 1)])
    await store.observe([record(1, 1, slot=Slot.CLOSED)])
    await owners.forget("s", 1)
    # Its gateway was cut off all the time. Nothing would be granted to it, so it has to hear that it is not the owner.
    assert await owners.write([entry(2), entry(3, whole=True)]) == [Written.FENCED, Written.FENCED]
    assert await owners.claim(["k1"], "c") is None
    (step,) = await store.reserve([reservation(record(6))])
    assert step.outcome is Outcome.FENCED


async def test_of_the_records_that_are_read_together_the_newest_epoch_counts(redis: Redis, bus: Bus) -> None:
    store = Store(redis, SETTINGS)
    await Turns(store, bus).on_records(Batch([record(3, 1), record(99)]))
    described = await store.session("s")
    assert described is not None
    assert (described["epoch"], described["version"]) == (1, 3)


async def test_an_operator_sees_who_owns_a_session_and_whether_it_is_parked(owners: OwnersClient, redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    await store.observe([record(5, upstream_legs=2, client_legs=3, parked_since_ms=1)])
    described = await store.session("s")
    assert described is not None
    shown = {name: described[name] for name in ("gateway", "epoch", "claimed_epoch", "upstream_legs", "client_legs")}
    assert shown == {"gateway": "a", "epoch": 0, "claimed_epoch": None, "upstream_legs": 2, "client_legs": 3}
    assert described["parked_ms_ago"] >= 999
    await owners.write([entry()])
    await claimed(owners)
    described = await store.session("s")
    assert described is not None
    assert (described["gateway"], described["claimed_epoch"]) == ("a", 1), "the new owner has said nothing yet"
    await store.observe([record(1, 1)])
    described = await store.session("s")
    assert described is not None
    assert (described["gateway"], described["epoch"], described["claimed_epoch"]) == ("b", 1, None)
    assert described["parked_ms_ago"] is None


async def test_a_translator_is_done_with_a_request_that_an_older_epoch_makes(broker_url: str) -> None:
    settings = TranslatorSettings(redis_url=RedisDsn(broker_url))
    async with working(wire_translator(settings, Bus.connect(settings))) as redis:
        owners = OwnersClient(redis, settings, 60_000)
        await redis.xadd(commands_stream("g"), {"x": "y"})
        await owners.write([entry(gateway="g")])
        await claimed(owners)
        fenced = count("reservations", "fenced")
        await redis.xadd(CLIENT_EVENTS, fields_of(client_event(1, type="InjectUserMessage", content="tea")))

        async def done() -> bool:
            return count("reservations", "fenced") > fenced and await redis.xlen(CLIENT_EVENTS) == 0

        await until(done)
        assert await told(redis, "g") == [SessionClaimed(session="s", epoch=1, gateway="b")], "it is told nothing else"
        assert await redis.xlen(DEAD_LETTERS) == 0
