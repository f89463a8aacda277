"""The bounds of one conversation. Every one is a setting; see `gateway.config`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.audio.endpointing import EndPointingRules
from gateway.turn.requests import Patience


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds."""

    #: Requests of one session that may be unsettled; a further one is refused with a Warning.
    requests: int = 256
    #: Function calls that may be open; past it the oldest is forgotten.
    calls: int = 64
    #: How long the upstream may take to begin the response that its VAD promised.
    promise: float = 3.0
    #: How long the upstream may take to answer a ``session.update`` or a ``response.create``.
    reply: float = 15.0
    #: How long the upstream may ask to wait before a reply that failed is asked for again; 0 to ask for none again.
    retry: float = 5.0
    #: How long the response that holds the slot may show no event before it is cancelled.
    response_silence: float = 30.0
    #: How long a reply may take to begin before the client is warned, and again each time; 0 for ever.
    slow_think: float = 5.0
    #: Characters that a prompt may have where the dialect truncates prompts; 0 for any number.
    prompt: int = 25_000
    #: How long a client may take to answer a function call.
    call: float = 30.0
    #: Between two records of a session in which nothing changes.
    heartbeat: float = 10.0
    #: How long a client may send nothing at all, where its dialect ends sessions for that; 0 for ever.
    silence: float = 0.0
    #: How long a session may last, 0 for ever, and how long before that the client is warned.
    session: float = 0.0
    session_notice: float = 300.0
    #: Whether a client whose dialect has it is sent ``LatencyReport``.
    latency_reports: bool = True
    #: How long a client may send no audio while its user speaks.
    audio_gap: float = 2.0
    #: Bytes of the client's audio that are kept until the session is configured, in the upstream's format.
    early_audio: int = 480_000
    #: Whether the greeting is spoken whole, whatever the user says meanwhile.
    greeting_uninterruptible: bool = False
    #: How the gateway finds the user's turns where the upstream shall not.
    pauses: EndPointingRules = field(default_factory=EndPointingRules)
    patience: Patience = field(default_factory=Patience)
