"""Owners and journals, rule by rule: on a real server, and on the stub of Redis on which the simulation runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from session_state.keys import JOURNAL_KEY, SESSION_KEY
from session_state.owners import OWNER_KEY, RESUME_KEY, Claim, JournalEntry, OwnersClient, Written
from tests.integration.owned import SERVERS, SETTINGS, claimed, connected, count, entry, owners_on, told
from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.protocol.messages import JournalComplete, SessionClaimed, commands_stream


@pytest.fixture(params=SERVERS)
async def redis(request: pytest.FixtureRequest, broker_url: str) -> AsyncIterator[Redis]:
    async for client in connected(request.param, broker_url):
        yield client


@pytest.fixture
async def owners(redis: Redis) -> OwnersClient:
    return await owners_on(redis)


# --- writing


async def test_entries_are_written_in_order_and_read_as_a_whole(owners: OwnersClient) -> None:
    first = entry(parts={"about": b"1", "item:1": b"{}", "item:2": b"[]"})
    second = entry(2, parts={"about": b"2"}, gone=("item:1",))
    assert await owners.write([first, second]) == [Written.WRITTEN, Written.WRITTEN]
    journal = await owners.take_up(await claimed(owners))
    assert journal is not None
    assert journal == {"about": b"2", "item:2": b"[]"}


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
    await redis.flushall()
    assert await owners.claim(["k1"], "b") is None
    assert await owners.write([entry(2)]) == [Written.GAP]
    assert await owners.write([entry(3, whole=True)]) == [Written.WRITTEN]
    assert (await claimed(owners)).epoch == 1


async def test_how_long_a_session_will_be_known_by_its_keys(owners: OwnersClient, redis: Redis) -> None:
    """By which a gateway finds the newest session of a client on several servers."""
    assert await owners.known(["k1", "k2"]) is None
    await owners.write([entry(keys=("k1", "k2"))])
    await redis.pexpire(RESUME_KEY + "k1", 5_000)
    assert 0 <= (await owners.known(["k1"]) or -1) <= 5_000 < (await owners.known(["k3", "k1", "k2"]) or 0) <= 60_000
    await owners.forget("s", 0)
    assert await owners.known(["k1", "k2"]) is None


async def test_everything_expires_at_every_step(owners: OwnersClient, redis: Redis) -> None:
    async def all_expire() -> None:
        for key in (OWNER_KEY + "s", JOURNAL_KEY + "s", RESUME_KEY + "k1", RESUME_KEY + "k2", SESSION_KEY + "s"):
            assert await redis.pttl(key) != -1, key

    await owners.write([entry(), entry(2, keys=("k1", "k2"), parts={})])
    await all_expire()
    claim = await claimed(owners)
    await all_expire()
    assert await owners.complete("s", 1, entry(7, whole=True, keys=("k1", "k2")))
    await all_expire()
    assert await owners.take_up(claim) is not None
    await owners.write([entry(1, "b", 1, keys=("k1", "k2"), last=True)])
    await all_expire()
    assert await redis.exists(OWNER_KEY + "s", JOURNAL_KEY + "s", RESUME_KEY + "k2", SESSION_KEY + "s") == 4


async def test_operators_can_count_entries_and_claims(owners: OwnersClient, redis: Redis) -> None:
    outcomes = [("journal_entries", name) for name in ("written", "gap", "fenced", "failed")]
    outcomes += [("claims", name) for name in ("claimed", "unknown", "failed")]
    before = [count(*outcome) for outcome in outcomes]
    await owners.write([entry(), entry(5), entry(2)])
    await claimed(owners)
    await owners.write([entry(3)])
    assert await owners.claim(["k9"], "b") is None
    await redis.delete(OWNER_KEY + "s")
    await redis.set(OWNER_KEY + "s", "what")
    await owners.write([entry()])
    assert await owners.claim(["k1"], "c") is None
    assert [count(*outcome) - was for outcome, was in zip(outcomes, before, strict=True)] == [2, 1, 1, 1, 1, 1, 1]


# --- keys of another type


async def test_a_session_whose_keys_are_unreadable_fails_alone(owners: OwnersClient, redis: Redis) -> None:
    await redis.set(OWNER_KEY + "s", "what")
    other = JournalEntry("t", "a", 0, 1, whole=True, keys=("k2",), parts={"about": b"1"})
    failed, written = await owners.write([entry(), other])
    assert isinstance(failed, Exception)
    assert written is Written.WRITTEN
    await redis.set(RESUME_KEY + "k1", "s")
    with capture_logs(processors=[merge_contextvars]) as logs:
        claim = await owners.claim(["k1", "k2"], "b")
    assert claim == Claim("t", 1, "a", complete=False), "a key that cannot be used costs the others nothing"
    assert [line["session"] for line in logs if line["event"] == "owner_unreadable"] == ["s"]
    assert await owners.take_up(Claim("s", 1, "a", complete=False)) is None
    assert not await owners.complete("s", 1, None)
    await owners.forget("s", 0)
    assert await owners.epoch("s") is None, "as one of which nothing is known"


async def test_a_resume_key_of_another_type_is_unknown(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry(keys=("k1", "k2"))])
    await redis.delete(RESUME_KEY + "k1")
    await redis.hset(RESUME_KEY + "k1", "what", "ever")
    assert await owners.claim(["k1", "k2"], "b") == Claim("s", 1, "a", complete=False)
    assert await owners.write([entry(1, "b", 1, keys=("k3",))]) == [Written.WRITTEN]
    await owners.forget("s", 1)
    assert await redis.hget(RESUME_KEY + "k1", "what") == b"ever", "it is not this session's"


async def test_a_claim_that_cannot_be_carried_out_changes_nothing(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await redis.set(SESSION_KEY + "s", "what")
    assert await owners.claim(["k1"], "b") is None
    assert await told(redis, "a") == []
    assert await owners.write([entry(2)]) == [Written.WRITTEN], "it is still the owner"


async def test_an_owner_that_cannot_be_told_is_as_one_that_is_gone(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    await redis.delete(commands_stream("a"))
    await redis.set(commands_stream("a"), "what")
    claim = await claimed(owners)
    assert claim == Claim("s", 1, "a", complete=False)
    assert await owners.take_up(claim) is not None


async def test_what_concerns_the_server_is_raised() -> None:
    keyspace = Keyspace(lambda: 1_000_000)
    owners = OwnersClient(StubRedis(at_once(keyspace)), SETTINGS, 60_000)
    await owners.write([entry()])
    failed = count("claims", "failed")
    keyspace.refused, keyspace.refusal = frozenset({"EVALSHA", "HGET"}), lambda: OutOfMemoryError("no memory")
    claim = Claim("s", 1, "a", complete=False)
    asked = (
        owners.write([entry(2)]),
        owners.claim(["k1"], "b"),
        owners.take_up(claim),
        owners.complete("s", 1, None),
        owners.forget("s", 0),
        owners.epoch("s"),
    )
    for asking in asked:
        with pytest.raises(OutOfMemoryError):
            await asking
    assert count("claims", "failed") == failed + 1


# --- keys


async def test_a_session_is_found_by_its_newest_keys_alone(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry(), entry(2, keys=("k2", "k3"))])
    assert await owners.claim(["k1", "k4"], "b") is None
    claim = await owners.claim(["k4", "k3"], "b")
    assert claim == Claim("s", 1, "a", complete=False)
    await owners.write([entry(1, "b", 1, keys=())])
    assert await owners.claim(["k2", "k3"], "c") is None
    assert await redis.exists(RESUME_KEY + "k2", RESUME_KEY + "k3") == 0


async def test_a_key_that_the_session_does_not_list_any_more_does_not_lead_to_it(
    owners: OwnersClient, redis: Redis
) -> None:
    await owners.write([entry()])
    await redis.set(RESUME_KEY + "k9", "s")
    assert await owners.claim(["k9"], "b") is None
    assert await owners.epoch("s") == 0


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
    assert await owners.epoch("s") == 0
    assert await claimed(owners) == Claim("s", 1, "a", complete=False)
    assert await told(redis, "a") == [SessionClaimed(session="s", epoch=1, gateway="b")]
    assert await owners.write([entry(2), entry(3, whole=True)]) == [Written.FENCED, Written.FENCED]
    assert (await owners.epoch("s"), await owners.epoch("unknown")) == (1, None)


async def test_it_completes_the_journal_once(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    claim = await claimed(owners)
    last = entry(7, whole=True, parts={"about": b"last"})
    assert await owners.complete("s", 1, last)
    assert await told(redis, "b") == [JournalComplete(session="s", epoch=1)]
    assert not await owners.complete("s", 1, last)
    journal = await owners.take_up(claim)
    assert journal is not None
    assert journal == {"about": b"last"}
    assert await owners.write([entry(1, "b", 1)]) == [Written.WRITTEN]


async def test_it_may_have_nothing_to_add(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    claim = await claimed(owners)
    assert await owners.complete("s", 1, None)
    assert await told(redis, "b") == [JournalComplete(session="s", epoch=1)]
    journal = await owners.take_up(claim)
    assert journal is not None
    assert journal == {"about": b'{"n":1}'}


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
    assert journal == {"about": b"last"}


async def test_the_first_of_two_claims_may_be_taken_up_before_the_second(owners: OwnersClient) -> None:
    await owners.write([entry()])
    first = await claimed(owners, "b")
    assert await owners.take_up(first) is not None
    second = await claimed(owners, "c")
    assert not await owners.complete("s", 1, entry(7, whole=True)), "nobody waits for the first owner any more"
    assert await owners.complete("s", 2, entry(1, "b", 1, parts={"about": b"of b"}))
    journal = await owners.take_up(second)
    assert journal is not None
    assert journal == {"about": b"of b"}


async def test_an_owner_that_writes_waits_no_more(owners: OwnersClient) -> None:
    await owners.write([entry()])
    await claimed(owners)
    assert await owners.write([entry(1, "b", 1, parts={"about": b"of b"})]) == [Written.WRITTEN]
    assert not await owners.complete("s", 1, entry(7, whole=True)), "it would replace what is newer"
    journal = await owners.take_up(await claimed(owners, "c"))
    assert journal is not None
    assert journal == {"about": b"of b"}


async def test_everything_may_be_lost_while_a_session_changes_its_owner(owners: OwnersClient, redis: Redis) -> None:
    await owners.write([entry()])
    claim = await claimed(owners)
    await redis.flushall()
    assert not await owners.complete("s", 1, entry(7, whole=True))
    assert await owners.take_up(claim) is None
    assert await owners.epoch("s") is None
    await owners.forget("s", 1)
    # Each of the two goes on as if there were no other one, until the newer one is heard of.
    assert await owners.write([entry(8, whole=True), entry(9, "b", 1), entry(9)]) == [
        Written.WRITTEN,
        Written.GAP,
        Written.WRITTEN,
    ]
    assert await owners.write([entry(3, "b", 1, whole=True), entry(10), entry(11, whole=True)]) == [
        Written.WRITTEN,
        Written.FENCED,
        Written.FENCED,
    ]


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
