"""Lines from standard input for an event loop, whether it is a terminal, a pipe or a file."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable

#: Lines read ahead of their use; beyond it, reading waits.
READ_AHEAD = 16


async def read_lines(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of an open file descriptor, without their line ends, until the input ends.

    A thread reads, because event loops cannot watch plain files. It has a reader of its own: one that waited inside
    ``sys.stdin`` would hold that object's lock when the process ends. It may stay behind in its read: it is a daemon.
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
        pass  # The event loop has ended: nobody wants the rest.
