"""What the parts of one conversation share: the time, ids, what is sent, and what happens later.

No clock is read here: `now` moves only when the conversation is called with a time.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

#: One JSON object of the wire. An emitted event is a value: neither side changes it afterwards.
Event = dict[str, Any]


class Timer:
    """Something that happens at a moment, unless it is cancelled first."""

    __slots__ = ("action", "at")

    def __init__(self, at: float, action: Callable[[], None]) -> None:
        self.at = at
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Stage:
    """Time, ids, the events to send, and the heap of moments to come.

    ``seed`` makes the ids: two conversations with different seeds never share one. ``sending`` sees every event at the
    moment it is emitted, before its effect.
    """

    def __init__(self, seed: int, sending: Callable[[Event], None]) -> None:
        #: Seconds, on whatever scale the caller uses.
        self.now = 0.0
        self._token = f"{seed & 0xFFFF_FFFF_FFFF:012x}"
        self._count = 0
        self._events = 0
        self._timers = 0
        self._sending = sending
        self._outgoing: list[Event] = []
        self._heap: list[tuple[float, int, Timer]] = []

    def new_id(self, kind: str) -> str:
        """An id such as ``item_0123456789ab0001``; unique in this process when seeds are."""
        self._count += 1
        return f"{kind}_{self._token}{self._count:04x}"

    def emit(self, kind: str, **fields: Any) -> None:
        """Send one event now; the server's ``event_id`` is added."""
        self._events += 1
        event: Event = {"type": kind, "event_id": f"event_{self._token}{self._events:05x}", **fields}
        self._sending(event)
        self._outgoing.append(event)

    def take(self) -> list[Event]:
        """What was emitted since the last call, in order."""
        taken = self._outgoing
        self._outgoing = []
        return taken

    def later(self, delay: float, action: Callable[[], None]) -> Timer:
        """Do ``action`` after ``delay`` seconds; keep the timer to cancel it."""
        self._timers += 1
        timer = Timer(self.now + delay, action)
        heappush(self._heap, (timer.at, self._timers, timer))
        return timer

    def next_deadline(self) -> float | None:
        """When the next action is due; None when nothing waits."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heappop(heap)
        return heap[0][0] if heap else None

    def run_until(self, now: float) -> None:
        """Do everything that is due up to ``now``, in order, each at its own moment; then it is ``now``.

        An action may schedule others, even for its own moment.
        """
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            if timer.action is not None:
                self.now = max(self.now, timer.at)
                timer.action()
        self.now = max(self.now, now)

    def stop(self) -> None:
        """Nothing happens any more."""
        self._heap.clear()
