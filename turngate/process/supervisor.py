"""The tasks that serve for a process's whole life: none of them ends unnoticed.

`run_supervised` is the frame of every service process. A supervised task that returns, raises or is cancelled before
the process stops is logged with its name and the reason; `Supervisor.healthy` turns False at once, the process stops in
order and exits with code 1, so that whoever runs it (compose, `turngate run`, Kubernetes) starts it again.

It is no `asyncio.TaskGroup`: that cancels the other tasks as soon as one fails, but they are needed to stop in order
(clients are told, the last records are published), and it cancels each task once, which is not always enough (see
`turngate.process.tasks.end`).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from turngate.process import log_events
from turngate.process.tasks import end

#: Seconds that a process gets to stop in order after a supervised task has ended.
_STOP_SECONDS = 20.0
#: Exit code of a process in which a supervised task has ended.
TASK_ENDED = 1


class Supervisor:
    """The supervised tasks of one process. `start` them, `wait`, then stop in order and `end` them."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over = asyncio.Event()
        #: The task that ended by itself; None while all of them run.
        self.ended: str | None = None
        #: What a process does before it stops, when it is asked to: it may take long, and its tasks run meanwhile.
        self.drain: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._terminated = False
        #: Set by `run_supervised`: the time that stopping may take.
        self.limit: asyncio.Timeout | None = None

    @property
    def healthy(self) -> bool:
        """False from the moment at which a supervised task has ended by itself."""
        return self.ended is None

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run ``work`` until `end`. Names must be different within a process."""
        if name in self._tasks:
            raise ValueError(f"there is a task {name} already")
        self._tasks[name] = task = asyncio.create_task(work(), name=name)
        task.add_done_callback(self._on_done)
        return task

    def request_stop(self) -> None:
        """Have `wait` return: the process was asked to stop at once."""
        self._over.set()

    def request_drain(self) -> asyncio.Task[None]:
        """Start `drain`, if it was not started before. Returns its task."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="drain")
        return self._draining

    def terminate(self) -> None:
        """The process was asked to stop: it drains first, and is stopped at once if it is asked again."""
        if self._terminated:
            self.request_stop()
        else:
            self._terminated = True
            self.request_drain().add_done_callback(lambda _: self.request_stop())

    async def wait(self) -> None:
        """Return when the process should stop: it was asked to, or a supervised task has ended. From then on a task
        may end."""
        await self._over.wait()

    async def end(self) -> None:
        """Cancel the tasks and return when all have ended. May be called more than once."""
        self._over.set()
        await end([*self._tasks.values(), *([self._draining] if self._draining is not None else [])])

    async def _drain(self) -> None:
        if self.drain is not None:
            await self.drain()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if self._over.is_set():
            return
        error = None if task.cancelled() else task.exception()
        how = "was cancelled" if task.cancelled() else "raised" if error is not None else "returned"
        log_events.task_ended(task=task.get_name(), how=how, error=_reason(error), exc_info=error)
        self.ended = task.get_name()
        self._over.set()
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time() + _STOP_SECONDS)


def run_supervised(serve: Callable[[Supervisor], Awaitable[None]]) -> None:
    """Run a service in an event loop of its own. SIGTERM requests a stop after `Supervisor.drain`; a second one, or
    SIGINT, requests it at once.

    ``serve`` starts the service and its tasks, awaits `Supervisor.wait`, and stops the service; what it raises passes
    through. The supervised tasks are ended afterwards. Exits the process with `TASK_ENDED` if one of them ended before.
    """
    if (ended := uvloop.run(_run(serve))) is not None:
        log_events.exiting(task=ended, code=TASK_ENDED)
        raise SystemExit(TASK_ENDED)


async def _run(serve: Callable[[Supervisor], Awaitable[None]]) -> str | None:
    supervisor = Supervisor()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.terminate)
    loop.add_signal_handler(signal.SIGINT, supervisor.request_stop)
    try:
        async with asyncio.timeout(None) as limit:
            supervisor.limit = limit
            await serve(supervisor)
    except TimeoutError:
        if supervisor.healthy:
            raise
        log_events.stop_timed_out(seconds=_STOP_SECONDS)
    finally:
        await supervisor.end()
    return supervisor.ended


def _reason(error: BaseException | None) -> str | None:
    return None if error is None else f"{type(error).__name__}: {error}"
