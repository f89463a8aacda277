"""Units of work that are measured through a gateway, with the upstream by TLS and sessions that may be resumed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis

from benchmarks.environment import Subject, processes_of
from benchmarks.load.audio_source import AudioSource
from benchmarks.load.frames import FRAME_SECONDS
from benchmarks.load.generator import Generator, without_collections
from benchmarks.load.pacing import Pacer
from benchmarks.load.session import clock
from benchmarks.parts.frame_latency import drained, steadily, upload
from benchmarks.percentiles import percentile
from benchmarks.processes import open_files, resident_by_kind
from benchmarks.scale.costs import BOTH, CONNECT, EXCHANGE, SETTINGS, TURN, UP, Check, Cost
from benchmarks.unit_costs.account import Account, Spent, per_unit
from benchmarks.unit_costs.callers import RATE, Caller, calling
from turngate.local.stack import Stack

#: Seconds until the work caused by what went before is done.
_SETTLING = 1.0
#: Exchanges in a cycle, and seconds between two of them in a session.
_EXCHANGES, _PAUSE, _REPLY = 4, 0.1, 0.2
#: Seconds that the generator may be late (p95), and tries until it is in time.
_IN_TIME, _TRIES = 0.008, 4
#: With audio: how long an agent speaks, as a share of a cycle.
_SPOKEN = 0.4


@dataclass(frozen=True)
class Size:
    """How much is done in each measurement."""

    rounds: int = 3
    sessions: int = 50
    #: With audio in all of them: about as many as a gateway should carry.
    audio_sessions: int = 120
    seconds: float = 3.0
    #: Sessions whose memory is measured, and cycles of exchanges that each of them has had.
    memory_sessions: int = 100
    cycles: int = 3
    checks: tuple[int, int] = (200, 1_000)
    check_seconds: float = 8.0


async def units(generator: Generator, stack: Stack, redis: Redis, size: Size) -> dict[str, Cost]:
    """The cost of each unit, by its name."""
    found: dict[str, list[tuple[Spent, float]]] = {}

    async def account(name: str, work: Callable[[], Awaitable[float]]) -> None:
        one = Account(stack, redis)
        await one.open()
        done = await work()
        found.setdefault(name, []).append((await one.close(), done))

    async def connect() -> float:
        async with calling(generator, stack.gateway_url, size.sessions):
            pass
        return size.sessions

    for _ in range(size.rounds):
        await account(CONNECT, connect)
        async with calling(generator, stack.gateway_url, size.sessions) as callers, without_collections():
            await asyncio.sleep(_SETTLING)
            for name, work in _WORK.items():
                await account(name, partial(work, callers, size.seconds))
        async with calling(generator, stack.gateway_url, size.audio_sessions) as callers, without_collections():
            for name, both in ((UP, False), (BOTH, True)):
                found.setdefault(name, []).append(await _in_time(stack, redis, callers, size.seconds, both=both))
    return {name: per_unit(rounds) for name, rounds in found.items()}


async def silent(generator: Generator, stack: Stack, redis: Redis, size: Size, heartbeat: float) -> Cost:
    """The cost of a turn record of a session in which nothing happens; ``heartbeat`` is the stack's, in seconds."""
    rounds = []
    async with calling(generator, stack.gateway_url, size.sessions):
        await asyncio.sleep(max(_SETTLING, 2 * heartbeat))
        for _ in range(size.rounds):
            one = Account(stack, redis)
            await one.open()
            await asyncio.sleep(size.seconds)
            spent = await one.close()
            rounds.append((spent, spent.counts["records"]))
    return per_unit(rounds)


async def silent_memory(generator: Generator, stack: Stack, redis: Redis, size: Size) -> tuple[float, float, float]:
    """Bytes of the gateway and of Redis for a session that is silent and whose client cannot return, and its open files
    in the gateway. The stack must be new."""
    before = await _warmed_up(generator, stack, redis)
    async with calling(generator, stack.gateway_url, size.memory_sessions, resumable=False):
        await asyncio.sleep(_SETTLING)
        after = await _held(stack, redis)
    gateway, broker, files = ((new - old) / size.memory_sessions for new, old in zip(after, before, strict=True))
    return gateway, broker, files


async def memory(generator: Generator, stack: Stack, redis: Redis, size: Size) -> tuple[float, float, float]:
    """Bytes of the gateway for a session that has talked, the same when it is parked, and bytes of Redis. The stack
    must be new, and loses its gateway."""
    count = size.memory_sessions
    before = await _warmed_up(generator, stack, redis)
    async with calling(generator, stack.gateway_url, count) as callers, without_collections():
        await _cycles(callers, size.cycles)
        await _audio(callers, None, 0.0, both=True)
        await asyncio.sleep(_SETTLING)
        talked = await _held(stack, redis)
        for caller in callers:
            caller.hang_up()
        await asyncio.sleep(_SETTLING)
        parked = await _held(stack, redis)
        # Ends the parked sessions, for which the upstream would wait.
        stack.processes["gateway-1"].kill_permanently()
    return (talked[0] - before[0]) / count, (parked[0] - before[0]) / count, (talked[1] - before[1]) / count


async def _warmed_up(generator: Generator, stack: Stack, redis: Redis) -> tuple[float, float, float]:
    async with calling(generator, stack.gateway_url, 25) as first:
        await _cycles(first, 1)
        await _audio(first, None, 0.0, both=True)
    await asyncio.sleep(_SETTLING)
    return await _held(stack, redis)


async def _held(stack: Stack, redis: Redis) -> tuple[float, float, float]:
    """Memory of the gateway and of Redis, and the gateway's open files."""
    watched, used = processes_of(stack), await redis.info("memory")
    return float(resident_by_kind(watched)["gateway"]), float(used["used_memory"]), open_files(watched["gateway-1"])


