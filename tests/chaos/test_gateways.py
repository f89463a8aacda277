"""A fleet of three gateways behind a load balancer: its gateways are restarted one after the other, or killed, and the
conversations of its clients go on. `make chaos` runs this with many ``CALLERS`` that return."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio

from tests.chaos.balancer import balanced
from tests.chaos.callers import Caller
from tests.chaos.conftest import DELAY
from tests.chaos.faults import Progress
from tests.chaos.run import until_ready
from tests.programs import needs
from turngate.local.child import Child
from turngate.local.stack import Stack

CALLERS = int(os.environ.get("CALLERS", "8"))
#: Of a plain client: its gateway waits for it.
TURNS = 6
GATEWAYS = 3

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    needs("haproxy"),
]

Disturbance = Callable[[Stack, Progress], Coroutine[Any, Any, None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack() -> AsyncIterator[Stack]:
    env = {"TURNGATE_DRAIN_GRACE_MS": "300", "TURNGATE_DRAIN_MS": "120000", "TURNGATE_CLAIM_WAIT_MS": "2000"}
    async with Stack(gateways=GATEWAYS, translators=2, pace=0.2, env=env) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with balanced(stack, Path(tmp_path_factory.mktemp("haproxy"))) as address:
        yield address


async def held(stack: Stack, url: str, disturbance: Disturbance, *, plain: int, returning: int) -> list[Caller]:
    """Hold conversations with this disturbance in the middle of them. Those that return last longer than it."""
    progress, over = Progress((plain + returning) * TURNS), asyncio.Event()
    callers = [Caller(url, lambda turns: turns < TURNS, progress.step, returns=False) for _ in range(plain)]
    callers += [
        Caller(url, lambda turns: turns < TURNS or not over.is_set(), progress.step, returns=True)
        for _ in range(returning)
    ]

    async def disturb() -> None:
        try:
            await disturbance(stack, progress)
            await until_ready(stack)
        finally:
            over.set()

    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.run())
        group.create_task(disturb())
    return callers


async def restarted_one_by_one(stack: Stack, progress: Progress) -> None:
    """Each gateway gets SIGTERM, empties, and is started again, before the next one."""
    await progress.reaches(0.1)
    for number in range(1, GATEWAYS + 1):
        child = stack.processes[f"gateway-{number}"]
        restarts = child.restarts
        child._signal(signal.SIGTERM)
        await started_again(child, restarts)
        await until_ready(stack)


async def started_again(child: Child, restarts: int) -> None:
    """Return when this process has been started again after so many ``restarts``."""
    async with asyncio.timeout(150):
        while child.restarts == restarts:
            await asyncio.sleep(0.05)


async def one_killed(stack: Stack, progress: Progress) -> None:
    """A gateway gets SIGKILL, and is started again."""
    await progress.reaches(0.4)
    stack.processes["gateway-2"].kill()


async def one_killed_and_redis_emptied(stack: Stack, progress: Progress) -> None:
    """Redis loses everything while clients change their gateways."""
    await progress.reaches(0.3)
    child = stack.processes["gateway-1"]
    restarts = child.restarts
    child._signal(signal.SIGTERM)
    await progress.reaches(0.4)
    async with redis.asyncio.Redis.from_url(stack.redis_url) as client:
        await client.flushall()
    await started_again(child, restarts)


def table(callers: list[Caller]) -> str:
    """What became of them, in a line."""
    away = sorted(seconds for caller in callers for seconds in caller.away)
    longest = f", away {away[len(away) // 2]:.2f} s (median), {away[-1]:.2f} s (longest)" if away else ""
    doubled = sum(bool(caller.doubled()) for caller in callers)
    return (
        f"{len(callers)} sessions, {sum(caller.cut for caller in callers)} cut, "
        f"{sum(caller.greeted > 1 for caller in callers)} greeted twice, "
        f"{sum(caller.answered < TURNS for caller in callers)} with a request lost, {doubled} with one answered twice, "
        f"{sum(caller.answered for caller in callers)} turns, "
        f"{len(away)} returns, {sum(caller.recovered for caller in callers)} told of a loss{longest}"
    )


async def test_a_rolling_restart_cuts_nobody(
    stack: Stack, url: str, record_property: Callable[[str, object], None]
) -> None:
    callers = await held(stack, url, restarted_one_by_one, plain=CALLERS // 2, returning=CALLERS)
    returning = [caller for caller in callers if caller.returns]
    plain = [caller for caller in callers if not caller.returns]
    record_property(DELAY, f"rolling restart, clients that return: {table(returning)}")
    record_property(DELAY, f"rolling restart, plain clients: {table(plain)}")
    assert [caller.cut for caller in callers] == [False] * len(callers)
    assert [caller.greeted for caller in callers] == [1] * len(callers)
    assert [caller.answered >= TURNS for caller in callers] == [True] * len(callers)
    assert [caller.doubled() for caller in callers] == [[]] * len(callers)
    assert [caller.errors for caller in callers] == [[]] * len(callers)
    assert min(len(caller.away) for caller in returning) > 0, "each has moved at least once"


async def test_the_conversations_of_a_gateway_that_is_killed_go_on(
    stack: Stack, url: str, record_property: Callable[[str, object], None]
) -> None:
    callers = await held(stack, url, one_killed, plain=0, returning=CALLERS)
    record_property(DELAY, f"a gateway is killed: {table(callers)}")
    assert sum(caller.cut for caller in callers) <= CALLERS // 100
    assert [caller.greeted for caller in callers if not caller.cut] == [1] * sum(not caller.cut for caller in callers)
    assert all(caller.answered >= TURNS for caller in callers if not caller.cut)
    assert sum(caller.recovered for caller in callers) == sum(len(caller.away) for caller in callers) > 0, (
        "each is told"
    )


async def test_without_the_contents_of_redis_it_takes_longer(
    stack: Stack, url: str, record_property: Callable[[str, object], None]
) -> None:
    callers = await held(stack, url, one_killed_and_redis_emptied, plain=0, returning=CALLERS)
    record_property(DELAY, f"a gateway empties, and Redis is emptied: {table(callers)}")
    assert [caller.cut for caller in callers] == [False] * len(callers)
    assert [caller.answered >= TURNS for caller in callers] == [True] * len(callers)
