"""What the parts of one session share: virtual time, timers, ids, and the queue of outgoing events.

No clock is read here: `now` changes only when the session is called with a time.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from turngate.simulator.frames import Event


class Timer:
    """An action scheduled for a time, unless it is cancelled first."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Scheduler:
    """Virtual time, timers, ids, and outgoing events of one session.

    Ids are derived from ``seed``: two sessions with different seeds never share one. ``sending`` is called with every
    event when it is emitted, before it takes effect.
    """

    def __init__(self, seed: int, sending: Callable[[Event], None]) -> None:
        #: Seconds, on the caller's scale.
        self.now = 0.0
        self._token = f"{seed & 0xFFFF_FFFF_FFFF:012x}"
        self._count = 0
        self._events = 0
        self._timers = 0
        self._sending = sending
        self._outgoing: list[Event] = []
        self._heap: list[tuple[float, int, Timer]] = []

    def new_id(self, kind: str) -> str:
        """An id such as ``item_0123456789ab0001``; unique if seeds are unique."""
        self._count += 1
        return f"{kind}_{self._token}{self._count:04x}"

    def emit(self, kind: str, **fields: Any) -> None:
        """Queue one event for sending, with a new ``event_id``."""
        self._events += 1
        event: Event = {"type": kind, "event_id": f"event_{self._token}{self._events:05x}", **fields}
        self._sending(event)
        self._outgoing.append(event)

    def take(self) -> list[Event]:
        """The events emitted since the last call, in order."""
        taken = self._outgoing
        self._outgoing = []
        return taken

    def call_later(self, delay: float, action: Callable[[], None]) -> Timer:
        """Run ``action`` after ``delay`` seconds; returns a timer that can be cancelled."""
        self._timers += 1
        timer = Timer(self.now + delay, action)
        heappush(self._heap, (timer.at, self._timers, timer))
        return timer

    def next_deadline(self) -> float | None:
        """When the next action is due; None if none is scheduled."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def run_until(self, now: float) -> None:
        """Run all actions due by ``now`` in order, each at its scheduled time, then set the time to ``now``.

        An action may schedule others, also for the same time.
        """
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            if timer.action is not None:
                self.now = max(self.now, timer.at)
                timer.action()
        self.now = max(self.now, now)

    def stop(self) -> None:
        """Discard all scheduled actions."""
        self._heap.clear()
