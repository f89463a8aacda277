"""Makes the supervised tasks of a service process killable, for tests.

Python imports this at start in a process that has this folder in ``PYTHONPATH``. On SIGUSR1 the task that
``KILL_TASK`` names raises; without that variable, a random one. Each task is named on standard error.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from turngate.process.supervisor import Supervisor
from turngate.process.tasks import end

_start = Supervisor.start
_kills: dict[str, asyncio.Event] = {}


def start(self: Supervisor, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """`Supervisor.start` of a task that can be made to raise."""
    killed = _kills[name] = asyncio.Event()
    print(f"supervised: {name}", file=sys.stderr)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _kill)

    async def killable() -> None:
        working = asyncio.ensure_future(work())
        waiting = asyncio.ensure_future(killed.wait())
        try:
            await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            await end([working])
        if killed.is_set():
            raise RuntimeError("killed by a test")
        await working

    return _start(self, name, killable)


def _kill() -> None:
    _kills[os.environ.get("KILL_TASK") or random.choice(list(_kills))].set()


Supervisor.start = start  # type: ignore[method-assign]
