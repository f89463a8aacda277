"""The settings of the service itself: where it listens, who may connect, and its upstream."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Literal, Self
from uuid import uuid4

from pydantic import AliasChoices, Field, SecretStr, WebsocketUrl, field_validator, model_validator

from gateway.sockets.engines import EngineName
from gateway.workers.count import AUTO, WORKERS_MAX
from session_state.config import SessionSettings
from turngate.protocol.openai.models import DEFAULT_REALTIME

OPENAI_URL = "wss://api.openai.com/v1/realtime"


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


class ServiceSettings(SessionSettings):
    """The service itself, and its upstream."""

    gateway_host: str = Field("127.0.0.1", description="Address to listen on.")
    gateway_port: int = Field(8080, ge=0, le=65535, description="Port for clients; 0 takes any free one.")
    gateway_workers: int | Literal["auto"] = Field(
        1,
        description="Processes that serve clients at `TURNGATE_GATEWAY_PORT`, from 1 to 64, each on a core of its own; "
        "`auto`: as many as there are cores that the gateway may use. Limits of one gateway are divided among them.",
    )
    gateway_internal_host: str = Field(
        "127.0.0.1", description="Address to listen on for probes and metrics; clients need not reach it."
    )
    gateway_internal_port: int = Field(
        8084, ge=0, le=65535, description="Port for probes and metrics; 0 takes any free one."
    )
    socket_engine: EngineName = Field(
        "picows",
        description="The WebSocket library: `picows`, or `websockets`, which is more mature and needs twice the CPU.",
    )
    published_host: str | None = Field(
        None,
        description="The address at which clients reach the gateway, if it is not the one it listens on, as for a "
        "container.",
    )
    api_keys: SecretStr | None = Field(
        None,
        description="API keys for clients, separated by commas. Without any keys, clients need none. A key may be "
        "followed by a space and `latency_reports=0`, for clients that cannot read `LatencyReport`.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="A file with more API keys, one per line; lines that start with `#` are ignored. It is read again "
        "after a change; a removed key cannot open new connections.",
    )
    token_secret: SecretStr | None = Field(
        None,
        description="Secrets that sign the short-lived tokens of `POST /v1/auth/grant`, separated by commas, each of "
        "at least 32 characters and the same for all gateways. The first signs; the tokens of all are accepted.",
    )
    token_secret_file: Path | None = Field(
        None, description="A file with such secrets, one per line, before the others. It is read again after a change."
    )
    names_file: Path | None = Field(
        None,
        description="A JSON or TOML file that maps clients' names of voices and models to the upstream's.",
    )
    allowed_origins: str | None = Field(
        None,
        description="Origins of web pages that may connect (`https://example.com`), separated by commas; `*` for any. "
        "Default: any if there are API keys, otherwise only pages from this machine. Clients that are not browsers "
        "send no origin, and may always connect.",
    )
    allow_anonymous: bool = Field(
        False, description="Allow starting without API keys on an address that other machines can reach."
    )
    gateway_id: str = Field(
        default_factory=_own_name,
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="The name of this process on the streams. It must be different for each process and each start.",
    )
    redis_leaving: str | None = Field(
        None,
        description="Names of servers of `TURNGATE_REDIS_URLS`, separated by spaces, on which no session begins any "
        "more, so that they can be taken out.",
    )
    upstream_url: WebsocketUrl | None = Field(
        None,
        description="URL of a server with the OpenAI Realtime protocol. Default: OpenAI if there is a key, else the "
        "simulator.",
    )
    upstream_model: str = Field(DEFAULT_REALTIME, description="The realtime model used for all sessions.")
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("TURNGATE_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="API key for the upstream; `OPENAI_API_KEY` is used if it is not set.",
    )

    @field_validator("gateway_workers", mode="before")
    @classmethod
    def _workers(cls, given: object) -> object:
        if given == AUTO or (re.fullmatch("[0-9]{1,2}", str(given)) and 1 <= int(str(given)) <= WORKERS_MAX):
            return given
        raise ValueError(f"a number from 1 to {WORKERS_MAX}, or `{AUTO}`")

    @model_validator(mode="after")
    def _some_stay(self) -> Self:
        if unknown := self.leaving - self.servers.keys():
            raise ValueError(f"TURNGATE_REDIS_LEAVING: no server is called {', '.join(sorted(unknown))}")
        if not self.servers.keys() - self.leaving:
            raise ValueError("TURNGATE_REDIS_LEAVING: no server would be left on which sessions can begin")
        return self

    @field_validator("openai_api_key")
    @classmethod
    def _one_word(cls, key: SecretStr | None) -> SecretStr | None:
        """A key that was read from a file often ends with a newline, with which no request can be sent."""
        if key is None:
            return None
        word = key.get_secret_value().strip()
        if not word or not word.isascii() or not word.isprintable() or " " in word:
            raise ValueError("the key may only have printable ASCII characters, without spaces")
        return SecretStr(word)

    simulator_url: WebsocketUrl = Field(
        WebsocketUrl("ws://127.0.0.1:8083/v1/realtime"),
        description="URL of the simulator, which is used if there is neither a key nor an upstream URL.",
    )

    @property
    def leaving(self) -> frozenset[str]:
        """The names of the Redis servers on which no session begins."""
        return frozenset((self.redis_leaving or "").split())

    @property
    def workers(self) -> int:
        """The number of processes among which limits are divided."""
        return self.gateway_workers if isinstance(self.gateway_workers, int) else 1

    @property
    def upstream(self) -> str:
        """The upstream's URL: the configured one, or else OpenAI if there is a key, or else the simulator."""
        if self.upstream_url is not None:
            return str(self.upstream_url)
        return OPENAI_URL if self.openai_api_key is not None else str(self.simulator_url)

    @property
    def simulated(self) -> bool:
        """Whether the upstream is the simulator."""
        return self.upstream_url is None and self.openai_api_key is None

    @property
    def origins(self) -> list[str] | None:
        """The origins that may connect; None for the default."""
        listed = self.allowed_origins
        return None if listed is None else [origin.strip() for origin in listed.split(",") if origin.strip()]
