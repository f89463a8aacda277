"""What other services may ask of session-state: to reserve the turn.

One atomic script in Redis, about as cheap as a GET; no request to a session-state process is involved, so a
reservation needs none to be alive.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from contracts.broker import Intent, Release, TurnRecord
from session_state.config import ReservationSettings
from session_state.store import Outcome, Store

__all__ = ["Outcome", "ReservationSettings", "SessionStateClient"]


class SessionStateClient:
    """Reserves turns. Wire one per process; it shares the Redis connections it is given."""

    def __init__(self, redis: Redis, settings: ReservationSettings) -> None:
        self._store = Store(redis, settings)

    async def reserve(self, wanted: Sequence[tuple[TurnRecord, Intent]]) -> list[tuple[Outcome, Release | None]]:
        """Store each intent, one atomic step for each, in this order; where the turn is free, get back a release of
        everything that waits: carry it out.

        Otherwise it is held (a release will come by the stream), settled already, or could not be taken (`FULL`: the
        gateway will ask again). Redis errors pass through: some were stored, and the sweeper will find those.
        """
        return [(step.outcome, step.release) for step in await self._store.reserve(wanted)]
