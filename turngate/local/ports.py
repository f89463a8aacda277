"""TCP ports of this machine."""

from __future__ import annotations

import atexit
import random
import socket
from collections import deque

# Below the range of ephemeral ports (from 32768 on Linux), so that no outgoing connection takes the port before the
# service binds it.
_CANDIDATES = range(20_000, 32_000)

# A port stays taken after it was found: those of a stack are all found before any of its services binds one, and other
# stacks start on the same machine. More than a stack needs, and few beside the files that a process may open.
_taken: deque[socket.socket] = deque()
_TAKEN_MAX = 256


@atexit.register
def _let_go() -> None:
    # Python warns of each socket that is open when it ends.
    while _taken:
        _taken.pop().close()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing else uses, and that no other call returns, in any process of this machine, until this
    process ends or has taken 256 more. A server can listen on it if it sets SO_REUSEADDR, as servers do.

    Raises OSError if none is found.
    """
    for port in random.sample(_CANDIDATES, 100):
        if (taken := _take(port, host)) is not None:
            _taken.append(taken)
            if len(_taken) > _TAKEN_MAX:
                _taken.popleft().close()
            return port
    raise OSError(f"no free TCP port on {host} among 100 tried")


def _take(port: int, host: str) -> socket.socket | None:
    """A socket that is bound to this port and does not listen, or None if another socket is bound to it."""
    taken = socket.socket()
    try:
        # Without SO_REUSEADDR, so that it fails if anybody is bound to it; afterwards with it, so that a server which
        # sets it too can listen.
        taken.bind((host, port))
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        taken.close()
        return None
    return taken
