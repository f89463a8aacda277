"""The stub of Redis answers as a real server does: streams and their groups, with random commands. What scripts do is
compared in `test_store.py`."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.bus import consumer_groups, finishing

_STREAM, _LETTERS = "stream", "letters"


@pytest.fixture
async def redis(broker_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(broker_url, protocol=2)
    yield client
    await client.aclose()


class Side:
    """One server, and the ids that its entries got, by the order in which they were added."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ids: list[bytes] = []

    async def step(self, name: str, *given: Any) -> Any:
        """What can be seen of one command: ids as numbers, times left out."""
        try:
            return self._shown(await getattr(self, name)(*given))
        except ResponseError as error:
            return str(error).split()[0]

    async def add(self, most: int | None, create: bool) -> Any:
        fields: Any = {"n": len(self._ids)}
        added: Any = await self._redis.xadd(_STREAM, fields, maxlen=most, approximate=False, nomkstream=not create)
        if added is not None:
            self._ids.append(added)
        return added

    async def create(self, group: str, make: bool) -> Any:
        return await self._redis.xgroup_create(_STREAM, group, id="0", mkstream=make)

    async def read(self, group: str, consumer: str, most: int, noack: bool) -> Any:
        # Before Redis 7.2, who reads or claims nothing is no consumer yet.
        await self._redis.xgroup_createconsumer(_STREAM, group, consumer)
        return await self._redis.xreadgroup(group, consumer, {_STREAM: ">"}, count=most, noack=noack)

    async def pending(self, group: str) -> Any:
        found = await self._redis.xpending_range(_STREAM, group, min="-", max="+", count=10, idle=0)
        return [(one["message_id"], one["consumer"], one["times_delivered"]) for one in found]

    async def claim(self, group: str, consumer: str, number: int) -> Any:
        await self._redis.xgroup_createconsumer(_STREAM, group, consumer)
        return await self._redis.xclaim(_STREAM, group, consumer, 0, [self._id(number)])

    async def acknowledge(self, group: str, number: int) -> Any:
        return await self._redis.xack(_STREAM, group, self._id(number))

    async def finish(self, group: str, number: int) -> Any:
        return await finishing.finish(self._redis, _STREAM, group, [self._id(number)])

    async def bury(self, group: str, number: int) -> Any:
        return await finishing.bury(self._redis, _STREAM, group, self._id(number), _LETTERS, {"why": "x"}, 10)

    async def delete(self, number: int) -> Any:
        return await self._redis.xdel(_STREAM, self._id(number))

    async def trim(self, most: int) -> Any:
        return await self._redis.xtrim(_STREAM, maxlen=most, approximate=False)

    async def remove_silent(self, group: str) -> Any:
        return sorted(await consumer_groups.remove_silent(self._redis, _STREAM, group, 0))

    async def lose(self) -> Any:
        # A new stream may use the same ids again.
        self._ids.clear()
        return await self._redis.unlink(_STREAM)

    async def seen(self) -> Any:
        return await self._redis.xrange(_STREAM), await self._redis.xlen(_STREAM), await self._redis.xlen(_LETTERS)

    def _id(self, number: int) -> bytes:
        return self._ids[number % len(self._ids)] if self._ids else b"1-1"

    def _shown(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._shown(part) for part in value]
        return self._ids.index(value) if value in self._ids else value


_groups, _consumers, _numbers = st.sampled_from("gh"), st.sampled_from("ab"), st.integers(0, 9)
_steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from([None, None, None, 3]), st.booleans()),
    st.tuples(st.just("create"), _groups, st.booleans()),
    st.tuples(st.just("read"), _groups, _consumers, st.integers(1, 3), st.booleans()),
    st.tuples(st.just("read"), _groups, _consumers, st.integers(1, 3), st.just(False)),
    st.tuples(st.just("pending"), _groups),
    st.tuples(st.just("claim"), _groups, _consumers, _numbers),
    st.tuples(st.just("acknowledge"), _groups, _numbers),
    st.tuples(st.just("finish"), _groups, _numbers),
    st.tuples(st.just("bury"), _groups, _numbers),
    st.tuples(st.just("delete"), _numbers),
    st.tuples(st.just("trim"), st.integers(0, 3)),
    st.tuples(st.just("remove_silent"), _groups),
    st.tuples(st.just("lose")),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_steps, min_size=5, max_size=40))
async def test_commands_on_streams_are_answered_as_by_a_real_server(redis: Redis, steps: list[tuple[Any, ...]]) -> None:
    await redis.flushdb()
    clock = itertools.count(1_700_000_000_000_000, 1_000)
    real, stub = Side(redis), Side(StubRedis(at_once(Keyspace(lambda: next(clock)))))
    for step in (("create", "g", True), ("add", None, True), ("add", None, True), *steps):
        assert await stub.step(*step) == await real.step(*step), step
        assert await stub.step("seen") == await real.step("seen"), step
