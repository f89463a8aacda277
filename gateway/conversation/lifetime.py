"""The maximum duration of a session, and the maximum silence of its client.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from enum import Enum, auto

NEVER = float("inf")


class Due(Enum):
    """What is due."""

    #: The client has sent nothing for too long.
    SILENT = auto()
    #: The session will end soon.
    ENDS_SOON = auto()
    #: The session has lasted as long as it may.
    OVER = auto()


class Lifetime:
    """The limits of one session. Set `heard_at` for every frame of the client, and call `due` at `deadline`."""

    __slots__ = ("_silence", "_steps", "heard_at", "parked")

    def __init__(self, now: float, *, silence: float, longest: float, notice: float) -> None:
        """All times in seconds, 0 for no limit. ``notice`` is the time between the announcement and the end."""
        #: When the client has sent a frame of any kind.
        self.heard_at = now
        self._silence = silence or NEVER
        #: There is no client that could send anything.
        self.parked = False
        end = now + (longest or NEVER)
        self._steps = [(end, Due.OVER)] + ([(end - notice, Due.ENDS_SOON)] if 0 < notice < longest else [])

    def due(self, now: float) -> Due | None:
        """What is due at ``now``. Each value is returned once, except `Due.SILENT`, which ends the session."""
        if self._steps and self._steps[-1][0] <= now:
            return self._steps.pop()[1]
        return Due.SILENT if self._silent_at <= now else None

    def deadline(self) -> float:
        """When something is due next; infinity when never."""
        return min(self._silent_at, self._steps[-1][0] if self._steps else NEVER)

    @property
    def _silent_at(self) -> float:
        return NEVER if self.parked else self.heard_at + self._silence
