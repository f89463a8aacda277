"""Rendezvous hashing: the same everywhere, even, and with few moves when a server comes or goes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from uuid import UUID

import pytest

from turngate.bus.placement import preferred

SERVERS = ["one", "two", "three", "four"]
#: Of the sessions a, b and c over three servers.
ORDERS = [["three", "one", "two"], ["two", "three", "one"], ["one", "three", "two"]]
SESSIONS = [str(UUID(int=number)) for number in range(10_000)]


def test_the_order_is_known() -> None:
    """Another order would be another home for every session of the other version."""
    assert [preferred(session, ["one", "two", "three"]) for session in ("a", "b", "c")] == ORDERS


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_has_the_same_order(seed: str) -> None:
    program = "from turngate.bus.placement import preferred; print(*preferred('s', ['one', 'two', 'three']))"
    env = {**os.environ, "PYTHONHASHSEED": seed}
    printed = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == preferred("s", ["three", "one", "two"])


def test_sessions_are_spread_evenly() -> None:
    first = Counter(preferred(session, SERVERS)[0] for session in SESSIONS)
    assert all(abs(first[server] - 2_500) < 250 for server in SERVERS)


def test_those_of_a_server_that_is_left_are_spread_evenly_over_the_others() -> None:
    second = Counter(order[1] for order in (preferred(session, SERVERS) for session in SESSIONS) if order[0] == "one")
    assert all(abs(second[server] - second.total() / 3) < 150 for server in SERVERS[1:])


def test_a_server_more_takes_its_share_and_nothing_else_moves() -> None:
    before = {session: preferred(session, SERVERS)[0] for session in SESSIONS}
    after = {session: preferred(session, [*SERVERS, "five"])[0] for session in SESSIONS}
    moved = [session for session in SESSIONS if before[session] != after[session]]
    assert {after[session] for session in moved} == {"five"}
    assert abs(len(moved) - 2_000) < 250
