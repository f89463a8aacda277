"""Limits on what a client sends, beyond any use: the size of a text message, and rates. Exceeding one ends the session.

Without them, one client could take the time of all others, since a process handles its sessions in turn.
"""

from __future__ import annotations

from gateway.allowance import Allowance
from gateway.conversation.context import Context

#: Close codes (RFC 6455, 7.4.1).
_POLICY_VIOLATION = 1008
_TOO_BIG = 1009
#: Seconds of the rate of audio bytes that may come at once: some clients send a recording as fast as they can.
_AUDIO_BURST = 10.0


class ClientLimits:
    """The limits of one session's client."""

    __slots__ = ("_audio_bytes", "_audio_frames", "_context", "_text_bytes", "_texts")

    def __init__(self, context: Context, now: float) -> None:
        limits = context.limits
        self._context = context
        self._texts = Allowance(limits.texts_per_second, now)
        self._text_bytes = Allowance(limits.text_bytes_per_second, now)
        self._audio_frames = Allowance(limits.audio_frames_per_second, now)
        self._audio_bytes = Allowance(limits.audio_bytes_per_second, now, burst=_AUDIO_BURST)

    def admit_text(self, size: int, now: float) -> bool:
        """Whether a text message of this size is to be handled. Otherwise the client was told, and the session ends."""
        longest = self._context.limits.text_bytes
        if size > longest:
            self._end(
                "CLIENT_MESSAGE_TOO_LARGE",
                f"The message has {size:,} bytes; this server accepts messages of up to {longest:,} bytes.",
                _TOO_BIG,
            )
            return False
        if self._texts.spend(1, now) and self._text_bytes.spend(size, now):
            return True
        self._end("TOO_MANY_MESSAGES", "The client sends more messages than any conversation needs.", _POLICY_VIOLATION)
        return False

    def admit_audio(self, size: int, now: float) -> bool:
        """Whether a frame of audio of this size is to be handled. Otherwise the client was told, and the session
        ends."""
        if self._audio_frames.spend(1, now) and self._audio_bytes.spend(size, now):
            return True
        self._end("TOO_MANY_MESSAGES", "The client sends more audio than any format needs.", _POLICY_VIOLATION)
        return False

    def _end(self, code: str, description: str, close_code: int) -> None:
        self._context.counters.floods += 1
        self._context.tell_error(code, description)
        self._context.end(close_code, code)
