"""Which of several Redis servers a session belongs to: rendezvous hashing of its id over the servers' names.

Every process computes the same order of preference without asking anybody. A server that is added takes its share from
all others, and nothing else moves; one that is taken out gives its share to all others. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


def preferred(session: str, servers: Iterable[str]) -> list[str]:
    """These names of servers, in the order in which the session prefers them."""
    return sorted(servers, key=lambda server: (_weight(session, server), server), reverse=True)


def _weight(session: str, server: str) -> bytes:
    # `hash` differs from process to process. A name has no zero character.
    return blake2b(f"{server}\0{session}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