async def checks(generator: Generator, stack: Stack, redis: Redis, size: Size) -> tuple[Check, ...]:
    """Everything together: audio in all of some sessions while each does exchanges; and more sessions without audio."""
    talking, quiet = size.checks
    return (
        await _check(generator, stack, redis, talking, size.check_seconds, talking=True),
        await _check(generator, stack, redis, quiet, size.check_seconds, talking=False),
    )


async def _check(
    generator: Generator, stack: Stack, redis: Redis, count: int, seconds: float, *, talking: bool
) -> Check:
    async with calling(generator, stack.gateway_url, count) as callers, without_collections():
        await asyncio.sleep(2 * _SETTLING)
        pacer = None
        if talking:
            sources = [AudioSource(caller.session, caller.exchanges, RATE) for caller in callers]
            pacer = Pacer([send for source in sources for send in (source.upload, source.download)])
            pacer.start()
        one = Account(stack, redis)
        await one.open()
        sessions = [caller.session for caller in callers]
        for session in sessions:
            session.up.forget()
            session.down.forget()
        # Each session does one cycle, at its time.
        try:
            async with asyncio.TaskGroup() as group:
                for number, caller in enumerate(callers):
                    group.create_task(_later(caller, number / count * seconds / 2, seconds / 2 * _SPOKEN))
            spent = await one.close()
            heard, spoken = (
                sum(flow.frames for flow in flows) * FRAME_SECONDS
                for flows in ([session.up for session in sessions], [session.down for session in sessions])
            )
        finally:
            if pacer is not None:
                pacer.stop()
        await drained(sessions)
    work = {EXCHANGE: float(count * _EXCHANGES), UP: heard - spoken, BOTH: spoken}
    name = f"{count:,} sessions, " + ("with audio" if talking else "without audio")
    return Check(name, count, spent.seconds, {unit: done for unit, done in work.items() if done}, spent.cpu)


async def _later(caller: Caller, seconds: float, reply: float) -> None:
    await asyncio.sleep(seconds)
    await caller.exchanges.cycle(_PAUSE, reply, reply)


async def _settings(callers: Sequence[Caller], seconds: float) -> float:
    async def again(caller: Caller) -> int:
        done = 0
        while clock() < end:
            await caller.exchanges.reconfigure()
            await asyncio.sleep(2 * _PAUSE)
            done += 1
        return done

    end = clock() + seconds
    return sum(await asyncio.gather(*map(again, callers)))


async def _exchanges(callers: Sequence[Caller], seconds: float) -> float:
    async def again(caller: Caller) -> int:
        done = 0
        while clock() < end:
            done += len(await caller.exchanges.cycle(_PAUSE, _REPLY, _REPLY))
        return done

    end = clock() + seconds
    return sum(await asyncio.gather(*map(again, callers)))


async def _turns(callers: Sequence[Caller], seconds: float) -> float:
    async def again(caller: Caller) -> int:
        done = 0
        while clock() < end:
            await caller.turn()
            done += 1
        return done

    end = clock() + seconds
    return sum(await asyncio.gather(*map(again, callers)))


async def _in_time(
    stack: Stack, redis: Redis, callers: Sequence[Caller], seconds: float, *, both: bool
) -> tuple[Spent, float]:
    """What audio has cost, and the seconds of it. A generator that is late sends bursts, which cost less: the best of
    several tries, if none is in time."""
    tries = []
    for _ in range(_TRIES):
        one = Account(stack, redis)
        arrived, late = await _audio(callers, one, seconds, both=both)
        tries.append((late, one.spent, arrived))
        await asyncio.sleep(_SETTLING)
        if late <= _IN_TIME:
            break
    late, spent, arrived = min(tries, key=lambda found: found[0])
    if late > _IN_TIME:
        print(f"the load generator was late: p95 {late * 1e3:.0f} ms; the machine is busy", file=sys.stderr)
    return spent, arrived


async def _audio(
    callers: Sequence[Caller], account: Account | None, seconds: float, *, both: bool
) -> tuple[float, float]:
    """Audio of every client, and of every agent if ``both``: for a second, and then as long as ``account`` is open.
    Returns the seconds of it that arrived in all sessions meanwhile, and p95 of the generator's lateness in seconds."""
    sessions = [caller.session for caller in callers]
    subject = Subject("turngate", "", {}, RATE)
    pacers = steadily(sessions, subject) if both else [Pacer([upload(session, RATE) for session in sessions])]
    for pacer in pacers:
        pacer.start()
    try:
        await asyncio.sleep(_SETTLING)
        arrived = sum(session.up.frames for session in sessions)
        for pacer in pacers:
            pacer.lateness.clear()
        if account is not None:
            await account.open()
            await asyncio.sleep(seconds)
            await account.close()
        arrived = sum(session.up.frames for session in sessions) - arrived
    finally:
        for pacer in pacers:
            pacer.stop()
    if lost := await drained(sessions):
        raise RuntimeError(f"{lost} frames lost")
    if both:
        for session in sessions:
            session.end_reply()
    late = sorted(value for pacer in pacers for value in pacer.lateness)
    return arrived * FRAME_SECONDS, percentile(late, 0.95)


async def _cycles(callers: Sequence[Caller], count: int) -> None:
    for _ in range(count):
        await asyncio.gather(*(caller.exchanges.cycle(_PAUSE, _REPLY, _REPLY) for caller in callers))
        await asyncio.gather(*(caller.turn() for caller in callers))


_WORK = {SETTINGS: _settings, EXCHANGE: _exchanges, TURN: _turns}
