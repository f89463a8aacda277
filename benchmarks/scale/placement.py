"""Which of several Redis servers a session of the simulation belongs to: the same as in the product."""

from __future__ import annotations

from collections.abc import Sequence

from turngate.bus.placement import preferred


def placed(session: str, servers: Sequence[str]) -> str:
    """The server that the session prefers of these."""
    return preferred(session, servers)[0]
