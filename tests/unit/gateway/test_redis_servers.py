"""On which Redis server a session begins, and on which one that returns is found."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.admission.resume_keys import Returning
from gateway.moves import Moves
from gateway.redis_servers import RedisServer, RedisServers
from gateway.session.claims import TakenUp
from gateway.session.publisher import Publisher
from turngate.bus.placement import preferred

NAMES = ["one", "two", "three"]
RETURNING = Returning(session_id=b"key")


@dataclass
class FakeMoves:
    """What one server knows. ``known``: the answer, None if it knows nothing, or an error; ``hangs``: it never
    answers."""

    known: int | Exception | None = None
    taken: bool = True
    hangs: bool = False
    asked: int = 0
    claimed: int = 0
    possible: bool = True
    later: list[int] = field(default_factory=list)

    async def knows(self, _: Returning) -> int | None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.known, Exception):
            raise self.known
        if self.known is None and self.asked > 1 and self.later:
            return self.later.pop()
        return self.known

    async def claim(self, returning: Returning, waits: Any) -> TakenUp | None:
        self.claimed += 1
        return TakenUp("s", 1, {}, complete=True) if self.taken else None


def servers(
    moves: dict[str, FakeMoves] | None = None, *, down: Collection[str] = (), leaving: Collection[str] = ()
) -> RedisServers:
    """Three servers, or those of ``moves``."""

    def server(name: str, one: FakeMoves) -> RedisServer:
        publisher, known = cast("Publisher", None), cast("Moves", one)
        return RedisServer(publisher, known, name, lambda: name not in down, name in leaving)

    given = moves or {name: FakeMoves() for name in NAMES}
    return RedisServers([server(name, one) for name, one in given.items()])


async def claim(all_of_them: RedisServers, returning: Returning = RETURNING) -> str | None:
    """The server of the session that was claimed."""
    found = await all_of_them.claim(returning, lambda: True)
    return None if found is None else found[0].name


def test_a_session_begins_on_the_server_that_it_prefers() -> None:
    assert servers().place("s").name == preferred("s", NAMES)[0]


def test_it_begins_on_the_next_if_that_does_not_work_or_is_leaving() -> None:
    first, second, third = preferred("s", NAMES)
    assert servers(down={first}).place("s").name == second
    assert servers(leaving={first}).place("s").name == second
    assert servers(down={first}, leaving={second}).place("s").name == third


def test_if_none_works_it_waits_for_the_first_that_is_not_leaving() -> None:
    first, second, _ = preferred("s", NAMES)
    assert servers(down=set(NAMES), leaving={first}).place("s").name == second


def test_a_gateway_is_ready_while_one_works_that_is_not_leaving() -> None:
    assert servers(down={"one", "two"}).ready
    assert not servers(down={"one", "two"}, leaving={"three"}).ready
    assert not servers(down=set(NAMES)).ready


async def test_the_server_that_knows_the_session_is_claimed_from() -> None:
    moves = {"one": FakeMoves(), "two": FakeMoves(known=5), "three": FakeMoves()}
    assert await claim(servers(moves)) == "two"
    assert [one.claimed for one in moves.values()] == [0, 1, 0]


async def test_of_two_the_one_that_has_heard_of_it_last_counts() -> None:
    assert await claim(servers({"one": FakeMoves(known=5), "two": FakeMoves(known=7)})) == "two"
    assert await claim(servers({"one": FakeMoves(known=5), "two": FakeMoves(known=7, taken=False)})) == "one"


@pytest.mark.parametrize("down", [{"two"}, set()])
async def test_a_server_that_hangs_does_not_hold_up_a_session_of_another(down: set[str]) -> None:
    async with asyncio.timeout(0.5):
        assert await claim(servers({"one": FakeMoves(known=5), "two": FakeMoves(hangs=True)}, down=down)) == "one"


async def test_a_client_whose_session_nobody_knows_does_not_wait_for_a_server_that_is_down() -> None:
    async with asyncio.timeout(0.5):
        assert await claim(servers({"one": FakeMoves(), "two": FakeMoves(hangs=True)}, down={"two"})) is None


async def test_a_server_that_cannot_be_reached_knows_nothing_and_unknown_sessions_are_counted() -> None:
    before = REGISTRY.get_sample_value("turngate_claims_total", {"outcome": "unknown"}) or 0
    moves = {"one": FakeMoves(known=RedisConnectionError("gone")), "two": FakeMoves()}
    assert await claim(servers(moves)) is None
    assert REGISTRY.get_sample_value("turngate_claims_total", {"outcome": "unknown"}) == before + 1
    assert [one.claimed for one in moves.values()] == [0, 0]


async def test_a_session_that_a_client_has_surely_had_is_looked_for_again() -> None:
    """Its server has lost it a moment ago, and its gateway writes it again."""
    moves = {"one": FakeMoves(later=[3]), "two": FakeMoves()}
    assert await claim(servers(moves)) is None
    assert await claim(servers(moves), Returning(handle=b"key", asks=True)) == "one"


async def test_a_client_that_says_nothing_of_a_session_asks_no_server() -> None:
    moves = {"one": FakeMoves(known=5), "two": FakeMoves()}
    assert await claim(servers(moves), Returning()) is None
    assert [one.asked for one in moves.values()] == [0, 0]


async def test_a_single_server_is_not_asked_first() -> None:
    moves = {"one": FakeMoves()}
    assert await claim(servers(moves)) == "one"
    assert moves["one"].asked == 0
