"""The user's audio until the session is configured."""

from __future__ import annotations


class EarlyAudio:
    """At most ``limit`` bytes, in the upstream's format; past it the oldest are dropped."""

    __slots__ = ("_audio", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._audio = bytearray()

    def __bool__(self) -> bool:
        return bool(self._audio)

    def keep(self, audio: bytes) -> bool:
        """Keep this; False when something had to be dropped for it."""
        self._audio += audio
        excess = len(self._audio) - self._limit
        if excess <= 0:
            return True
        # Whole samples of 16 bits.
        del self._audio[: excess + excess % 2]
        return False

    def take(self) -> bytes:
        """All of it; nothing is kept any more."""
        audio, self._audio = bytes(self._audio), bytearray()
        return audio
