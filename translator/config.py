"""The settings of a translator."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from session_state.config import ReservationSettings
from translator.mapping.defaults import Defaults
from translator.mapping.names import load_names
from translator.mapping.turn_detection import TurnDetection
from turngate.process.settings import ConsumerSettings
from turngate.protocol.openai.models import DEFAULT_REALTIME, DEFAULT_TRANSCRIPTION


class TranslatorSettings(ReservationSettings, ConsumerSettings):
    """The service itself, and the defaults for clients' ``Settings``."""

    translator_host: str = Field(
        "127.0.0.1", description="Address of the HTTP server for health, readiness and metrics."
    )
    translator_port: int = Field(8081, ge=0, le=65535, description="Port of that HTTP server; 0 takes any free one.")
    upstream_model: str = Field(DEFAULT_REALTIME, description="The realtime model used for all sessions.")
    upstream_voice: str = Field(
        "marin", description="The upstream voice, if the client names none or one without a counterpart upstream."
    )
    transcription_model: str = Field(
        DEFAULT_TRANSCRIPTION, description="The upstream's model for transcribing the user's speech; empty for none."
    )
    names_file: Path | None = Field(
        None,
        description="A JSON or TOML file that maps clients' names of voices and models to the upstream's.",
    )
    turn_owner: Literal["server", "gateway"] = Field(
        "server",
        description="Who requests the reply when the user stops speaking: `server` (the upstream's VAD; fastest) or "
        "`gateway` (held configuration is applied first, and no collision is possible).",
    )
    turn_detection: Literal["server_vad", "semantic_vad"] = Field(
        "server_vad",
        description="How the upstream finds the user's turns: by silence, or by what is said (`semantic_vad`).",
    )
    vad_threshold: float | None = Field(
        None, ge=0, le=1, description="`server_vad`: how loud speech is, 0 to 1; higher for noisy places."
    )
    vad_prefix_padding_ms: int | None = Field(
        None, ge=0, le=5_000, description="`server_vad`: audio before the onset of speech that belongs to the turn."
    )
    vad_silence_ms: int | None = Field(
        None, ge=0, le=10_000, description="`server_vad`: silence that ends a turn, where the client does not say."
    )
    vad_idle_timeout_ms: int | None = Field(
        None,
        ge=5_000,
        le=30_000,
        description="`server_vad`: the user's silence after which the agent speaks up, where the client does not say.",
    )
    vad_eagerness: Literal["low", "medium", "high", "auto"] | None = Field(
        None, description="`semantic_vad`: how soon a turn is taken to be over, where the client does not say."
    )
    interrupt_response: bool = Field(
        True, description="Whether the user's speech stops a reply that is running, upstream."
    )
    noise_reduction: Literal["near_field", "far_field"] | None = Field(
        None, description="Reduce noise for a headset (`near_field`) or a room or laptop (`far_field`) microphone."
    )
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="How much a reasoning model reasons, where the client does not say."
    )

    @property
    def defaults(self) -> Defaults:
        """What a client's Settings start from. Raises `SettingsError` for a table of names that cannot be used."""
        return Defaults(
            model=self.upstream_model,
            voice=self.upstream_voice,
            transcription_model=self.transcription_model or None,
            turn_detection=TurnDetection(
                kind=self.turn_detection,
                create_response=self.turn_owner == "server",
                interrupt_response=self.interrupt_response,
                threshold=self.vad_threshold,
                prefix_padding_ms=self.vad_prefix_padding_ms,
                silence_duration_ms=self.vad_silence_ms,
                idle_timeout_ms=self.vad_idle_timeout_ms,
                eagerness=self.vad_eagerness,
            ),
            noise_reduction=self.noise_reduction,
            reasoning_effort=self.reasoning_effort,
            names=load_names(self.names_file),
        )
