"""The deadlines of one conversation, by name. Whoever begins to wait for something sets a timer, and clears it when
that has come; `Conversation.tick` handles what is due.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from enum import Enum, auto

NEVER = float("inf")


class Timer(Enum):
    """What a conversation can wait for."""

    #: The slot is to change: a promised response begins, a response shows an event, a cancelled one ends.
    SLOT = auto()
    #: The upstream answers our ``response.create``.
    CREATE = auto()
    #: The upstream answers our ``session.update``.
    UPDATE = auto()
    #: A reply that failed is asked for again.
    RETRY = auto()
    #: The client answers function calls.
    CALLS = auto()
    #: The client sends something; the session ends.
    LIFETIME = auto()
    #: The transcripts of earlier turns arrive.
    TRANSCRIPTS = auto()
    #: The model begins to reply.
    SLOW_REPLY = auto()
    #: More audio comes in a turn that the gateway itself ends.
    MANUAL_TURN = auto()
    #: More audio comes while the user speaks.
    AUDIO_GAP = auto()
    #: The client has played a greeting that the user may not interrupt.
    GREETING = auto()
    #: A request must be published again, or given up.
    REQUESTS = auto()
    #: The turn record must be published again.
    HEARTBEAT = auto()


class Timers:
    """One time for each `Timer` that is set."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[Timer, float] = {}

    def set(self, timer: Timer, at: float) -> None:
        """Be due at this time, instead of any set before; `NEVER` clears it."""
        if at == NEVER:
            self._at.pop(timer, None)
        else:
            self._at[timer] = at

    def clear(self, timer: Timer) -> None:
        """Do not be due any more."""
        self._at.pop(timer, None)

    def pop_due(self, now: float) -> list[Timer]:
        """Those that are due, the earliest first; they are cleared. Whoever handles one sets it again where it waits
        on."""
        due = sorted((timer for timer, at in self._at.items() if at <= now), key=self._at.__getitem__)
        for timer in due:
            del self._at[timer]
        return due

    def deadline(self) -> float:
        """When something is due next; `NEVER` when nothing is."""
        return min(self._at.values(), default=NEVER)
