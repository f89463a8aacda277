"""The limits of one conversation. Each is a setting; see `gateway.config`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.audio.endpointing import EndPointingRules
from gateway.turn.requests import Patience


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds."""

    #: Maximum number of unsettled requests; a further one is refused with a Warning.
    requests: int = 256
    #: Maximum size of the unsettled requests in bytes of JSON; a further one is refused with a Warning.
    request_bytes: int = 4_194_304
    #: Maximum size of a text message in bytes; a larger one ends the session.
    text_bytes: int = 262_144
    #: What the client may send per second; more ends the session. 0 for no limit.
    texts_per_second: float = 100.0
    text_bytes_per_second: float = 1_048_576.0
    audio_frames_per_second: float = 5_000.0
    audio_bytes_per_second: float = 2_097_152.0
    #: Maximum number of open function calls; beyond it the oldest is forgotten.
    calls: int = 64
    #: Maximum time until the automatic response after a committed turn begins.
    promise: float = 3.0
    #: Maximum time in which another connection to the upstream is opened and the conversation restored; 0: a session
    #: ends with its connection.
    reconnect: float = 0.0
    #: Time after which a connection to the upstream is replaced while it still works; 0 for never.
    rollover: float = 0.0
    #: Restore what was said as one message, and not item by item.
    restore_as_message: bool = False
    #: Maximum number and size in bytes of the items that are restored.
    transcript_items: int = 400
    transcript_bytes: int = 262_144
    #: Maximum time until a ``session.update``, ``response.create`` or ``response.cancel`` is answered.
    reply: float = 15.0
    #: Maximum wait, as named by the upstream, before a failed reply is requested again; 0 for no second attempt.
    retry: float = 5.0
    #: Maximum time without an event of the active response; then it is cancelled.
    response_silence: float = 30.0
    #: Time after which a reply that has not begun causes a Warning, and again each time; 0 for never.
    slow_think: float = 5.0
    #: Maximum length of a prompt in characters, in dialects that truncate prompts; 0 for no limit.
    prompt: int = 25_000
    #: Maximum time until the client answers a function call; 0 for no limit.
    call: float = 30.0
    #: Interval of turn records while nothing changes.
    heartbeat: float = 10.0
    #: Maximum time without any frame of the client, in dialects that end sessions for it; 0 for no limit.
    silence: float = 0.0
    #: The same for the dialect of the React component.
    component_silence: float = 0.0
    #: Maximum duration of a session (0 for no limit), and how long before its end the client is warned.
    session: float = 0.0
    session_notice: float = 300.0
    #: Whether ``LatencyReport`` is sent, in dialects that have it.
    latency_reports: bool = True
    #: Maximum time without audio of the client while its user speaks; then silence is sent in its place.
    audio_gap: float = 2.0
    #: Maximum bytes of audio that are kept until the session is configured, in the upstream's format.
    early_audio: int = 480_000
    #: Whether the greeting is spoken to its end, although the user speaks.
    greeting_uninterruptible: bool = False
    #: How the gateway detects the user's turns if the upstream does not.
    pauses: EndPointingRules = field(default_factory=EndPointingRules)
    patience: Patience = field(default_factory=Patience)
