"""TCP ports of this machine."""

from __future__ import annotations

import random
import socket

# Below the range of ephemeral ports (from 32768 on Linux), so that no outgoing connection takes the port before the
# service binds it.
_CANDIDATES = range(20_000, 32_000)


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
    """A port on which nothing listens. Bind it soon. Raises OSError if none is found."""
    for port in random.sample(_CANDIDATES, 100):
        if is_free(port, host):
            return port
    raise OSError(f"no free TCP port on {host} among 100 tried")
