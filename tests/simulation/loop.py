"""An event loop in virtual time: when nothing is left to do at this moment, it is the moment of the next timer.

asyncio's tasks, futures, events and time-outs work on it as they are. What is due at one moment happens in the order in
which it was asked for, so a run depends on nothing but what is run.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, cast

#: More than this within one moment is an endless loop.
_ENDLESS = 200_000


class EndlessError(Exception):
    """Something does not let time pass."""


class _Handle:
    """What `call_soon` and `call_at` return."""

    __slots__ = ("_arguments", "_at", "_callback", "_context")

    def __init__(
        self, at: float, callback: Callable[..., Any], arguments: tuple[Any, ...], context: Context | None
    ) -> None:
        self._at = at
        self._callback: Callable[..., Any] | None = callback
        self._arguments = arguments
        self._context = context

    def __call__(self) -> None:
        if self._callback is None:
            return
        if self._context is None:
            self._callback(*self._arguments)
        else:
            self._context.run(self._callback, *self._arguments)

    def cancel(self) -> None:
        self._callback = None

    def cancelled(self) -> bool:
        return self._callback is None

    def when(self) -> float:
        return self._at


class VirtualLoop:
    """Times in seconds, from 0. Within `running`, build what uses asyncio; `run_until` lets it work."""

    def __init__(self) -> None:
        self.now = 0.0
        #: What asyncio reports that nobody waits for.
        self.problems: list[str] = []
        self._count = 0
        self._timers: list[tuple[float, int, Callable[[], Any]]] = []
        self._ready: deque[_Handle] = deque()
        self._tasks: list[tuple[asyncio.Task[Any], Context]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """This is the running loop meanwhile."""
        events._set_running_loop(cast("asyncio.AbstractEventLoop", self))
        try:
            yield
        finally:
            events._set_running_loop(None)

    def run_until(self, moment: float) -> None:
        """Let everything happen that is due until then. What a plain callback raises passes through."""
        ready, timers = self._ready, self._timers
        while True:
            steps = 0
            while ready:
                steps += 1
                if steps > _ENDLESS:
                    raise EndlessError(f"{ready[0]._callback} does not let time pass")
                handle = ready.popleft()
                callback = handle._callback
                if callback is None:
                    continue
                if handle._context is None:
                    callback(*handle._arguments)
                else:
                    handle._context.run(callback, *handle._arguments)
            if not timers or timers[0][0] > moment:
                self.now = moment
                return
            self.now, _, action = heappop(timers)
            action()

    def close(self) -> None:
        """End the tasks that have not ended, as the end of their process would: without a word."""
        self._timers.clear()
        for task, context in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                context.run(task.get_coro().close)
        self._tasks.clear()
        self._ready.clear()

    def at(self, moment: float, action: Callable[[], Any]) -> None:
        """Do ``action`` at this moment, or now if that is past."""
        self._count += 1
        heappush(self._timers, (max(moment, self.now), self._count, action))

    def later(self, delay: float, action: Callable[[], Any]) -> None:
        """Do ``action`` after so many seconds."""
        self._count += 1
        heappush(self._timers, (self.now + delay, self._count, action))

    # --- what asyncio asks of a loop

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        handle = _Handle(self.now, callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        handle = _Handle(when, callback, args, context)
        self.at(when, handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("asyncio.AbstractEventLoop", self))

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        context = copy_context() if context is None else context
        task = asyncio.Task(coro, loop=cast("asyncio.AbstractEventLoop", self), context=context, **options)
        self._tasks.append((task, context))
        return task

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")
