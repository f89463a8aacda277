"""The settings of a gateway."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.admission.admission import AdmissionLimits
from gateway.audio.endpointing import EndPointingRules
from gateway.conversation.limits import Limits
from gateway.service_settings import ServiceSettings
from gateway.turn.requests import Patience


class GatewaySettings(ServiceSettings):
    """The service, and the limits of its sessions."""

    upstream_connect_timeout_ms: int = Field(
        15_000, ge=100, description="Timeout for connecting to the upstream, for all attempts together."
    )
    upstream_reconnect_ms: int = Field(
        30_000,
        ge=0,
        description="A session whose connection to the upstream is lost gets another one, and its conversation is "
        "restored there. Timeout for that, for all attempts together; 0: the session ends with its connection.",
    )
    upstream_rollover_ms: int = Field(
        3_000_000,
        ge=0,
        description="A connection to the upstream is replaced after this time, at a quiet moment, and at the latest "
        "three minutes before the upstream ends it. 0 for never.",
    )
    restore_as: Literal["items", "message"] = Field(
        "items",
        description="How a conversation is restored on another connection: item by item, or what was said as one "
        "message. An upstream that answers in text after `items` gets a `message` from then on.",
    )
    transcript_items_max: int = Field(
        400,
        ge=10,
        description="Items of a conversation that are kept, to be restored on another connection. Beyond it the oldest "
        "are forgotten, but not those of `Settings`.",
    )
    transcript_max_bytes: int = Field(262_144, ge=4_096, description="The same, in bytes of text.")
    upstream_reply_timeout_ms: int = Field(
        15_000, ge=100, description="Timeout for the upstream's answer to a `session.update` or `response.create`."
    )
    reply_retry_max_ms: int = Field(
        5_000,
        ge=0,
        description="A reply that fails with `rate_limit_exceeded`, `inference_rate_limit_exceeded` or `server_error` "
        "is asked for again once, after the wait that the upstream names, if that is at most this long; 0 for never.",
    )
    response_silence_ms: int = Field(
        30_000,
        ge=100,
        description="A response of the upstream that shows no event for this long is cancelled, with the Warning "
        "`REPLY_STALLED`. A cancellation that the upstream does not answer costs the session its connection.",
    )
    promise_grace_ms: int = Field(
        3_000, ge=50, description="How long to wait for an automatic response of the upstream to start."
    )
    sessions_max: int = Field(1_000, ge=1, description="Sessions of one gateway; a further client gets HTTP 429.")
    address_sessions_max: int = Field(
        0,
        ge=0,
        description="Sessions of one client address; a further client gets HTTP 429, or close code 1013. 0 for no "
        "limit.",
    )
    address_connects_per_second: float = Field(
        0,
        ge=0,
        description="New connections per second from one client address, with a burst of one second; 0 for no limit.",
    )
    key_sessions_max: int = Field(
        0, ge=0, description="Sessions of one API key; a further client gets HTTP 429. 0 for no limit."
    )
    key_connects_per_second: float = Field(
        0, ge=0, description="New connections per second with one API key, with a burst of one second; 0 for no limit."
    )
    trust_forwarded_for: bool = Field(
        False,
        description="Take a client's address from `X-Forwarded-For` (its last entry). Only behind a proxy that sets "
        "it.",
    )
    session_requests_max: int = Field(
        256, ge=1, description="Unsettled requests of one session; a further one gets the Warning `TOO_MANY_REQUESTS`."
    )
    session_messages_max: int = Field(
        1_024,
        ge=1,
        description="Messages, without audio, queued for a client or for its upstream. A further one ends the session.",
    )
    session_requests_max_bytes: int = Field(
        4_194_304,
        ge=1_024,
        description="Size of the unsettled requests of one session, in bytes of JSON; a further one gets the Warning "
        "`TOO_MANY_REQUESTS`.",
    )
    session_queue_max_bytes: int = Field(
        8_388_608,
        ge=1_024,
        description="Bytes queued for a client or for its upstream, because it does not read. More ends the session.",
    )
    sessions_max_bytes: int = Field(
        536_870_912,
        ge=0,
        description="Bytes that all sessions of one gateway hold (requests, early audio, queues), measured at least "
        "once a second; a further client gets HTTP 503. 0 for no limit.",
    )
    session_calls_max: int = Field(
        64, ge=1, description="Open function calls of one session; beyond it the oldest is forgotten."
    )
    function_call_timeout_ms: int = Field(
        30_000,
        ge=0,
        description="Timeout for the client's answer to a function call; then the model is told, and gets a result "
        "that comes later as a late one. 0 for no limit.",
    )
    slow_think_ms: int = Field(
        5_000,
        ge=0,
        description="A reply on `/v1/agent/converse` that has not started after this time causes the Warning "
        "`SLOW_THINK_REQUEST`, and again after each such time; 0 for never.",
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
        "0 for the upstream's limit.",
    )
    client_idle_timeout_ms: int = Field(
        15_000,
        ge=0,
        description="A session on `/v1/agent/converse` ends with `CLIENT_MESSAGE_TIMEOUT` if the client sends nothing, "
        "not even `KeepAlive`, for this long; 0 for never.",
    )
    component_idle_timeout_ms: int = Field(
        300_000,
        ge=0,
        description="The same on `/openai`, whose clients send no `KeepAlive` while the microphone is off; 0 for "
        "never.",
    )
    session_length_max_ms: int = Field(
        7_200_000,
        ge=0,
        description="Maximum duration of a session; the client gets a Warning five minutes before. 0 for no limit. The "
        "upstream's own limit costs a session its connection, which is replaced.",
    )
    resume_window_ms: int = Field(
        60_000,
        ge=0,
        description="A client whose connection is lost finds its conversation if it returns within this time: one that "
        "sends an `x-deepgram-session-id`, as Deepgram's SDKs do, or has asked for a handle. 0 for never.",
    )
    parked_max: int = Field(
        1_000, ge=0, description="Sessions of one gateway that wait for their client; a further one ends."
    )
    claim_wait_ms: int = Field(
        500,
        ge=0,
        description="A client that returns to another gateway waits at most this long for the gateway that it had to "
        "complete what is known of its session.",
    )
    journal_fold_ms: int = Field(
        250,
        ge=0,
        description="How long what changes in a session whose client may return is kept before it is written to Redis, "
        "for another gateway to go on with. A request that was accepted is written at once.",
    )
    drain_grace_ms: int = Field(
        5_000,
        ge=0,
        description="A gateway that is asked to stop (SIGTERM) says at once that it is not ready, and accepts clients "
        "for this long, until load balancers have noticed.",
    )
    drain_ms: int = Field(
        600_000,
        ge=0,
        description="Its sessions go on for at most this long; then the last reply may end, and clients are told "
        "`SERVER_GOING_AWAY`. A second SIGTERM, or SIGINT, stops it at once.",
    )
    audio_gap_ms: int = Field(
        2_000,
        ge=100,
        description="A client that sends no audio for this long while its user speaks (a mute button): the gateway "
        "sends silence in its place, so that the user's turn ends. A client's `eot_timeout_ms` replaces it for its "
        "session.",
    )
    greeting_uninterruptible: bool = Field(
        False,
        description="Speak the greeting whole, as for a notice that must be heard. What the user says meanwhile is "
        "kept (`TURNGATE_EARLY_AUDIO_MAX_BYTES`) and answered after it.",
    )
    manual_commit_pause_ms: int = Field(
        800,
        ge=100,
        le=10_000,
        description="With `useOpenAIManualAudioCommit`: silence, or time without audio, that ends the user's turn.",
    )
    manual_commit_level_dbfs: float = Field(
        -45.0,
        ge=-90,
        le=-10,
        description="With `useOpenAIManualAudioCommit`: audio above this level (in dBFS) is speech.",
    )
    early_audio_max_bytes: int = Field(
        480_000,
        ge=0,
        description="Audio kept until the session is configured, an uninterruptible greeting was spoken, or the "
        "conversation is restored on another connection; beyond it the oldest is dropped, with a Warning.",
    )
    client_frame_max_bytes: int = Field(
        1_048_576, ge=1_024, description="Maximum size of a client's frame; a larger one closes the session with 1009."
    )
    client_text_max_bytes: int = Field(
        262_144,
        ge=1_024,
        description="Maximum size of a client's text message; a larger one ends the session with "
        "`CLIENT_MESSAGE_TOO_LARGE` and 1009.",
    )
    client_texts_per_second: float = Field(
        100,
        ge=0,
        description="Text messages of a client per second, and those of two seconds at once. More ends the session "
        "with `TOO_MANY_MESSAGES` and 1008. 0 for no limit.",
    )
    client_text_bytes_per_second: int = Field(
        1_048_576, ge=0, description="The same for the bytes of a client's text messages."
    )
    client_audio_frames_per_second: float = Field(5_000, ge=0, description="The same for a client's frames of audio.")
    client_audio_bytes_per_second: int = Field(
        2_097_152, ge=0, description="The same for the bytes of a client's audio, but those of ten seconds at once."
    )
    socket_unread_max_bytes: int = Field(
        131_072,
        ge=8_192,
        description="Receive buffer of each socket in the operating system. When it is full, the sender must wait.",
    )
    client_stall_ms: int = Field(
        10_000,
        ge=100,
        description="A client or upstream that reads nothing for this long, while data is waiting, is disconnected.",
    )
    client_ping_interval_ms: int = Field(
        20_000, ge=100, description="Time between pings to a client; one that does not answer is disconnected."
    )
    heartbeat_ms: int = Field(
        15_000, ge=100, description="Time between turn records of a session in which nothing changes."
    )
    retransmit_after_ms: int = Field(
        1_000,
        ge=50,
        description="A request that no translator has answered is published again after this time, doubled for each "
        "attempt up to 8 s.",
    )
    release_patience_ms: int = Field(
        4_000,
        ge=50,
        description="A request that was not released, although the slot was free for this long, is published again.",
    )
    request_timeout_ms: int = Field(
        60_000,
        ge=100,
        description="A request that could not be executed for this long is reported as `REQUEST_TIMED_OUT`. Time in "
        "which the active response shows events does not count.",
    )
    turn_fold_ms: int = Field(
        250,
        ge=0,
        description="How long a turn record may be delayed, if no request waits for it, so that it is published "
        "together with others.",
    )

    @property
    def sessions_move(self) -> bool:
        """Whether a session can go on at another gateway: its client may return, and its upstream be connected
        anew."""
        return self.resume_window_ms > 0 and self.upstream_reconnect_ms > 0

    @property
    def admission(self) -> AdmissionLimits:
        """The limits on sessions and new connections."""
        return AdmissionLimits(
            sessions=self.sessions_max,
            held_bytes=self.sessions_max_bytes,
            address_sessions=self.address_sessions_max,
            key_sessions=self.key_sessions_max,
            address_rate=self.address_connects_per_second,
            key_rate=self.key_connects_per_second,
            trust_forwarded_for=self.trust_forwarded_for,
        )

    @property
    def limits(self) -> Limits:
        """The limits of one session, with times in seconds."""
        return Limits(
            requests=self.session_requests_max,
            request_bytes=self.session_requests_max_bytes,
            text_bytes=self.client_text_max_bytes,
            texts_per_second=self.client_texts_per_second,
            text_bytes_per_second=self.client_text_bytes_per_second,
            audio_frames_per_second=self.client_audio_frames_per_second,
            audio_bytes_per_second=self.client_audio_bytes_per_second,
            calls=self.session_calls_max,
            promise=self.promise_grace_ms / 1000,
            reconnect=self.upstream_reconnect_ms / 1000,
            restore_as_message=self.restore_as == "message",
            rollover=self.upstream_rollover_ms / 1000,
            transcript_items=self.transcript_items_max,
            transcript_bytes=self.transcript_max_bytes,
            reply=self.upstream_reply_timeout_ms / 1000,
            slow_think=self.slow_think_ms / 1000,
            prompt=self.prompt_characters_max,
            latency_reports=self.latency_reports,
            call=self.function_call_timeout_ms / 1000,
            retry=self.reply_retry_max_ms / 1000,
            response_silence=self.response_silence_ms / 1000,
            audio_gap=self.audio_gap_ms / 1000,
            early_audio=self.early_audio_max_bytes,
            greeting_uninterruptible=self.greeting_uninterruptible,
            heartbeat=self.heartbeat_ms / 1000,
            silence=self.client_idle_timeout_ms / 1000,
            component_silence=self.component_idle_timeout_ms / 1000,
            session=self.session_length_max_ms / 1000,
            pauses=EndPointingRules(self.manual_commit_level_dbfs, self.manual_commit_pause_ms / 1000),
            patience=Patience(
                translation=self.retransmit_after_ms / 1000,
                release=self.release_patience_ms / 1000,
                give_up=self.request_timeout_ms / 1000,
            ),
        )
