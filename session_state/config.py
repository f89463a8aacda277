"""The settings of session-state, and of those who reserve."""

from __future__ import annotations

from pydantic import Field

from turngate.process.settings import BrokerSettings, ConsumerSettings


class ReservationSettings(BrokerSettings):
    """What a caller of `session_state.client` must know; the same for all of them."""

    release_lease_ms: int = Field(
        2_000,
        ge=50,
        description="How long a granted release may take to show in the turn record before it is granted again.",
    )
    session_ttl_ms: int = Field(
        45_000, ge=1_000, description="A session whose gateway sent no record for so long is forgotten."
    )
    session_intents_max: int = Field(
        512,
        ge=1,
        description="Intents of one session that may wait at session-state; the gateway asks again for any more.",
    )


class SessionStateSettings(ReservationSettings, ConsumerSettings):
    """The service itself."""

    session_state_host: str = Field(
        "127.0.0.1", description="Address of the admin HTTP: sessions, health, readiness, metrics."
    )
    session_state_port: int = Field(8082, ge=0, le=65535, description="Its port; 0 takes any free one.")
    sweep_interval_ms: int = Field(
        500, ge=10, description="How often waiting sessions are looked at for releases that were lost on the way."
    )
    sweep_batch: int = Field(200, ge=1, description="Sessions looked at in one sweep.")
