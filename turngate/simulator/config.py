"""The simulator's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from turngate.process.settings import Settings
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.faults import Fault


class SimulatorSettings(Settings):
    """Settings of the simulator of the OpenAI Realtime API."""

    simulator_host: str = Field("127.0.0.1", description="Address to listen on.")
    simulator_port: int = Field(
        8083, ge=0, le=65535, description="Port for the WebSocket and HTTP; 0 takes any free one."
    )
    simulator_api_key: str | None = Field(
        None, description="The API key that clients must send. If unset, any key is accepted, but a key is required."
    )
    simulator_models: str = Field(
        "", description="The models that exist, separated by commas; empty accepts every model name."
    )
    simulator_pace: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Factor on the simulator's delays: 1 is realistic, 0 is as fast as possible.",
    )
    simulator_session_seconds: float = Field(3600.0, gt=0, description="Maximum duration of a session in seconds.")
    simulator_session_end: Literal["close", "error_then_close", "error"] = Field(
        "error_then_close",
        description="How a session of that duration ends: an `error` event `session_expired` and close code 1001, or "
        "one of them alone.",
    )
    simulator_fault: Fault | None = Field(
        None, description="A fault that every connection has; see the simulator's README for the list."
    )
    simulator_fault_times: int = Field(
        1, ge=0, description="How many responses, requests or results of a connection a fault is about; 0 for all."
    )
    simulator_auto_create_fails_silently: bool = Field(
        False,
        description="When an automatic response finds another one active: send nothing (true) or an `error` event.",
    )
    simulator_race_window_ms: int = Field(
        300,
        ge=0,
        description="A collision with an automatic response is marked as a race if it began less than this ago, in ms.",
    )
    simulator_record_sessions: int = Field(
        200, ge=1, description="Sessions kept for `/sessions` and `/record`; the oldest ended one is dropped first."
    )
    simulator_record_entries: int = Field(
        2_000, ge=0, description="Events recorded per session; the oldest are dropped. 0 records violations only."
    )

    def behaviour(self) -> Behaviour:
        """The parameters of a session according to these settings."""
        return Behaviour(
            pace=self.simulator_pace,
            session_seconds=self.simulator_session_seconds,
            session_end=self.simulator_session_end,
            auto_create_fails_silently=self.simulator_auto_create_fails_silently,
            race_window=self.simulator_race_window_ms / 1000,
            record_entries=self.simulator_record_entries,
        )

    def models(self) -> frozenset[str]:
        """The models that exist; empty if every name is accepted."""
        return frozenset(name for part in self.simulator_models.split(",") if (name := part.strip()))
