"""What the tests of owners and epochs share: a session ``s``, gateways ``a``, ``b`` and ``c``, and the servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from prometheus_client import REGISTRY
from pydantic import TypeAdapter
from redis.asyncio import Redis

from session_state.config import ReservationSettings
from session_state.owners import Claim, JournalEntry, OwnersClient
from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.bus.entries import body_of
from turngate.protocol.messages import Command, commands_stream

SETTINGS = ReservationSettings(release_lease_ms=600_000, session_ttl_ms=600_000)
SERVERS = ("server", "stub")
_COMMAND: TypeAdapter[Any] = TypeAdapter(Command)


async def connected(which: str, url: str) -> AsyncIterator[Redis]:
    """A client of the real server, or of a stub that is new."""
    if which == "stub":
        yield StubRedis(at_once(Keyspace(lambda: 1_000_000)))
        return
    client: Redis = Redis.from_url(url)
    yield client
    await client.aclose()


async def owners_on(redis: Redis) -> OwnersClient:
    """A client of owners, on a server on which the gateways have their streams."""
    for gateway in ("a", "b", "c"):
        # A stream exists as long as its gateway reads it.
        await redis.xadd(commands_stream(gateway), {"x": "y"})
    return OwnersClient(redis, SETTINGS, 60_000)


def entry(number: int = 1, gateway: str = "a", epoch: int = 0, **fields: Any) -> JournalEntry:
    """An entry of the session's journal; the first is whole."""
    given: dict[str, Any] = {"whole": number == 1, "keys": ("k1",), "parts": {"about": b'{"n":%d}' % number}} | fields
    return JournalEntry("s", gateway, epoch, number, **given)


async def told(redis: Redis, gateway: str) -> list[Any]:
    """The commands for this gateway."""
    entries: Any = await redis.xrange(commands_stream(gateway))
    return [_COMMAND.validate_json(body_of(fields)) for _, fields in entries[1:]]


async def claimed(owners: OwnersClient, gateway: str = "b") -> Claim:
    """Its claim of the session."""
    claim = await owners.claim(["k1"], gateway)
    assert claim is not None
    return claim


def count(metric: str, outcome: str) -> float:
    """This counter of the process now."""
    return REGISTRY.get_sample_value(f"turngate_{metric}_total", {"outcome": outcome}) or 0
