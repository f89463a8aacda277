"""The messages with which one session's client is told of something, as its dialect has them.

No I/O and no clock.
"""

from __future__ import annotations

from gateway.dialect import Dialect
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import LatencyStage, Role, ServerMessage


class Wording:
    """Each method returns messages, in order; some dialects have none for it."""

    def __init__(self, dialect: Dialect, *, history: bool, latency_reports: bool) -> None:
        """``history``: whether the client wants ``History``; ``latency_reports``: whether it may be sent
        ``LatencyReport``."""
        self._extended = dialect.sends_extensions
        self._progress = dialect.sends_progress
        self._latency_reports = dialect.sends_progress and latency_reports
        self._has_history = dialect.sends_history
        self.history = history and dialect.sends_history

    def show_history(self, wanted: bool) -> None:
        """Set whether the client wants ``History``; it is only sent in a dialect that has it."""
        self.history = wanted and self._has_history

    def text(self, role: Role, text: str) -> list[ServerMessage]:
        """Somebody has said this."""
        return [events.conversation_text(role, text), *([events.history(role, text)] if self.history else [])]

    def thinking(self) -> list[ServerMessage]:
        """A response has begun."""
        return [events.agent_thinking()] if self._progress else []

    def end(self) -> list[ServerMessage]:
        """A reply has ended."""
        return [events.agent_audio_done(), *([events.agent_done()] if self._extended else [])]

    def latency(self, stage: LatencyStage, seconds: float) -> list[ServerMessage]:
        """This has taken so long."""
        return [events.latency_report(stage, seconds)] if self._latency_reports else []

    def result_taken(self, call_id: str, call: tuple[str, str] | None, output: str) -> list[ServerMessage]:
        """This result of a function call goes to the model. ``call`` is the name and the arguments, if known."""
        messages = [events.agent_thinking()] if self._extended else []
        if call is not None and self._progress:
            messages.append(events.function_call_response(call_id, call[0], output))
        if call is not None and self.history:
            messages.append(events.history_call(call_id, *call, output))
        return messages
