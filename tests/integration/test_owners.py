"""Owners and journals, rule by rule: on a real server, and on the stub of Redis on which the simulation runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from session_state.config import ReservationSettings
from session_state.owners import JOURNAL_KEY, OWNER_KEY, RESUME_KEY, Claim, JournalEntry, OwnersClient, Written
from session_state.store import SESSION_KEY, Outcome, Reservation, Store
from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.bus.entries import body_of
from turngate.protocol.messages import (
    AddItems,
    Command,
    Configuration,
    Intent,
    JournalComplete,
    SendRelease,
    SessionClaimed,
    Slot,
    TurnRecord,
    commands_stream,
)

SETTINGS = ReservationSettings(release_lease_ms=600_000, session_ttl_ms=600_000)


@pytest.fixture(params=["server", "stub"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    if request.param == "stub":
        yield StubRedis(at_once(Keyspace(lambda: 1_000_000)))
        return
    client: Redis = Redis.from_url(request.getfixturevalue("broker_url"))
    yield client
    await client.aclose()


@pytest.fixture
async def owners(redis: Redis) -> OwnersClient:
    for gateway in ("a", "b", "c"):
        # A stream exists as long as its gateway reads it.
        await redis.xadd(commands_stream(gateway), {"x": "y"})
    return OwnersClient(redis, SETTINGS, 60_000)


def entry(number: int = 1, gateway: str = "a", epoch: int = 0, **fields: Any) -> JournalEntry:
    given: dict[str, Any] = {"whole": number == 1, "keys": ("k1",), "parts": {"about": b'{"n":%d}' % number}} | fields
    return JournalEntry("s", gateway, epoch, number, **given)


async def told(redis: Redis, gateway: str) -> list[Any]:
    """The commands for this gateway."""
    from pydantic import TypeAdapter

    entries: Any = await redis.xrange(commands_stream(gateway))
    return [TypeAdapter(Command).validate_json(body_of(fields)) for _, fields in entries[1:]]


async def claimed(owners: OwnersClient, gateway: str = "b") -> Claim:
    claim = await owners.claim(["k1"], gateway)
    assert claim is not None
    return claim


# --- writing


async def test_entries_are_written_in_order_and_read_as_a_whole(owners: OwnersClient) -> None:
    first = entry(parts={"about": b"1", "item:1": b"{}", "item:2": b"[]"})
    second = entry(2, parts={"about": b"2"}, gone=("item:1",))
    assert await owners.write([first, second]) == [Written.WRITTEN, Written.WRITTEN]
    journal = await owners.take_up(await claimed(owners))
    assert journal is not None
    assert (journal.number, journal.parts) == (2, {"about": b"2", "item:2": b"[]"})


async def test_after_a_missing_entry_only_a_whole_one_is_written(owners: OwnersClient) -> None:
    assert await owners.write([entry(2), entry(), entry(3), entry(2), entry(9, whole=True), entry(10)]) == [
        Written.GAP,
        Written.WRITTEN,
        Written.GAP,
        Written.WRITTEN,
        Written.WRITTEN,
        Written.WRITTEN,
    ]


async def test_a_journal_that_was_lost_is_written_anew(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await redis.delete(OWNER_KEY + "s", JOURNAL_KEY + "s", RESUME_KEY + "k1")
    assert await owners.claim(["k1"], "b") is None
    assert await owners.write([entry(2)]) == [Written.GAP]
    assert await owners.write([entry(3, whole=True)]) == [Written.WRITTEN]
    assert (await claimed(owners)).epoch == 1


async def test_everything_expires(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await claimed(owners)
    for key in (OWNER_KEY + "s", JOURNAL_KEY + "s", RESUME_KEY + "k1", SESSION_KEY + "s"):
        assert await redis.pttl(key) > 0, key


async def test_a_session_whose_keys_are_unreadable_fails_alone(owners: OwnersClient, redis: Redis) -> None:
    await redis.set(OWNER_KEY + "s", "what")
    other = JournalEntry("t", "a", 0, 1, whole=True, keys=("k2",), parts={"about": b"1"})
    failed, written = await owners.write([entry(), other])
    assert isinstance(failed, Exception)
    assert written is Written.WRITTEN
    await redis.set(RESUME_KEY + "k1", "s")
    assert await owners.claim(["k1"], "b") is None


# --- keys


async def test_a_session_is_found_by_its_newest_keys_alone(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry(), entry(2, keys=("k2", "k3"))])
    assert await owners.claim(["k1", "k4"], "b") is None
    claim = await owners.claim(["k4", "k3"], "b")
    assert claim == Claim("s", 1, "a", complete=False)
    await owners.write([entry(1, "b", 1, keys=())])
    assert await owners.claim(["k2", "k3"], "c") is None
    assert await redis.exists(RESUME_KEY + "k2", RESUME_KEY + "k3") == 0


async def test_a_key_that_another_session_has_taken_is_not_this_ones(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await redis.set(RESUME_KEY + "k1", "t")
    assert await owners.claim(["k1"], "b") is None
    await owners.forget("s", 0)
    assert await redis.get(RESUME_KEY + "k1") == b"t"


async def test_a_session_that_is_over_is_forgotten_by_its_owner_alone(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await claimed(owners)
    await owners.forget("s", 0)
    assert await redis.exists(OWNER_KEY + "s", JOURNAL_KEY + "s", RESUME_KEY + "k1") == 3
    await owners.forget("s", 1)
    assert await redis.exists(OWNER_KEY + "s", JOURNAL_KEY + "s", RESUME_KEY + "k1") == 0


# --- claims


async def test_the_owner_before_is_told_and_refused_from_then_on(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    assert await owners.owns("s", 0)
    assert await claimed(owners) == Claim("s", 1, "a", complete=False)
    assert await told(redis, "a") == [SessionClaimed(session="s", epoch=1, gateway="b")]
    assert await owners.write([entry(2), entry(3, whole=True)]) == [Written.FENCED, Written.FENCED]
    assert (await owners.owns("s", 0), await owners.owns("s", 1)) == (False, True)
    assert await owners.owns("unknown", 0)


async def test_it_completes_the_journal_once(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    claim = await claimed(owners)
    last = entry(7, whole=True, parts={"about": b"last"})
    assert await owners.complete("s", 1, last)
    assert await told(redis, "b") == [JournalComplete(session="s", epoch=1)]
    assert not await owners.complete("s", 1, last)
    journal = await owners.take_up(claim)
    assert journal is not None
    assert (journal.number, journal.parts) == (7, {"about": b"last"})
    assert await owners.write([entry(1, "b", 1)]) == [Written.WRITTEN]


async def test_it_may_have_nothing_to_add(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    claim = await claimed(owners)
    assert await owners.complete("s", 1, None)
    assert await told(redis, "b") == [JournalComplete(session="s", epoch=1)]
    journal = await owners.take_up(claim)
    assert journal is not None
    assert journal.parts == {"about": b'{"n":1}'}


async def test_it_is_too_late_when_the_journal_was_taken_up(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    assert await owners.take_up(await claimed(owners)) is not None
    assert not await owners.complete("s", 1, entry(7, whole=True))
    assert await told(redis, "b") == []


async def test_nobody_waits_for_an_owner_that_has_let_go(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry(last=True)])
    assert await claimed(owners) == Claim("s", 1, "a", complete=True)
    assert await told(redis, "a") == []


async def test_of_two_claims_the_last_wins_and_gets_the_journal_of_the_first_owner(
    owners: OwnersClient, redis: Redis
) -> None:
    await owners.write([entry()])
    first, second = await claimed(owners, "b"), await claimed(owners, "c")
    assert (second.epoch, second.gateway, second.complete) == (2, "b", False)
    assert await told(redis, "b") == [SessionClaimed(session="s", epoch=2, gateway="c")]
    assert not await owners.complete("s", 2, None), "the gateway between has nothing, and nobody waits for it"
    assert await owners.complete("s", 1, entry(7, whole=True, parts={"about": b"last"}))
    assert await told(redis, "c") == [JournalComplete(session="s", epoch=2)]
    assert await owners.take_up(first) is None
    journal = await owners.take_up(second)
    assert journal is not None
    assert journal.parts == {"about": b"last"}


async def test_a_gateway_may_claim_what_was_its_own(owners: OwnersClient) -> None:
    """One that was started anew under its name."""
    await owners.write([entry()])
    assert (await claimed(owners, "a")).epoch == 1
    assert await owners.write([entry(2)]) == [Written.FENCED]


async def test_a_claim_of_a_session_without_a_journal_finds_nothing(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    claim = await claimed(owners)
    await redis.delete(JOURNAL_KEY + "s")
    assert await owners.take_up(claim) is None


async def test_where_redis_has_lost_the_claim_the_newest_epoch_is_written(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await redis.delete(OWNER_KEY + "s")
    assert await owners.write([entry(1, "b", 1), entry(2)]) == [Written.WRITTEN, Written.FENCED]


# --- the turn


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
