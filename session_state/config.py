"""The settings of session-state, and of the services that make reservations."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, WebsocketUrl, field_validator

from turngate.process.settings import BrokerSettings, ConsumerSettings

_ADMIN_KEY_CHARACTERS_MIN = 16


class SessionSettings(BrokerSettings):
    """How long sessions are known. It must be the same in all services."""

    session_ttl_ms: int = Field(
        45_000, ge=1_000, description="A session without a turn record for this long is removed."
    )


class ReservationSettings(SessionSettings):
    """Settings of reservations. They must be the same in all services."""

    release_lease_ms: int = Field(
        2_000,
        ge=50,
        description="A release that does not show in the turn record after this time is granted again.",
    )
    session_intents_max: int = Field(
        512,
        ge=1,
        description="Intents of one session held at session-state; the gateway retries a further one later.",
    )
    session_intents_max_bytes: int = Field(
        2_097_152,
        ge=1,
        description="Size of these intents in Redis; one that is larger by itself is held if nothing else is.",
    )


class SessionStateSettings(ReservationSettings, ConsumerSettings):
    """The service itself."""

    session_state_host: str = Field(
        "127.0.0.1", description="Address of the admin HTTP server for sessions, health, readiness and metrics."
    )
    session_state_port: int = Field(8082, ge=0, le=65535, description="Port of that HTTP server; 0 takes any free one.")
    admin_key: SecretStr | None = Field(
        None,
        description="Key for whoever looks at sessions and reads what was said in them (`GET /sessions`, "
        "`GET /events`, `GET /sessions/<id>/journal`), at least 16 characters. Without one, only "
        "programs on the same machine may. `turngate sessions` sends it.",
    )
    watchers_max: int = Field(
        32, ge=1, description="Clients that watch events of one session-state process; a further one gets HTTP 503."
    )
    console_gateway_url: WebsocketUrl = Field(
        WebsocketUrl("ws://127.0.0.1:8080"),
        description="Where browsers reach the gateways, for those who talk to the agent in the console.",
    )
    console_faults_socket: Path | None = Field(
        None,
        description="Set by `turngate run` for the console's buttons that cut and kill parts of its stack: the Unix "
        "socket where it listens for them.",
    )
    sweep_interval_ms: int = Field(500, ge=10, description="Time between two sweeps, which grant lost releases again.")
    sweep_batch: int = Field(200, ge=1, description="Maximum number of sessions per sweep.")

    @field_validator("admin_key")
    @classmethod
    def _guessed_by_nobody(cls, key: SecretStr | None) -> SecretStr | None:
        given = "" if key is None else key.get_secret_value()
        if key is None or (len(given) >= _ADMIN_KEY_CHARACTERS_MIN and given.isascii() and " " not in given):
            return key
        raise ValueError(f"at least {_ADMIN_KEY_CHARACTERS_MIN} ASCII characters, without spaces")
