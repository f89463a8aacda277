"""Journals on their way to Redis and to another gateway: what is written when, and what a server that refuses costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from gateway.session import claims
from gateway.session.claims import Claims
from gateway.session.journal_writer import JournalWriter
from session_state.config import ReservationSettings
from session_state.keys import JOURNAL_KEY
from session_state.owners import OWNER_KEY, RESUME_KEY, JournalEntry, OwnersClient
from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.process.tasks import end
from turngate.protocol.messages import JournalComplete, commands_stream

FOREVER = 3_600.0


class Session:
    """A session whose journal is a number that grows."""

    def __init__(self, name: str, epoch: int = 0) -> None:
        self.name = name
        self.epoch = epoch
        self.value = 0
        self.was_fenced = False
        self.broken = False
        self.written: list[bool] = []
        self._number = 0
        self._whole = True

    def journal_entry(self) -> JournalEntry | None:
        if self.broken:
            raise ZeroDivisionError("a defect")
        whole, self._whole = self._whole, False
        self._number += 1
        self.written.append(whole)
        parts = {"about": b'{"version":1,"value":%d}' % self.value}
        return JournalEntry(self.name, "a", self.epoch, self._number, whole, (f"key-{self.name}",), parts)

    def journal_lost(self) -> None:
        self._whole = True

    def fenced(self) -> None:
        self.was_fenced = True


class Server:
    """A stub of Redis, and a writer on it."""

    def __init__(self) -> None:
        self.keyspace = Keyspace(lambda: 1_000_000)
        self.owners = OwnersClient(StubRedis(at_once(self.keyspace)), ReservationSettings(), 60_000)
        self.writer = JournalWriter(self.owners, FOREVER)

    def value(self, name: str) -> bytes | None:
        found: bytes | None = self.keyspace.execute("HGET", JOURNAL_KEY + name, "about")
        return found

    def refuse(self, error: Callable[[], RedisError] | None) -> None:
        """From now on every script is refused with this error; with None, none is."""
        self.keyspace.refused = frozenset() if error is None else frozenset({"EVALSHA", "GET", "HGET"})
        if error is not None:
            self.keyspace.refusal = error


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    writing = asyncio.ensure_future(server.writer.run())
    yield server
    await end([writing])


async def until(fact: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not fact():
            await asyncio.sleep(0)


def oom() -> RedisError:
    return ResponseError("OOM command not allowed when used memory > 'maxmemory'.")


def unreachable() -> RedisError:
    return RedisConnectionError("gone")


# --- writing


async def test_what_is_urgent_is_written_at_once_and_the_rest_together(server: Server) -> None:
    one, other = Session("one"), Session("other")
    server.writer.changed(other, urgent=False)
    for _ in range(3):
        server.writer.changed(one, urgent=True)
    await until(lambda: server.value("one"))
    assert (one.written, other.written, server.writer.waiting) == ([True], [], 1)
    await server.writer.drain(FOREVER)
    assert other.written == [True]
    assert server.writer.waiting == 0


async def test_a_journal_that_redis_has_lost_is_written_as_a_whole(server: Server) -> None:
    one = Session("one")
    server.writer.changed(one, urgent=True)
    await server.writer.drain(FOREVER)
    server.keyspace.clear()
    one.value = 5
    server.writer.changed(one, urgent=True)
    await until(lambda: server.value("one"))
    assert one.written == [True, False, True]


@pytest.mark.parametrize("error", [oom, unreachable])
async def test_what_cannot_be_written_is_written_later_as_it_is_then(
    server: Server, error: Callable[[], RedisError]
) -> None:
    one = Session("one")
    server.refuse(error)
    server.writer.changed(one, urgent=True)
    await until(lambda: len(one.written) > 1)
    assert not server.writer.works
    one.value = 7
    server.refuse(None)
    await server.writer.drain(FOREVER)
    assert server.writer.works
    assert server.value("one") == b'{"version":1,"value":7}'
    assert all(one.written), "each time the whole"


async def test_a_session_that_fails_does_not_silence_others(server: Server) -> None:
    one, other, third = Session("one"), Session("other"), Session("third")
    one.broken = True
    server.keyspace.execute("SET", OWNER_KEY + "third", "what")
    for session in (one, third, other):
        server.writer.changed(session, urgent=True)
    await server.writer.drain(FOREVER)
    assert server.value("other")
    server.keyspace.execute("DEL", OWNER_KEY + "third")
    server.writer.changed(third, urgent=True)
    await server.writer.drain(FOREVER)
    assert third.written == [True, True]


async def test_a_session_of_another_gateway_hears_of_it(server: Server) -> None:
    one = Session("one")
    server.writer.changed(one, urgent=True)
    await server.writer.drain(FOREVER)
    assert await server.owners.claim(["key-one"], "b") is not None
    server.writer.changed(one, urgent=True)
    await server.writer.drain(FOREVER)
    assert one.was_fenced


async def test_a_session_that_is_over_is_forgotten_when_redis_is_back(server: Server) -> None:
    one = Session("one")
    server.writer.changed(one, urgent=True)
    await server.writer.drain(FOREVER)
    server.refuse(oom)
    server.writer.changed(one, urgent=False)
    server.writer.over("one", 0)
    await asyncio.sleep(0)
    assert server.writer.is_over("one"), "nobody may find it here meanwhile"
    server.refuse(None)
    await server.writer.drain(FOREVER)
    assert not server.writer.is_over("one")
    assert server.keyspace.execute("EXISTS", OWNER_KEY + "one", JOURNAL_KEY + "one", RESUME_KEY + "key-one") == 0


@pytest.mark.parametrize("urgent", [True, False])
async def test_a_session_that_changes_after_its_end_is_forgotten_all_the_same(server: Server, urgent: bool) -> None:
    session = Session("one")
    server.writer.changed(session, urgent=True)
    await until(lambda: server.value("one"))
    server.refuse(oom)
    server.writer.over("one", 0)
    server.writer.changed(session, urgent=urgent)
    server.refuse(None)
    await until(lambda: not server.writer.waiting)
    assert server.value("one") is None
    assert not server.writer.is_over("one")


async def test_a_drain_has_an_end(server: Server) -> None:
    server.refuse(oom)
    server.writer.changed(Session("one"), urgent=True)
    await server.writer.drain(0.01)
    assert server.writer.waiting


# --- claiming


async def written(server: Server, name: str = "one", **parts: bytes) -> None:
    server.keyspace.execute("XADD", commands_stream("a"), "*", "x", "y")
    server.keyspace.execute("XADD", commands_stream("b"), "*", "x", "y")
    given = {"about": b'{"version":1}'} | parts
    await server.owners.write([JournalEntry(name, "a", 0, 1, whole=True, keys=(f"key-{name}",), parts=given)])


async def test_a_claim_waits_for_the_owner_before(server: Server) -> None:
    await written(server)
    gateway = Claims(server.owners, "b", FOREVER)
    claiming = asyncio.ensure_future(gateway.claim(["unknown", "key-one"]))
    await until(lambda: server.keyspace.execute("HGET", OWNER_KEY + "one", "epoch") == b"1")
    for _ in range(10):
        await asyncio.sleep(0)
    assert not claiming.done()
    last = JournalEntry("one", "a", 0, 2, whole=True, keys=(), parts={"about": b'{"version":1,"last":true}'})
    await Claims(server.owners, "a", FOREVER).give("one", 1, last)
    gateway.completed(JournalComplete(session="one", epoch=1))
    taken = await claiming
    assert taken is not None
    assert (taken.session, taken.epoch, taken.complete) == ("one", 1, True)
    assert taken.parts["about"] == {"version": 1, "last": True}
    # Late, twice, or about something else: no effect.
    gateway.completed(JournalComplete(session="one", epoch=1))
    gateway.completed(JournalComplete(session="two", epoch=1))


async def test_the_word_of_the_owner_before_may_come_before_the_reply_to_the_claim(server: Server) -> None:
    await written(server)
    gateway = Claims(server.owners, "b", FOREVER)
    gateway.completed(JournalComplete(session="one", epoch=1))
    taken = await gateway.claim(["key-one"])
    assert taken is not None
    assert taken.complete


async def test_an_owner_that_is_gone_is_waited_for_only_so_long(server: Server) -> None:
    await written(server)
    taken = await Claims(server.owners, "b", 0.01).claim(["key-one"])
    assert taken is not None
    assert not taken.complete


async def test_an_owner_that_has_let_go_is_not_waited_for(server: Server) -> None:
    await written(server)
    before = Claims(server.owners, "a", FOREVER)
    entry = JournalEntry("one", "a", 0, 2, whole=True, keys=("key-one",), parts={"about": b'{"version":1}'}, last=True)
    assert await before.let_go(entry)
    taken = await Claims(server.owners, "b", FOREVER).claim(["key-one"])
    assert taken is not None
    assert taken.complete
    assert not await before.let_go(entry), "it is another gateway's now"


async def test_what_was_handed_over_is_written_again_until_somebody_has_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_LOOK", 0.0)
    await written(server)
    before = Claims(server.owners, "a", FOREVER)
    entry = JournalEntry("one", "a", 0, 2, whole=True, keys=("key-one",), parts={"about": b'{"version":1}'}, last=True)
    assert await before.let_go(entry)
    keeping = asyncio.ensure_future(before.keep(entry))
    server.keyspace.clear()
    await until(lambda: server.value("one"))
    server.refuse(oom)
    for _ in range(10):
        await asyncio.sleep(0)
    server.refuse(None)
    assert not keeping.done()
    taken = await Claims(server.owners, "b", FOREVER).claim(["key-one"])
    assert taken is not None
    assert taken.complete
    await keeping


async def test_a_client_that_has_had_a_session_is_looked_for_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_LOOK", 0.01)
    gateway = Claims(server.owners, "b", 0.01)
    assert await gateway.claim(["key-one"], surely=True) is None
    claiming = asyncio.ensure_future(gateway.claim(["key-one"], surely=True))
    await asyncio.sleep(0)
    await written(server)
    assert await gateway.claim(["key-two"]) is None
    assert await claiming is not None


async def test_nobody_keeps_a_journal_for_ever(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_KEPT", 0.01)
    await written(server)
    entry = JournalEntry("one", "a", 0, 2, whole=True, keys=("key-one",), parts={"about": b'{"version":1}'}, last=True)
    await Claims(server.owners, "a", FOREVER).keep(entry)


async def test_of_two_gateways_the_one_that_claims_first_gets_nothing(server: Server) -> None:
    await written(server)
    first = Claims(server.owners, "b", FOREVER)
    claiming = asyncio.ensure_future(first.claim(["key-one"]))
    await until(lambda: server.keyspace.execute("HGET", OWNER_KEY + "one", "epoch") == b"1")
    second = await Claims(server.owners, "c", 0.01).claim(["key-one"])
    first.completed(JournalComplete(session="one", epoch=1))
    assert second is not None
    assert second.epoch == 2
    assert await claiming is None


async def test_a_session_that_was_claimed_meanwhile_is_claimed_again_for_a_client_that_waits(server: Server) -> None:
    """The client came to the second gateway first, and is not there any more."""
    await written(server)
    first, second = Claims(server.owners, "b", FOREVER), Claims(server.owners, "c", 0.01)
    claiming = asyncio.ensure_future(first.claim(["key-one"], waits=lambda: True))
    await until(lambda: server.keyspace.execute("HGET", OWNER_KEY + "one", "epoch") == b"1")
    assert await second.claim(["key-one"]) is not None
    for epoch in (1, 3):
        first.completed(JournalComplete(session="one", epoch=epoch))
    taken = await claiming
    assert taken is not None
    assert taken.epoch == 3


@pytest.mark.parametrize("about", [b'{"version":99}', b"{", b"[]", b"1"])
async def test_a_journal_that_cannot_be_read_is_a_new_session(server: Server, about: bytes) -> None:
    await written(server, about=about)
    assert await Claims(server.owners, "b", 0.01).claim(["key-one"]) is None


@pytest.mark.parametrize("error", [oom, unreachable])
async def test_without_redis_there_is_a_new_session_and_nobody_else_is_suspected(
    server: Server, error: Callable[[], RedisError], monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(server)
    server.refuse(error)
    monkeypatch.setattr(claims, "_LAST_ENTRY", 0.05)
    gateway = Claims(server.owners, "b", 0.01)
    assert await gateway.claim(["key-one"]) is None
    assert await gateway.owns("one", 0)
    await gateway.give("one", 1, None)
    assert not await gateway.let_go(JournalEntry("one", "a", 0, 2, whole=True, keys=(), parts={"about": b"1"}))
