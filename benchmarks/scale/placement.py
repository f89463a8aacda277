"""Which of several Redis servers a session belongs to: rendezvous hashing of its id over the servers' names."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b


def placed(session: str, servers: Sequence[str]) -> str:
    """The server that the session prefers of these."""
    return max(servers, key=lambda server: blake2b(f"{server}\0{session}".encode(), digest_size=8).digest())
