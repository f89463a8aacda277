"""Reads lines from standard input (a terminal, a pipe or a file) in an event loop."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable

#: Maximum number of lines read ahead.
READ_AHEAD = 16


async def read_lines(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of an open file descriptor, without line ends, until the end of the input.

    A thread reads, because event loops cannot watch regular files. It does not use ``sys.stdin``, whose lock it would
    hold when the process exits. The thread is a daemon, since it may still be blocked in a read at that time.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(READ_AHEAD)

    def put(line: str | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(queue.put_nowait, line)

    threading.Thread(target=_pump, args=(descriptor, put), name="lines", daemon=True).start()
    while (line := await queue.get()) is not None:
        room.release()
        yield line


def _pump(descriptor: int, put: Callable[[str | None], None]) -> None:
    reader = io.FileIO(descriptor, closefd=False)
    try:
        while raw := reader.readline():
            put(raw.decode(errors="replace").rstrip("\r\n"))
        put(None)
    except RuntimeError:
        pass  # The event loop is closed.
