"""The messages on the Redis streams, and the names of those streams.

Every message is frozen and self-contained, and may arrive twice, late, or not at all. Names of events are in the past
tense or nouns (`ClientEvent`), names of commands are imperative (`AddItems`, `SendRelease`, `RefuseRequest`). The keys
of sessions are not defined here: only `session_state` accesses them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

PREFIX = "turngate."
CLIENT_EVENTS = f"{PREFIX}client-events"
TURNS = f"{PREFIX}turns"
RELEASES = f"{PREFIX}releases"
DEAD_LETTERS = f"{PREFIX}dead-letters"

TRANSLATORS = "translator"
SESSION_STATES = "session-state"
GATEWAYS = "gateway"


def commands_stream(gateway: str) -> str:
    """The stream of commands for the gateway with this id."""
    return f"{PREFIX}gateway.{gateway}.commands"


#: The streams that each service publishes to, for the documentation. `commands_stream` is written ``{gateway}``. What a
#: service reads is declared where it is wired, by `Bus.consume`.
PUBLISHES: dict[str, tuple[str, ...]] = {
    # Gateways that claim a session, or complete its journal, tell each other.
    "gateway": (CLIENT_EVENTS, TURNS, commands_stream("{gateway}")),
    "translator": (commands_stream("{gateway}"), DEAD_LETTERS),
    "session-state": (RELEASES, DEAD_LETTERS),
}


class Value(BaseModel):
    """A frozen message. Unknown fields are ignored, so that different versions of services can run together."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Slot(StrEnum):
    """State of the slot: whether the default conversation can take a response. `gateway.turn.slot` is the table."""

    UNCONFIGURED = "unconfigured"
    IDLE = "idle"
    PROMISED = "promised"
    REQUESTED = "requested"
    ACTIVE = "active"
    CANCELLING = "cancelling"
    #: The upstream's connection was lost, and another one is not restored yet.
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class Usage(Value):
    """The tokens that the responses of a session have used so far, as the upstream has counted them."""

    input_tokens: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    #: Those of ``input_tokens`` that the upstream had in its cache.
    cached_tokens: int = 0
    output_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0


class TurnRecord(Value):
    """A snapshot of one session's slot and open requests, made by the gateway that owns the session's sockets.

    A higher ``version`` replaces a lower one of the same ``epoch``, in whatever order they arrive.
    """

    session: str
    gateway: str
    #: Grows by one with every change of the gateway that owns the session; a record of an older one is refused.
    epoch: int = 0
    version: int
    slot: Slot
    #: The response that holds the slot, if known.
    response_id: str | None = None
    #: True if that response is one that the gateway asked for, False if the upstream began it by itself.
    response_own: bool | None = None
    #: Between ``speech_started`` and ``speech_stopped``.
    user_speaking: bool = False
    #: Ids of function calls whose result has not been sent upstream.
    open_calls: tuple[str, ...] = ()
    #: The newest configuration request in the ``session.update`` that is in flight; None if none is.
    configuring_seq: int | None = None
    #: The highest ``seq`` assigned to a client message so far.
    last_seq: int = 0
    #: The unsettled requests of each kind, ascending. Every other request up to ``last_seq`` is settled.
    open_configuration: tuple[int, ...] = ()
    open_responses: tuple[int, ...] = ()
    #: The last release that this gateway sent or dropped. Its intents that are neither settled nor in flight can be
    #: granted again before the end of the lease.
    decided_release: str | None = None
    #: The number of connections so far, to the upstream and of the client.
    upstream_legs: int = 0
    client_legs: int = 0
    #: Since when the session waits for its client to return, in milliseconds since 1970; None while there is one.
    parked_since_ms: int | None = None
    #: None until a response has ended of which the upstream says what it has used. A change of this alone is no reason
    #: for a record.
    usage: Usage | None = None
    #: When the session began, and when it ends because it has lasted as long as it may, in milliseconds since 1970;
    #: None if it has no end.
    began_at_ms: int | None = None
    ends_at_ms: int | None = None
    #: The open requests in percent of how many there may be; of their bytes, if that is more.
    requests_percent: int = 0

    @property
    def configured_seq(self) -> int:
        """Every configuration request up to this ``seq`` is settled."""
        return self.open_configuration[0] - 1 if self.open_configuration else self.last_seq

    @property
    def answered_seq(self) -> int:
        """Every response request up to this ``seq`` is settled."""
        return self.open_responses[0] - 1 if self.open_responses else self.last_seq


class ClientEvent(Value):
    """One control message of a client, numbered per session from 1. It is published again until it is settled."""

    session: str
    gateway: str
    seq: int
    #: 1 for the first publication.
    attempt: int = 1
    #: The dialect's name: ``agent`` (Deepgram's) or ``component``.
    dialect: str = "agent"
    #: The client's JSON object, already validated; see `turngate.protocol.deepgram`.
    message: dict[str, Any]
    #: True for a ``Settings`` that is not the session's first; its history is not added to the conversation.
    repeated: bool = False
    #: The turn record at the time of publication. A reservation applies it first, so its answer is not based on an
    #: older one.
    turn: TurnRecord
    #: The gateway's span for this request (W3C Trace Context); None if it is not traced.
    traceparent: str | None = None

    @property
    def traceparents(self) -> tuple[str, ...]:
        """The spans that this continues."""
        return () if self.traceparent is None else (self.traceparent,)


