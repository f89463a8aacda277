"""What translators may ask of session-state: to reserve the turn. What gateways may ask is in `session_state.owners`.

One atomic script in Redis, about as cheap as a GET; no request to a session-state process is involved, so a
reservation needs none to be alive.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from session_state.config import ReservationSettings
from session_state.store import Outcome, Reservation, Step, Store, raise_refusal
from turngate.tracing.spans import Tracer

__all__ = ["Outcome", "Reservation", "ReservationSettings", "SessionStateClient", "Step", "raise_refusal"]


class SessionStateClient:
    """Reserves turns. Wire one per process; it shares the Redis connections it is given."""

    def __init__(self, redis: Redis, settings: ReservationSettings, tracer: Tracer | None = None) -> None:
        self._store = Store(redis, settings, tracer)

    async def reserve(self, wanted: Sequence[Reservation]) -> list[Step]:
        """Store each intent and tell its gateway the answer, one atomic step for each, in this order.

        Where the turn is free, a release of everything that waits is granted: of this intent alone, and then the
        gateway has been told that too, or of several, which you get back to carry out. Otherwise the intent is held (a
        release will come by the stream), settled already, or could not be taken (`FULL`: the gateway will ask again).
        A step that failed has its error: this session's keys are unreadable, or Redis refused (`raise_refusal`). What
        was not stored or told then, the gateway asks for again. If Redis cannot be reached, the error passes through.
        """
        return await self._store.reserve(wanted)
