"""Transcripts of the user's speech: from the upstream's transcription events to messages for the client.

Deltas of one item are accumulated; its final transcript is sent once. Both may arrive long after the reply has started.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.recent import Recent
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.server_events import (
    InputTranscriptionCompleted,
    InputTranscriptionDelta,
    SpeechStarted,
    SpeechStopped,
)


@dataclass(slots=True)
class _Utterance:
    #: Milliseconds from the start of the session's audio; 0 until known.
    started_ms: int = 0
    stopped_ms: int = 0
    text: str = ""
    final: bool = False

    def transcript(self) -> ServerMessage:
        duration = max(self.stopped_ms - self.started_ms, 0) / 1000
        return events.transcript(self.text, final=self.final, start=self.started_ms / 1000, duration=duration)


class Transcripts:
    """The last ``limit`` utterances, for dialects that send ``Transcript`` and ``UtteranceEnd``."""

    def __init__(self, limit: int) -> None:
        self._utterances: Recent[str, _Utterance] = Recent(limit)

    def started(self, event: SpeechStarted) -> None:
        if event.item_id is not None:
            self._utterance(event.item_id).started_ms = event.audio_start_ms or 0

    def stopped(self, event: SpeechStopped) -> ServerMessage:
        """The ``UtteranceEnd``, when the user has stopped speaking."""
        if event.item_id is not None:
            self._utterance(event.item_id).stopped_ms = event.audio_end_ms or 0
        return events.utterance_end((event.audio_end_ms or 0) / 1000)

    def interim(self, event: InputTranscriptionDelta) -> ServerMessage | None:
        """The transcript so far, as a ``Transcript``; None once the final one has been sent."""
        utterance = self._utterance(event.item_id)
        if utterance.final or not event.delta:
            return None
        utterance.text += event.delta
        return utterance.transcript()

    def final(self, event: InputTranscriptionCompleted) -> ServerMessage | None:
        """The final transcript, as a ``Transcript``; None if it is empty and no interim one was sent."""
        utterance = self._utterance(event.item_id)
        if not utterance.text and not event.transcript.strip():
            return None
        utterance.text, utterance.final = event.transcript.strip(), True
        return utterance.transcript()

    def _utterance(self, item_id: str) -> _Utterance:
        if item_id not in self._utterances:
            self._utterances[item_id] = _Utterance()
        return self._utterances[item_id]
