"""How the simulator behaves: its delays, its limits and the points on which the real service is not certain."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The parameters of one conversation. Every time is in seconds at pace 1; `wait` applies the pace.

    The pace never touches times that the client chose or that pass at the client's: silence (counted in received
    audio), the idle timeout, and how long a reply takes to play.
    """

    #: 1 is realistic, 0 is as fast as possible.
    pace: float = 1.0
    #: From accepting a response (its slot is taken) to ``response.created``.
    created_delay: float = 0.02
    #: From ``response.created`` to the first output item.
    thinking: float = 0.25
    #: Between two deltas of text or of function call arguments.
    text_interval: float = 0.02
    #: Words in one delta of text or transcript.
    words_per_delta: int = 2
    #: Audio is streamed this many times faster than it plays.
    audio_speedup: float = 3.0
    #: From ``response.cancel`` (or an interruption) to ``response.done``; the slot stays taken meanwhile.
    cancel_delay: float = 0.03
    #: From a committed turn to the response that the server creates by itself.
    auto_response_delay: float = 0.05
    #: From a committed turn to its transcript.
    transcription_delay: float = 0.3
    #: From ``response.done`` to ``rate_limits.updated``; seen on the live service after the end, not at the start.
    rate_limits_delay: float = 0.04
    #: Lifetime of a session; it ends with close code 1001.
    session_seconds: float = 3600.0
    #: What happens to the server's own response when the slot is taken is not documented: an error event, or nothing.
    auto_create_fails_silently: bool = False
    #: A client that collides with a response which the server began less than this before could not know of it.
    race_window: float = 0.3
    #: Entries of the record per conversation; the oldest go first.
    record_entries: int = 2000
    #: Items in a conversation; at the limit the oldest leaves without an event, as it does from a full context.
    max_items: int = 2000
    #: Decoded audio kept per conversation, in bytes; at the limit the oldest cannot be retrieved any more.
    max_audio_bytes: int = 16 * 1024 * 1024
    #: Out-of-band responses at one time; one more is refused.
    max_out_of_band: int = 16

    def wait(self, seconds: float) -> float:
        """Seconds to let pass for a delay of the server's own."""
        return seconds * self.pace
