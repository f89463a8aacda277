"""The settings of a translator."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from session_state.config import ReservationSettings
from turngate.process.settings import ConsumerSettings


class TranslatorSettings(ReservationSettings, ConsumerSettings):
    """The service itself, and the configuration that a client's Settings start from."""

    translator_host: str = Field("127.0.0.1", description="Address of the HTTP for health, readiness and metrics.")
    translator_port: int = Field(8081, ge=0, le=65535, description="Its port; 0 takes any free one.")
    upstream_model: str = Field("gpt-realtime", description="The realtime model that conversations run on.")
    upstream_voice: str = Field("marin", description="The voice where the client names none that exists upstream.")
    transcription_model: str = Field(
        "gpt-4o-mini-transcribe", description="Turns the user's speech into text for the client; empty for none."
    )
    names_file: Path | None = Field(
        None,
        description="A JSON or TOML file: which voices and models of the upstream stand for names that clients use.",
    )
    turn_owner: Literal["server", "gateway"] = Field(
        "server",
        description="Who asks for the reply when the user stops speaking: `server` (the upstream's VAD, fastest) or "
        "`gateway` (waiting configuration is applied first, and no collision is possible).",
    )
