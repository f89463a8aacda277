"""Parameters of a simulated session: delays, limits, and choices where the real service's behaviour is undocumented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The parameters of one session. Times are in seconds at pace 1; `wait` applies the pace.

    The pace does not apply to times that the client configures or that depend on the client: silence (counted in
    received audio), the idle timeout, and the playing time of a reply.
    """

    #: 1 is realistic, 0 is as fast as possible.
    pace: float = 1.0
    #: From accepting a response (it holds the slot from then on) to ``response.created``.
    created_delay: float = 0.02
    #: From ``response.created`` to the first output item.
    thinking: float = 0.25
    #: Between two deltas of text or of function call arguments.
    text_interval: float = 0.02
    #: Words in one delta of text or transcript.
    words_per_delta: int = 2
    #: Audio is sent this many times faster than real time.
    audio_speedup: float = 3.0
    #: From ``response.cancel`` (or an interruption) to ``response.done``; the slot is not free until then.
    cancel_delay: float = 0.03
    #: From a committed turn to the response that the server creates automatically.
    auto_response_delay: float = 0.05
    #: From a committed turn to its transcript.
    transcription_delay: float = 0.3
    #: From ``response.done`` to ``rate_limits.updated``. The live service sends it after the end of a response.
    rate_limits_delay: float = 0.04
    #: Lifetime of a session, and how it ends: close code 1001, an ``error`` event before it, or the event alone.
    session_seconds: float = 3600.0
    session_end: Literal["close", "error_then_close", "error"] = "error_then_close"
    #: When the server's automatic response finds another one active: send nothing (True) or an ``error`` event (False).
    #: The real service does not document which.
    auto_create_fails_silently: bool = False
    #: A client event that collides with an automatic response accepted less than this ago is marked as a race: the
    #: client could not have known about that response.
    race_window: float = 0.3
    #: Entries in a session's event record; the oldest are dropped first.
    record_entries: int = 2000
    #: Items in a conversation. At the limit the oldest is removed without an event, as from a full context window.
    max_items: int = 2000
    #: Decoded audio kept per session, in bytes. At the limit the oldest can no longer be retrieved.
    max_audio_bytes: int = 16 * 1024 * 1024
    #: Concurrent out-of-band responses; another one is refused.
    max_out_of_band: int = 16

    def wait(self, seconds: float) -> float:
        """Apply the pace to one of the server's delays, in seconds."""
        return seconds * self.pace