class Configuration(Value):
    """What a configuration request changes."""

    #: A partial session object with only the fields to change. Absent is not null.
    session: dict[str, Any] = Field(default_factory=dict)
    #: Text to append to the instructions that are in effect when this is sent (``UpdatePrompt``).
    append_instructions: str | None = None


class ResponseRequest(Value):
    """A request for a response in the default conversation."""

    #: Fields for ``response.create``'s ``response`` object.
    overrides: dict[str, Any] = Field(default_factory=dict)
    #: True if no other response settles this request (an injected agent message).
    exclusive: bool = False
    #: True if the response may start while the user is speaking.
    interrupts: bool = False
    #: Text to append to the instructions that are in effect when this is sent; they hold for this response alone.
    append_instructions: str | None = None
    #: True if it goes before all others: the client waits for the rest of a reply.
    first: bool = False


class Intent(Value):
    """The part of a request that needs a free slot. Exactly one of ``configuration`` and ``response`` is set."""

    seq: int
    configuration: Configuration | None = None
    response: ResponseRequest | None = None
    #: Ids of the function calls whose results the request contains.
    answers: tuple[str, ...] = ()
    #: That of its `ClientEvent`; then also when it was reserved, in milliseconds since 1970.
    traceparent: str | None = None
    reserved_at_ms: int | None = None


class Release(Value):
    """Session-state's permission to send these intents, because the slot is free. It is valid for one lease."""

    id: str
    session: str
    gateway: str
    epoch: int = 0
    #: Ascending by ``seq``.
    intents: tuple[Intent, ...]

    @property
    def traceparents(self) -> tuple[str, ...]:
        """The spans that this continues."""
        return tuple(intent.traceparent for intent in self.intents if intent.traceparent is not None)


class AddItems(Value):
    """The part of a client event that needs no free slot. Each ``seq`` gets exactly one of this and `RefuseRequest`.

    The gateway sends the items upstream in the order of ``seq``, and the notices to the client.
    """

    type: Literal["AddItems"] = "AddItems"
    session: str
    #: That of the turn record on which it is based. The gateway ignores a command of another one.
    epoch: int = 0
    seq: int
    #: Conversation items, each with an ``id`` derived from the session and ``seq``.
    items: tuple[dict[str, Any], ...] = ()
    #: ``Warning`` messages for the client. The gateway sends them once, also if this command arrives twice.
    notices: tuple[dict[str, Any], ...] = ()


class RefuseRequest(Value):
    """The client event cannot take effect. The gateway sends the error to the client, which settles the ``seq``."""

    type: Literal["RefuseRequest"] = "RefuseRequest"
    session: str
    #: That of the turn record on which it is based. The gateway ignores a command of another one.
    epoch: int = 0
    seq: int
    code: str
    description: str


class SendRelease(Value):
    """Send at most one ``session.update``, then at most one ``response.create``, if the slot is free at that moment."""

    type: Literal["SendRelease"] = "SendRelease"
    session: str
    #: That of the turn record on which it is based. The gateway ignores a command of another one.
    epoch: int = 0
    release: str
    configuration: Configuration | None = None
    #: The configuration requests that ``configuration`` contains, ascending.
    configures: tuple[int, ...] = ()
    #: What each of several ``configures`` changes alone: the first is sent alone where the upstream has refused them
    #: together. Empty if there is only one.
    parts: tuple[Configuration, ...] = ()
    response: ResponseRequest | None = None
    #: The requests that the response settles, ascending.
    responds: tuple[int, ...] = ()
    #: The span in which the release was made; None if none of its requests is traced.
    traceparent: str | None = None


class SessionClaimed(Value):
    """Another gateway is the session's owner now: complete the journal, and let go of both connections at once."""

    type: Literal["SessionClaimed"] = "SessionClaimed"
    session: str
    #: Its epoch under the new owner.
    epoch: int
    #: The new owner.
    gateway: str


class JournalComplete(Value):
    """The session's owner before has completed the journal, or has nothing to add: take the session up now."""

    type: Literal["JournalComplete"] = "JournalComplete"
    session: str
    epoch: int


#: What a translator has a session do.
TurnCommand: TypeAlias = AddItems | RefuseRequest | SendRelease
Command = Annotated[TurnCommand | SessionClaimed | JournalComplete, Field(discriminator="type")]


class DeadLetter(Value):
    """An entry that no consumer could handle, kept for the operator. No service reads it.

    It is written as plain fields, so that ``XRANGE turngate.dead-letters - +`` shows it.
    """

    #: The stream, consumer group and entry id that it comes from.
    stream: str
    group: str
    entry: str
    deliveries: int
    reason: str
    #: The original body: JSON, unless it could not be parsed.
    body: str
