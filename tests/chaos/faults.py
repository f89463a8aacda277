"""What can happen to the processes behind the gateway. Only processes that the stack itself started are touched."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from random import Random

import redis.asyncio

from turngate.local.stack import Stack

FROZEN_SECONDS = 5.0
WORKERS = ("translator-1", "translator-2", "session-state-1", "session-state-2")
_KILLS = 6


class Progress:
    """How many steps all conversations together have made; faults wait for a count instead of a time."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._done = 0
        self._moved = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def step(self) -> None:
        self._done += 1
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reaches(self, share: float) -> None:
        """Return when this share (0 to 1) of all steps is made."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._done >= share * self.total)

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()


Fault = Callable[[Stack, Progress, Random], Awaitable[None]]


async def workers_killed(stack: Stack, progress: Progress, random: Random) -> None:
    """Translators and session-state replicas get SIGKILL, one after the other, at random points."""
    for share in sorted(random.uniform(0.1, 0.8) for _ in range(_KILLS)):
        await progress.reaches(share)
        stack.processes[random.choice(WORKERS)].kill_on_request()


async def all_workers_killed(stack: Stack, progress: Progress, random: Random) -> None:
    """Every translator and session-state replica gets SIGKILL at once."""
    await progress.reaches(random.uniform(0.2, 0.6))
    for name in WORKERS:
        stack.processes[name].kill_on_request()


async def tasks_killed(stack: Stack, progress: Progress, random: Random) -> None:
    """Background tasks of translators and session-state replicas raise, one after the other, at random points; their
    processes stop and are started again. See `tests.killable`."""
    for share in sorted(random.uniform(0.1, 0.8) for _ in range(_KILLS)):
        await progress.reaches(share)
        stack.processes[random.choice(WORKERS)].kill_on_request(by=signal.SIGUSR1)


async def broker_killed(stack: Stack, progress: Progress, random: Random) -> None:
    """The broker, or one of several, gets SIGKILL, and starts again with nothing."""
    await progress.reaches(random.uniform(0.2, 0.6))
    stack.processes[random.choice(_brokers(stack))].kill_on_request()


async def broker_frozen(stack: Stack, progress: Progress, random: Random) -> None:
    """The broker, or one of several, stands still for some seconds: connections stay open, nothing answers."""
    await progress.reaches(random.uniform(0.2, 0.6))
    broker = stack.processes[random.choice(_brokers(stack))]
    broker.pause()
    await asyncio.sleep(FROZEN_SECONDS)
    broker.resume()


async def broker_flushed(stack: Stack, progress: Progress, random: Random) -> None:
    """Somebody empties the broker, or one of several: streams, groups, session keys and scripts."""
    await progress.reaches(random.uniform(0.2, 0.6))
    async with redis.asyncio.Redis.from_url(random.choice([*stack.redis_urls.values()])) as client:
        await client.flushall()
        await client.script_flush()


def _brokers(stack: Stack) -> list[str]:
    return [name for name in stack.processes if name.startswith("broker")]


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (workers_killed, all_workers_killed, tasks_killed, broker_killed, broker_frozen, broker_flushed)
}
#: Those of a broker.
BROKER_FAULTS = [name for name in FAULTS if name.startswith("broker")]
