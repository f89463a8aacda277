"""What a client hears of a reply: when audio arrives, and whether there is something to play until then. No clock."""

from __future__ import annotations

#: Bytes of the agent's audio in a second: pcm16 at 24 kHz.
BYTES_PER_SECOND = 48_000


class Playback:
    """One reply. It is played from its first piece of audio on, without a buffer. Times are in seconds."""

    def __init__(self) -> None:
        self._arrived_at: float | None = None
        self._played_until = 0.0
        self._gap = 0.0
        #: The longest time in which there was nothing to play.
        self.silence = 0.0
        #: When the longest time without an arrival ended.
        self.gap_ended = 0.0

    def arrived(self, size: int, now: float) -> None:
        """So many bytes of audio arrive now."""
        if self._arrived_at is None:
            self._played_until = now
        elif now - self._arrived_at > self._gap:
            self._gap, self.gap_ended = now - self._arrived_at, now
        self.silence = max(self.silence, now - self._played_until)
        self._arrived_at = now
        self._played_until = max(self._played_until, now) + size / BYTES_PER_SECOND
