"""The settings of a gateway."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from uuid import uuid4

from pydantic import AliasChoices, Field, SecretStr, WebsocketUrl

from gateway.audio.endpointing import EndPointingRules
from gateway.conversation.limits import Limits
from gateway.sockets.engines import EngineName
from gateway.turn.requests import Patience
from turngate.process.settings import BrokerSettings
from turngate.protocol.openai.models import DEFAULT_REALTIME

OPENAI_URL = "wss://api.openai.com/v1/realtime"


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"


class GatewaySettings(BrokerSettings):
    """The service itself, its upstream, and the bounds of its sessions."""

    gateway_host: str = Field("127.0.0.1", description="Address that clients connect to.")
    gateway_port: int = Field(8080, ge=0, le=65535, description="Its port, for both dialects, health and metrics.")
    socket_engine: EngineName = Field(
        "picows",
        description="The WebSocket library: `picows`, or `websockets`, which needs twice the CPU and is older.",
    )
    published_host: str | None = Field(
        None,
        description="Where clients reach it, if that is not where it listens: the published address of a container.",
    )
    api_keys: SecretStr | None = Field(
        None, description="Keys that clients may connect with, separated by commas. Without any, everybody may."
    )
    api_keys_file: Path | None = Field(
        None,
        description="A file of more such keys, one a line; lines that begin with `#` are left out. When it has changed "
        "it is read again: a key that is gone from it opens no new connection.",
    )
    allow_anonymous: bool = Field(
        False, description="Start without keys even where others than this machine can connect."
    )
    gateway_id: str = Field(
        default_factory=_own_name,
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="Names this process on the streams; different for each process and each start.",
    )
    upstream_url: WebsocketUrl | None = Field(
        None,
        description="A server that speaks the OpenAI Realtime protocol. Default: OpenAI with a key, else simulated.",
    )
    upstream_model: str = Field(DEFAULT_REALTIME, description="The realtime model that conversations run on.")
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("TURNGATE_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key for the upstream; `OPENAI_API_KEY` is read too.",
    )
    simulator_url: WebsocketUrl = Field(
        WebsocketUrl("ws://127.0.0.1:8083/v1/realtime"),
        description="Where the simulator listens, for use without a key.",
    )
    upstream_connect_timeout_ms: int = Field(
        15_000, ge=100, description="How long to try to reach the upstream, all attempts together."
    )
    upstream_reply_timeout_ms: int = Field(
        15_000, ge=100, description="How long the upstream may take to answer a `session.update` or `response.create`."
    )
    promise_grace_ms: int = Field(
        3_000, ge=50, description="How long to wait for the response that the upstream's VAD is about to begin."
    )
    sessions_max: int = Field(1_000, ge=1, description="Sessions of one gateway; a further client gets HTTP 429.")
    session_requests_max: int = Field(
        256, ge=1, description="Unsettled requests of one session; a further one gets the Warning `TOO_MANY_REQUESTS`."
    )
    session_messages_max: int = Field(
        1_024,
        ge=1,
        description="Messages (audio apart) that may wait for a client or its upstream; where more would, it is cut.",
    )
    session_calls_max: int = Field(64, ge=1, description="Open function calls of one session; the oldest is forgotten.")
    function_call_timeout_ms: int = Field(
        30_000, ge=100, description="How long a client may take to answer a function call before the model is told."
    )
    slow_think_ms: int = Field(
        5_000,
        ge=0,
        description="A reply on `/v1/agent/converse` that takes so long to begin is told as the Warning "
        "`SLOW_THINK_REQUEST`, and again each time; 0 for never.",
    )
    latency_reports: bool = Field(
        True,
        description="Send `LatencyReport` on `/v1/agent/converse`. deepgram-sdk 6.0 for Python ends a session that "
        "brings it a message it does not know, and needs this off.",
    )
    prompt_characters_max: int = Field(
        25_000,
        ge=0,
        description="A longer prompt on `/v1/agent/converse` is truncated, with the Warning `PROMPT_TOO_LONG`; "
        "0 leaves it to the upstream.",
    )
    client_idle_timeout_ms: int = Field(
        15_000,
        ge=0,
        description="A client on `/v1/agent/converse` that sends nothing at all for so long (`KeepAlive` counts) is "
        "ended with `CLIENT_MESSAGE_TIMEOUT`; 0 for never.",
    )
    session_length_max_ms: int = Field(
        3_600_000,
        ge=0,
        description="The longest session; five minutes before, the client is warned. 0 leaves it to the upstream.",
    )
    manual_commit_pause_ms: int = Field(
        800,
        ge=100,
        le=10_000,
        description="With `useOpenAIManualAudioCommit`: so much quiet, or no audio for as long, ends the user's turn.",
    )
    manual_commit_level_dbfs: float = Field(
        -45.0,
        ge=-90,
        le=-10,
        description="With `useOpenAIManualAudioCommit`: what is louder than this (dB below full scale) is speech.",
    )
    early_audio_max_bytes: int = Field(
        480_000,
        ge=0,
        description="Audio kept until the session is configured; past it the oldest is dropped with a Warning.",
    )
    client_frame_max_bytes: int = Field(1_048_576, ge=1_024, description="A larger frame closes the session with 1009.")
    socket_unread_max_bytes: int = Field(
        131_072,
        ge=8_192,
        description="What the operating system takes of what a client or its upstream has sent, before the gateway "
        "reads it; the rest stays with the sender.",
    )
    client_stall_ms: int = Field(
        10_000, ge=100, description="A client (or upstream) that takes nothing for so long while data waits is closed."
    )
    client_ping_interval_ms: int = Field(
        20_000, ge=100, description="Between two pings of a client; dead peers are closed."
    )
    heartbeat_ms: int = Field(
        15_000, ge=100, description="Between two turn records of a session in which nothing changes."
    )
    retransmit_after_ms: int = Field(
        1_000,
        ge=50,
        description="A request that no translator answered is published again after this, doubling up to 8 s.",
    )
    release_patience_ms: int = Field(
        4_000, ge=50, description="A request that no free turn took for so long is published again."
    )
    request_timeout_ms: int = Field(
        60_000,
        ge=100,
        description="A request that could not be carried out for so long is reported: `REQUEST_TIMED_OUT`.",
    )
    turn_fold_ms: int = Field(
        250,
        ge=0,
        description="How long a turn record that nothing waits for may wait for others, to be published with them.",
    )

    @property
    def upstream(self) -> str:
        """The upstream's URL: the one that is set, OpenAI when there is a key, else the simulator."""
        if self.upstream_url is not None:
            return str(self.upstream_url)
        return OPENAI_URL if self.openai_api_key is not None else str(self.simulator_url)

    @property
    def simulated(self) -> bool:
        """True when replies come from the simulator."""
        return self.upstream_url is None and self.openai_api_key is None

    @property
    def limits(self) -> Limits:
        """The bounds of one conversation, in seconds."""
        return Limits(
            requests=self.session_requests_max,
            calls=self.session_calls_max,
            promise=self.promise_grace_ms / 1000,
            reply=self.upstream_reply_timeout_ms / 1000,
            slow_think=self.slow_think_ms / 1000,
            prompt=self.prompt_characters_max,
            latency_reports=self.latency_reports,
            call=self.function_call_timeout_ms / 1000,
            heartbeat=self.heartbeat_ms / 1000,
            silence=self.client_idle_timeout_ms / 1000,
            session=self.session_length_max_ms / 1000,
            pauses=EndPointingRules(self.manual_commit_level_dbfs, self.manual_commit_pause_ms / 1000),
            patience=Patience(
                translation=self.retransmit_after_ms / 1000,
                release=self.release_patience_ms / 1000,
                give_up=self.request_timeout_ms / 1000,
            ),
        )
