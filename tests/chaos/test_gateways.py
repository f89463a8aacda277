"""A fleet of three gateways behind a load balancer: its gateways are restarted one after the other, or killed, and the
conversations of its clients go on. `make chaos` runs this with many ``CALLERS`` that return."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio

from tests.chaos.account import Account, table
from tests.chaos.balancer import balanced
from tests.chaos.callers import Caller
from tests.chaos.conftest import DELAY
from tests.chaos.faults import Progress
from tests.chaos.run import until_ready
from tests.chaos.sdk_callers import SdkCallers
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
    internal = [int(address.rpartition(":")[2]) for address in stack.layout.internal_addresses["gateway"]]
    gateways = zip(stack.layout.addresses["gateway"], internal, strict=True)
    async with balanced(gateways, tmp_path_factory.mktemp("haproxy")) as address:
        yield f"ws://{address}"


@dataclass(frozen=True)
class Held:
    """What became of conversations, by the kind of client."""

    sdk: list[Account]
    returning: list[Account]
    plain: list[Account]

    @property
    def resumable(self) -> list[Account]:
        """Of those whose clients return."""
        return self.sdk + self.returning

    def tell(self, record_property: Callable[[str, object], None], what: str) -> None:
        """Show the tables at the end of the test run."""
        kinds = {"JavaScript SDK": self.sdk, "clients that return": self.returning, "plain clients": self.plain}
        for kind, accounts in kinds.items():
            if accounts:
                record_property(DELAY, f"{what}, {kind}: {table(accounts, TURNS)}")


async def held(stack: Stack, url: str, disturbance: Disturbance, *, plain: bool) -> Held:
    """Hold conversations with this disturbance in the middle of them: half of them on Deepgram's SDK, half on clients
    that return as turngate's own do, and, with ``plain``, as many again as the latter that cannot. Those that return
    last longer than the disturbance."""
    half = CALLERS // 2
    progress, over = Progress((CALLERS + half * plain) * TURNS), asyncio.Event()
    sdk = SdkCallers(url, half, TURNS, progress.step)
    leaving = [Caller(url, lambda turns: turns < TURNS, progress.step, returns=False) for _ in range(half * plain)]
    returning = [
        Caller(url, lambda turns: turns < TURNS or not over.is_set(), progress.step, returns=True) for _ in range(half)
    ]

    async def disturb() -> None:
        try:
            await disturbance(stack, progress)
            await until_ready(stack)
        finally:
            over.set()
            sdk.enough()

    async with asyncio.TaskGroup() as group:
        group.create_task(sdk.run())
        for caller in (*leaving, *returning):
            group.create_task(caller.run())
        group.create_task(disturb())
    return Held(sdk.accounts, [*returning], [*leaving])


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


async def test_a_rolling_restart_cuts_nobody(
    stack: Stack, url: str, record_property: Callable[[str, object], None]
) -> None:
    found = await held(stack, url, restarted_one_by_one, plain=True)
    found.tell(record_property, "rolling restart")
    accounts = found.resumable + found.plain
    assert len(accounts) == CALLERS + CALLERS // 2
    assert [account.cut for account in accounts] == [False] * len(accounts)
    assert [account.greeted for account in accounts] == [1] * len(accounts)
    assert [account.answered >= TURNS for account in accounts] == [True] * len(accounts)
    assert [account.doubled() for account in accounts] == [[]] * len(accounts)
    assert [account.errors for account in accounts] == [[]] * len(accounts)
    assert min(len(account.away) for account in found.resumable) > 0, "each has moved at least once"


async def test_the_conversations_of_a_gateway_that_is_killed_go_on(
    stack: Stack, url: str, record_property: Callable[[str, object], None]
) -> None:
    found = await held(stack, url, one_killed, plain=False)
    found.tell(record_property, "a gateway is killed")
    accounts = found.resumable
    kept = [account for account in accounts if not account.cut]
    assert len(accounts) - len(kept) <= CALLERS // 100
    assert [account.greeted for account in kept] == [1] * len(kept)
    assert all(account.answered >= TURNS for account in kept)
    assert sum(account.recovered for account in accounts) == sum(len(account.away) for account in accounts) > 0, (
        "each is told"
    )


async def test_without_the_contents_of_redis_it_takes_longer(
    stack: Stack, url: str, record_property: Callable[[str, object], None]
) -> None:
    found = await held(stack, url, one_killed_and_redis_emptied, plain=False)
    found.tell(record_property, "a gateway empties, and Redis is emptied")
    accounts = found.resumable
    assert [account.cut for account in accounts] == [False] * len(accounts)
    assert [account.answered >= TURNS for account in accounts] == [True] * len(accounts)
    assert [account.doubled() for account in accounts] == [[]] * len(accounts)
