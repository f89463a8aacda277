"""How a gateway empties before it stops: it is not ready any more, takes no new sessions, hands over those whose
clients return to another gateway, and lets the others end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from gateway import log_events

#: Seconds that replies may take to end when the time is over.
_LAST_REPLIES = 10.0
#: Seconds between two looks at the sessions.
_LOOK = 0.05


class Draining(Protocol):
    """A session as far as draining needs it."""

    @property
    def replying(self) -> bool:
        """Whether the agent is in the middle of a reply."""


class Drain:
    """Call it once. Load balancers see that the process is not ready; new clients are accepted for ``grace`` seconds
    more. Sessions are handed over, each at its first quiet moment; those that cannot be go on for ``longest`` seconds
    at most, and a reply that runs then may end."""

    def __init__(
        self,
        sessions: Callable[[], Collection[Draining]],
        stop_listening: Callable[[], Awaitable[None]],
        hand_over: Callable[[], bool],
        grace: float,
        longest: float,
    ) -> None:
        """``stop_listening`` is called when no more clients are accepted, and ``hand_over`` again and again from then
        on; it returns whether something is still being handed over."""
        self.begun = False
        #: Seconds; may be lowered before it is called.
        self.grace = grace
        self._sessions = sessions
        self._stop_listening = stop_listening
        self._hand_over = hand_over
        self._longest = longest

    async def __call__(self) -> None:
        """Returns when no session is left, or time is up."""
        self.begun = True
        log_events.draining(sessions=len(self._sessions()), grace=self.grace, longest=self._longest)
        await asyncio.sleep(self.grace)
        await self._stop_listening()
        if not await _within(self._longest, self._is_empty):
            await _within(min(_LAST_REPLIES, self._longest), lambda: not any(one.replying for one in self._sessions()))
        log_events.drained(sessions=len(self._sessions()))

    def _is_empty(self) -> bool:
        return not self._hand_over() and not self._sessions()


async def _within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Wait until this is reached; returns whether it was in time."""
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while not reached():
        if clock() >= until:
            return False
        await asyncio.sleep(_LOOK)
    return True
