"""Ending tasks, including one that swallows a cancellation."""

from __future__ import annotations

import asyncio

from turngate.process.tasks import end


async def test_a_task_that_swallows_a_cancellation_is_ended() -> None:
    lost: list[str] = []

    async def work() -> None:
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append("as wait_for does")

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await end([task])
    assert task.cancelled()
    assert lost


async def test_tasks_that_have_already_ended() -> None:
    async def fail() -> None:
        raise ValueError

    tasks = [asyncio.ensure_future(fail()), asyncio.ensure_future(asyncio.sleep(0))]
    await asyncio.wait(tasks)
    await end(tasks)
    await end([])
