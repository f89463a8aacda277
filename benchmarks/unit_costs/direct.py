"""Units of work that are measured without a gateway, as many at a time as a busy server gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

from benchmarks.load.driver import Driver
from benchmarks.scale.costs import CLAIMED, ENTRY, RECORD, REQUEST, REVISIT, WHOLE, Cost
from benchmarks.unit_costs.account import Account, Spent, per_unit
from benchmarks.unit_costs.live import Size
from session_state.config import SessionStateSettings
from session_state.keys import JOURNAL_KEY
from session_state.owners import Claim, JournalEntry, OwnersClient, Written
from session_state.store import Outcome, Reservation, Store
from turngate.bus.entries import fields_of
from turngate.local.stack import Stack
from turngate.protocol.messages import TURNS, AddItems, Configuration, Intent, SendRelease, Slot, TurnRecord

#: Apart from the keys of the stack.
_PREFIX = "unit-costs:"
#: What a gateway publishes in one round trip, and of how many sessions it writes the journals.
_PUBLISHED, _WRITTEN = 32, 16
#: Entries of a stream that may wait, well below its limit.
_AHEAD = 2_000
#: Sessions that the sweeper looks at together.
_SWEPT = 200
_SESSIONS = 1_600
_PATIENCE = 30.0
#: How long journals are kept.
_TTL_MS = 60_000


async def units(stack: Stack, redis: Redis, parts: Mapping[str, bytes], size: Size) -> dict[str, Cost]:
    """The cost of each unit, by its name. ``parts``: a session's journal."""
    own = _OwnWork(redis, stack.redis_url, parts)
    work: dict[str, tuple[Callable[[float], Awaitable[float]], str | None]] = {
        RECORD: (lambda seconds: _records(redis, seconds), None),
        REQUEST: (lambda seconds: _requests(stack.redis_url, seconds), None),
        ENTRY: (own.entries, "gateway"),
        WHOLE: (own.wholes, "gateway"),
        CLAIMED: (own.claims, "gateway"),
        REVISIT: (own.revisits, "session-state"),
    }
    found: dict[str, list[tuple[Spent, float]]] = {name: [] for name in work}
    for _ in range(size.rounds):
        for name, (do, mine) in work.items():
            one = Account(stack, redis)
            await one.open()
            began = time.process_time()
            done = await do(size.seconds)
            used = time.process_time() - began
            spent = await one.close()
            # This process does the work of a service.
            cpu = {mine: used, "broker": spent.cpu["broker"]} if mine is not None else spent.cpu
            found[name].append((Spent(spent.seconds, cpu, spent.to_redis, spent.from_redis, spent.counts), done))
    return {name: per_unit(rounds) for name, rounds in found.items()}


async def journal_of(redis: Redis) -> dict[str, bytes]:
    """The longest journal that Redis has, its parts by name. Raises LookupError if it has none."""
    found: dict[str, bytes] = {}
    async for key in redis.scan_iter(match=f"{JOURNAL_KEY}*"):
        parts: Any = await redis.hgetall(key)
        if sum(map(len, parts.values())) > sum(map(len, found.values())):
            found = {name.decode(): part for name, part in parts.items()}
    if not found:
        raise LookupError("there is no journal")
    return found


async def _records(redis: Redis, seconds: float) -> float:
    """Publish turn records of many sessions, whose slots are taken and freed in turn, until all are taken in."""
    run, end, version, done = uuid4().hex[:8], time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        version += 1
        slot = Slot.ACTIVE if version % 2 else Slot.IDLE
        for first in range(0, _SESSIONS, _PUBLISHED):
            async with redis.pipeline(transaction=False) as pipeline:
                for number in range(first, first + _PUBLISHED):
                    record = TurnRecord(
                        session=f"{run}-{number}", gateway="unit-costs", version=version, slot=slot, last_seq=3
                    )
                    pipeline.xadd(TURNS, fields_of(record), maxlen=10_000, approximate=True)
                await pipeline.execute()
            done += _PUBLISHED
            await _taken_in(redis, _AHEAD)
            if time.monotonic() >= end:
                break
    await _taken_in(redis, 0)
    return done


