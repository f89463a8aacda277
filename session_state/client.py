"""What other services may ask of session-state: to reserve the turn.

One atomic script in Redis, about as cheap as a GET; no request to a session-state process is involved, so a
reservation needs none to be alive.
"""

from __future__ import annotations

from redis.asyncio import Redis

from contracts.broker import Intent, Release, TurnRecord
from session_state.config import ReservationSettings
from session_state.store import Outcome, Store

__all__ = ["Outcome", "ReservationSettings", "SessionStateClient"]


class SessionStateClient:
    """Reserves turns. Wire one per process; it shares the Redis connections it is given."""

    def __init__(self, redis: Redis, settings: ReservationSettings) -> None:
        self._store = Store(redis, settings)

    async def reserve(self, record: TurnRecord, intent: Intent) -> tuple[Outcome, Release | None]:
        """Store the intent; if the turn is free, get back a release of everything that waits: carry it out.

        Otherwise it is held (a release will come by the stream), settled already, or could not be taken (`FULL`: the
        gateway will ask again). Redis errors pass through: nothing was stored, or it was and the sweeper will find it.
        """
        step = await self._store.reserve(record, intent)
        return step.outcome, step.release
