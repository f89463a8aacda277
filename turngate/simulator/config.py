"""The simulator's settings."""

from __future__ import annotations

from pydantic import Field

from turngate.process.settings import Settings
from turngate.simulator.behaviour import Behaviour


class SimulatorSettings(Settings):
    """A stand-in for the OpenAI Realtime API: where it listens, whom it lets in, and how it behaves."""

    simulator_host: str = Field("127.0.0.1", description="Address to listen on.")
    simulator_port: int = Field(
        8083, ge=0, le=65535, description="Port for the WebSocket and HTTP; 0 takes any free one."
    )
    simulator_api_key: str | None = Field(
        None, description="The API key that clients must bring; without it any key will do, but there must be one."
    )
    simulator_models: str = Field(
        "", description="The models that exist, separated by commas; empty for any model that is named."
    )
    simulator_pace: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Factor on all of the simulator's own delays: 1 is realistic, 0 as fast as it can.",
    )
    simulator_session_seconds: float = Field(
        3600.0, gt=0, description="Lifetime of a session in seconds; it ends with close code 1001."
    )
    simulator_auto_create_fails_silently: bool = Field(
        False,
        description="When the server's own response finds another active: nothing (true) or an `error` event.",
    )
    simulator_race_window_ms: int = Field(
        300,
        ge=0,
        description="A collision with the server's own response is marked as a race for so long, in ms.",
    )
    simulator_record_sessions: int = Field(
        200, ge=1, description="Sessions in the record; the oldest that has ended goes first."
    )
    simulator_record_entries: int = Field(
        2_000, ge=0, description="Events in the record per session; the oldest go first. 0 records violations only."
    )

    def behaviour(self) -> Behaviour:
        """What a conversation needs of these settings."""
        return Behaviour(
            pace=self.simulator_pace,
            session_seconds=self.simulator_session_seconds,
            auto_create_fails_silently=self.simulator_auto_create_fails_silently,
            race_window=self.simulator_race_window_ms / 1000,
            record_entries=self.simulator_record_entries,
        )

    def models(self) -> frozenset[str]:
        """The models that exist; empty for any."""
        return frozenset(name for part in self.simulator_models.split(",") if (name := part.strip()))
