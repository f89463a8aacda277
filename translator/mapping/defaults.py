"""The installation's defaults, from which every client's ``Settings`` start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from translator.mapping.names import Names
from translator.mapping.turn_detection import TurnDetection
from turngate.protocol.openai.models import DEFAULT_REALTIME, DEFAULT_TRANSCRIPTION


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values for what a client does not specify, and what a client cannot change."""

    #: The realtime model that gateways connect to. The connection determines it; here it is only compared and reported.
    model: str = DEFAULT_REALTIME
    #: The voice if the client names none that exists upstream.
    voice: str = "marin"
    #: Transcribes the user's speech for the client; None for no transcripts.
    transcription_model: str | None = DEFAULT_TRANSCRIPTION
    turn_detection: TurnDetection = field(default_factory=TurnDetection)
    #: Where the user's microphone is; None for no noise reduction.
    noise_reduction: Literal["near_field", "far_field"] | None = None
    #: The effort of a reasoning model if the client specifies none; None for the upstream's default.
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    #: The upstream's names for voices and models that clients name.
    names: Names = field(default_factory=Names)