async def _taken_in(redis: Redis, left: int) -> None:
    async with asyncio.timeout(_PATIENCE):
        while await redis.xlen(TURNS) > left:
            await asyncio.sleep(0.005)


async def _requests(redis_url: str, seconds: float) -> float:
    driver = Driver(redis_url, 200)
    try:
        await driver.run(seconds)
    finally:
        await driver.close()
    return len(driver.took)


class _OwnWork:
    """Work for Redis that this process does in the place of a service."""

    def __init__(self, redis: Redis, redis_url: str, parts: Mapping[str, bytes]) -> None:
        # Validated from text, as from the environment.
        settings = SessionStateSettings.model_validate({"redis_url": redis_url, "redis_prefix": _PREFIX})
        self._owners = OwnersClient(redis, settings, _TTL_MS)
        self._store = Store(redis, settings)
        self._parts = parts
        self._number = 0
        #: New names for each round, since the sessions of the one before belong to another gateway.
        self._run = ""
        #: One more turn of a conversation.
        self._more = dict(list(parts.items())[-2:])

    async def wholes(self, seconds: float) -> float:
        """Write journals as wholes."""
        return await self._written(seconds, whole=True)

    async def entries(self, seconds: float) -> float:
        """Write what a step of a conversation adds to a journal."""
        self._number, self._run = 1, uuid4().hex[:8]
        for first in range(0, _SESSIONS, _WRITTEN):
            await self._owners.write([self._entry(number, True) for number in range(first, first + _WRITTEN)])
        return await self._written(seconds, whole=False)

    async def claims(self, seconds: float) -> float:
        """Claim sessions that have a journal, and take them up."""
        end, done = time.monotonic() + seconds, 0

        async def taken(number: int) -> None:
            claim = await self._owners.claim([f"{self._run}-{number}"], "unit-costs-2")
            assert isinstance(claim, Claim)
            assert await self._owners.take_up(claim)

        while time.monotonic() < end:
            first = done % _SESSIONS
            await asyncio.gather(*map(taken, range(first, first + _WRITTEN)))
            done += _WRITTEN
        return done

    async def revisits(self, seconds: float) -> float:
        """Look, as the sweeper does, at sessions in which something is held."""
        names = [f"held-{number}" for number in range(_SWEPT)]
        steps = await self._store.reserve([_held(name) for name in names])
        assert all(step.outcome is Outcome.HELD for step in steps)
        end, done = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            await self._store.overdue(_SWEPT)
            await self._store.revisit(names)
            done += _SWEPT
        return done

    async def _written(self, seconds: float, *, whole: bool) -> float:
        end, done = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            if done % _SESSIONS == 0:
                self._number += 1
            first = done % _SESSIONS
            outcomes = await self._owners.write(
                [self._entry(number, whole) for number in range(first, first + _WRITTEN)]
            )
            assert all(outcome is Written.WRITTEN for outcome in outcomes), outcomes[0]
            done += _WRITTEN
        return done

    def _entry(self, number: int, whole: bool) -> JournalEntry:
        parts, name = self._parts if whole else self._more, f"{self._run}-{number}"
        return JournalEntry(name, "unit-costs", 0, self._number, whole, (name,), parts)


def _held(session: str) -> Reservation:
    record = TurnRecord(
        session=session,
        gateway="unit-costs",
        version=1,
        slot=Slot.ACTIVE,
        last_seq=1,
        open_configuration=(1,),
    )
    intent = Intent(seq=1, configuration=Configuration(session={"instructions": "Be brief."}))
    return Reservation(
        record, intent, AddItems(session=session, seq=1), SendRelease(session=session, release=uuid4().hex)
    )
