"""What the client hears of the user's speech: when it starts and stops, and its transcripts.

The upstream transcribes each turn by itself, so the transcript of a short turn can arrive before that of a longer one
that was spoken first. Final transcripts are sent in the order in which the turns ended: one that arrives early waits
for the turns before it, but not for longer than `_ORDER_PATIENCE`.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.downlink.transcripts import Transcripts
from gateway.recent import Recent
from gateway.timers import Timer, Timers
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import Role, ServerMessage
from turngate.protocol.openai.server_events import (
    AudioCommitted,
    InputTranscriptionCompleted,
    InputTranscriptionDelta,
    InputTranscriptionFailed,
    SpeechStarted,
    SpeechStopped,
)

#: Seconds that a transcript waits for those of the turns before it.
_ORDER_PATIENCE = 3.0
#: Turns whose transcripts may be awaited.
_AWAITED_MAX = 16


@dataclass(slots=True)
class _Turn:
    """A turn whose transcript has not been sent."""

    ended_at: float
    #: The messages to send, once its transcript has arrived.
    messages: list[ServerMessage] | None = None


class UserSpeech:
    """The user's speech in one session."""

    def __init__(
        self,
        transcripts: Transcripts | None,
        texts: Callable[[Role, str], list[ServerMessage]],
        latency: Callable[[float], list[ServerMessage]],
        timers: Timers,
        remembered: int,
    ) -> None:
        """``transcripts`` for a dialect that sends ``Transcript``; ``texts`` makes the messages for a text, and
        ``latency`` those for the time in seconds that a transcription took."""
        self._transcripts = transcripts
        self._texts = texts
        self._latency = latency
        self._timers = timers
        #: Items whose transcript has arrived.
        self._arrived: Recent[str, None] = Recent(remembered)
        #: When the user stopped speaking, by item.
        self._stopped: Recent[str, float] = Recent(remembered)
        #: The turns whose transcripts were not sent, in the order in which they ended.
        self._turns: Recent[str, _Turn] = Recent(_AWAITED_MAX)

    def started(self, event: SpeechStarted) -> None:
        if self._transcripts is not None:
            self._transcripts.started(event)

    def stopped(self, event: SpeechStopped, now: float) -> list[ServerMessage]:
        if event.item_id is not None:
            self._stopped[event.item_id] = now
            self._ended(event.item_id, now)
        return [] if self._transcripts is None else [self._transcripts.stopped(event)]

    def committed(self, event: AudioCommitted, now: float) -> list[ServerMessage]:
        if event.item_id is not None:
            self._ended(event.item_id, now)
        return []

    def interim(self, event: InputTranscriptionDelta, now: float) -> list[ServerMessage]:
        message = self._transcripts.interim(event) if self._transcripts is not None else None
        return [] if message is None else [message]

    def final(self, event: InputTranscriptionCompleted, now: float) -> list[ServerMessage]:
        if event.item_id in self._arrived:
            return []
        self._arrived[event.item_id] = None
        transcript = self._transcripts.final(event) if self._transcripts is not None else None
        text = event.transcript.strip()
        stopped = self._stopped.get(event.item_id)
        return self._in_order(
            event.item_id,
            [
                *([] if stopped is None else self._latency(now - stopped)),
                # In this order the component recognises that both are the same words.
                *(self._texts("user", text) if text else []),
                *([] if transcript is None else [transcript]),
            ],
            now,
        )

    def failed(self, event: InputTranscriptionFailed, now: float) -> list[ServerMessage]:
        description = f"What the user said could not be transcribed: {event.error.message or 'no reason given'}"
        return self._in_order(event.item_id, [events.warning("TRANSCRIPTION_FAILED", description)], now)

    def due(self, now: float) -> list[ServerMessage]:
        """Transcripts have waited for long enough: the messages to send."""
        messages: list[ServerMessage] = []
        while self._turns:
            item_id, turn = next(iter(self._turns.items()))
            if turn.messages is None and turn.ended_at + _ORDER_PATIENCE > now:
                break
            del self._turns[item_id]
            messages += turn.messages or []
        self._set_timer()
        return messages

    @property
    def awaited(self) -> bool:
        """Whether the transcript of a turn may still arrive that ended a moment ago."""
        return any(turn.messages is None for turn in self._turns.values())

    @property
    def waiting(self) -> list[ServerMessage]:
        """The messages that wait for the transcripts of earlier turns."""
        return [message for turn in self._turns.values() for message in turn.messages or ()]

    def _ended(self, item_id: str, now: float) -> None:
        if item_id not in self._arrived and item_id not in self._turns:
            self._turns[item_id] = _Turn(now)
            self._set_timer()

    def _set_timer(self) -> None:
        """Set when the first of the turns is not waited for any more."""
        if self._turns:
            self._timers.set(Timer.TRANSCRIPTS, next(iter(self._turns.values())).ended_at + _ORDER_PATIENCE)
        else:
            self._timers.clear(Timer.TRANSCRIPTS)

    def _in_order(self, item_id: str, messages: list[ServerMessage], now: float) -> list[ServerMessage]:
        turn = self._turns.get(item_id)
        if turn is None:
            return messages
        turn.messages = messages
        return self.due(now)
