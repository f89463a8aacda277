"""Ending tasks, and counting them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from prometheus_client import Gauge

#: Seconds that a cancelled task gets to end before it is cancelled once more.
_AGAIN = 0.1


def _running() -> int:
    """Tasks of the loop that asks; none where none runs."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


Gauge("turngate_tasks", "Running asyncio tasks.").set_function(_running)


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel these tasks and return when all have ended, however they ended.

    One cancellation is not enough: before Python 3.12, ``asyncio.wait_for`` (with which the Redis client sends) loses
    one that comes at the moment at which its work is done, and a loop goes on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=_AGAIN)
        for task in ended:
            if not task.cancelled():
                # Looked at, so that nobody is told that nobody looked.
                task.exception()
