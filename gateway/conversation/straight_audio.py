"""Audio in both directions. What was decided for one piece holds for the next ones, until anything else comes
(docs/adr/0020-audio-that-goes-straight.md).

`from_client` and `from_upstream` run for every frame, so they avoid calls and allocations.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.audio.formats import Convert
from gateway.conversation.context import Context
from gateway.conversation.lifetime import Lifetime
from gateway.conversation.user_audio import UserAudio

#: Maximum audio of the upstream in one message to the client. The client's sample rate can double it, and many
#: WebSocket libraries accept at most 1 MiB.
_AUDIO_MAX_BYTES = 256 * 1024


class StraightAudio:
    """The audio of one conversation. Call `decide_anew` after everything that is not audio."""

    __slots__ = ("_bytes_per_ms", "_changed", "_context", "_convert", "_item_id", "_lifetime", "_user")

    def __init__(self, context: Context, lifetime: Lifetime, user: UserAudio, changed: Callable[[float], None]) -> None:
        """``changed`` notes what follows from audio that was no mere audio."""
        self._context = context
        self._lifetime = lifetime
        self._user = user
        self._changed = changed
        #: Converts the agent's audio that goes straight: of this item, and of the response that holds the slot. None if
        #: the next piece is to be decided.
        self._convert: Convert | None = None
        self._item_id = ""
        self._bytes_per_ms = 1

    def decide_anew(self) -> None:
        """Anything else than audio has come."""
        self._convert = self._user.straight = None

    def from_client(self, chunk: bytes, now: float) -> bytes | None:
        """Handle a binary frame of the client, in its declared format. Returns the audio to send upstream now (it may
        be empty), or None if there is something to drain: an error, or audio that is sent as an event."""
        self._lifetime.heard_at = now
        user = self._user
        convert = user.straight
        if convert is not None and not len(chunk) % 2:
            user.heard_at = now
            sent = convert(chunk)
            user.recent.sent(sent)
            return sent
        audio = user.feed(chunk, now)
        if audio is None:
            self._changed(now)
        return audio

    def from_upstream(self, response_id: str, item_id: str, pcm: bytes, now: float) -> bytes | None:
        """Handle a piece of the agent's audio. Returns the bytes for the client, which may be empty; None if they are
        among what is to be drained, after a message."""
        context, convert = self._context, self._convert
        if (
            convert is not None
            and item_id == self._item_id
            and response_id == context.turn.response_id
            and len(pcm) <= _AUDIO_MAX_BYTES
            and not len(pcm) % 2
            and context.ending is None
        ):
            context.turn.heard_at = now
            audio = convert(pcm)
            context.downlink.playout.forwarded(item_id, len(pcm) / self._bytes_per_ms, now)
            return audio
        self._convert = None
        return self._decide(response_id, item_id, pcm, now)

    def _decide(self, response_id: str, item_id: str, pcm: bytes, now: float) -> bytes | None:
        """Handle a piece of which nothing is decided yet."""
        context = self._context
        turn, downlink = context.turn, context.downlink
        turn.heard(response_id, now)
        if not pcm or (before := downlink.audio(response_id, item_id, now)) is None or context.ending is not None:
            return b""
        context.tell(*before)
        frames = [
            downlink.forward(response_id, item_id, pcm[start : start + _AUDIO_MAX_BYTES], now)
            for start in range(0, len(pcm), _AUDIO_MAX_BYTES)
        ]
        if before or len(frames) > 1:
            for frame in frames:
                context.send_audio(frame)
            return None
        if response_id == turn.response_id:
            self._convert, self._item_id = downlink.voice.straight, item_id
            self._bytes_per_ms = downlink.voice.bytes_per_ms
        return frames[0]
