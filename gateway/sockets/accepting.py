"""The end of a listening socket: connections that the kernel has completed are accepted before it is closed, since that
resets them."""

from __future__ import annotations

import asyncio
import select
import socket

#: Runs of the event loop after which whoever still comes is not waited for.
_LOOKS_MAX = 1_000


async def until_none_waits(listener: socket.socket) -> None:
    """Return when no connection waits to be accepted by the server of this socket. Close it then without a pause."""
    for _ in range(_LOOKS_MAX):
        if not _has_waiting(listener):
            return
        await asyncio.sleep(0)


def _has_waiting(listener: socket.socket) -> bool:
    # Not ``select``, which takes no descriptors above 1023.
    looking = select.poll()
    looking.register(listener, select.POLLIN)
    return bool(looking.poll(0))
