"""The user's turns in sessions without the upstream's turn detection: the gateway detects and commits them.

The audio travels among the other events here, since a commit must come right after the last of its audio.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.audio.endpointing import EndPointer, Mark
from gateway.conversation.barge_in import cancel_response
from gateway.conversation.context import Context
from gateway.timers import Timer
from turngate.protocol.openai.client_events import commit_audio
from turngate.protocol.openai.server_events import ServerEvent, SpeechStarted, SpeechStopped


class ManualTurns:
    """Detects the turns in one session's audio."""

    def __init__(
        self,
        context: Context,
        encoding: str,
        observe: Callable[[ServerEvent, float], None],
        append: Callable[[bytes], None],
    ) -> None:
        """``observe`` handles the events that the upstream would send if its turn detection were on; ``append`` sends
        audio."""
        self._context = context
        self._append = append
        self._observe = observe
        self._pauses = EndPointer(encoding, context.limits.pauses)

    def feed(self, audio: bytes, now: float) -> None:
        """Process audio in the upstream's format."""
        for piece in self._pauses.feed(audio, now):
            match piece:
                case Mark.BEGIN:
                    self._begin(now)
                case Mark.END:
                    self._end(now)
                case _:
                    self._append(piece)

    def due(self, now: float) -> None:
        """The timer is due: end the turn unless audio has arrived meanwhile."""
        if self._pauses.gap(now):
            self._end(now)
        else:
            self._wait_for_audio()

    def end_turn(self, now: float) -> None:
        """End the turn because the client says so. No effect if no turn is open."""
        if self._pauses.speaking:
            self._pauses.end()
            self._end(now)

    def pause(self) -> None:
        """The connection is lost; audio is kept until `resume`."""
        self._context.timers.clear(Timer.MANUAL_TURN)

    def resume(self, now: float) -> None:
        """Another connection is where the conversation is; the audio that was not committed was sent again. A turn that
        had ended is committed again."""
        if self._pauses.speaking:
            self._context.timers.set(Timer.MANUAL_TURN, max(self._pauses.deadline(), now))
        elif self._context.turn.user_speaking:
            self._context.send(commit_audio, "commit")

    def _wait_for_audio(self) -> None:
        self._context.timers.set(Timer.MANUAL_TURN, self._pauses.deadline())

    def _begin(self, now: float) -> None:
        self._wait_for_audio()
        self._observe(SpeechStarted(type="input_audio_buffer.speech_started"), now)
        # With turn detection on, the upstream would cancel it.
        cancel_response(self._context, now)

    def _end(self, now: float) -> None:
        self._context.timers.clear(Timer.MANUAL_TURN)
        self._observe(SpeechStopped(type="input_audio_buffer.speech_stopped"), now)
        self._context.send(commit_audio, "commit")
