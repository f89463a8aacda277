"""One stack of real processes for all of these tests, on the broker that the test run uses, and a judge of every frame
that crosses its upstream's socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.end_to_end.judge import Judge
from turngate.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(redis_url: str) -> AsyncIterator[Stack]:
    """Two translators, one of everything else, and the simulator at five times its real pace."""
    async with Stack(redis_url=redis_url, pace=0.2) as running:
        yield running


@pytest.fixture(scope="session")
def judge() -> Judge:
    return Judge()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def every_frame_is_valid(stack: Stack, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What went to the upstream and what came from it in this test validates against the official SDK, in the stack
    that the tests share and in any other that the test starts."""
    stop = Stack.stop

    async def judge_and_stop(other: Stack) -> None:
        await judge.hear(other)
        await stop(other)

    monkeypatch.setattr(Stack, "stop", judge_and_stop)
    yield
    await judge.hear(stack)
