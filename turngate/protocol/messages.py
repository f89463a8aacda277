"""The events on the Redis streams, and the names of those streams.

Every model is a value: frozen, complete in itself, and safe to receive twice, late, or not at all. Events are past
tense (`ClientEvent`), commands imperative (`AddItems`, `SendRelease`, `RefuseRequest`). Session keys are not here: only
`session_state` knows them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

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
    """The stream that only the gateway with this id reads."""
    return f"{PREFIX}gateway.{gateway}.commands"


class Value(BaseModel):
    """A frozen message; unknown fields are ignored, so that old and new processes can work side by side."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Slot(StrEnum):
    """The default conversation's one place for a response."""

    UNCONFIGURED = "unconfigured"
    IDLE = "idle"
    PROMISED = "promised"
    REQUESTED = "requested"
    ACTIVE = "active"
    CANCELLING = "cancelling"
    CLOSED = "closed"


class TurnRecord(Value):
    """A snapshot of one session's turn, as the gateway that owns the sockets sees it.

    A higher ``version`` replaces a lower one, whatever the order of arrival.
    """

    session: str
    gateway: str
    version: int
    slot: Slot
    #: The response that holds the slot, when it is known.
    response_id: str | None = None
    #: Between ``speech_started`` and ``speech_stopped``.
    user_speaking: bool = False
    #: Function calls whose result the upstream does not have yet.
    open_calls: tuple[str, ...] = ()
    #: The newest configuration request on its way upstream; None when no ``session.update`` is in flight.
    configuring_seq: int | None = None
    #: The highest ``seq`` given to a client message so far.
    last_seq: int = 0
    #: Requests that are not settled, by kind, ascending. Everything else up to ``last_seq`` is settled.
    open_configuration: tuple[int, ...] = ()
    open_responses: tuple[int, ...] = ()
    #: The last release that this gateway sent or dropped. What of it is neither settled nor on its way by now waits
    #: again, and session-state need not wait for its lease.
    decided_release: str | None = None

    @property
    def configured_seq(self) -> int:
        """Every configuration request up to this ``seq`` is settled."""
        return self.open_configuration[0] - 1 if self.open_configuration else self.last_seq

    @property
    def answered_seq(self) -> int:
        """Every request for a response up to this ``seq`` has had one."""
        return self.open_responses[0] - 1 if self.open_responses else self.last_seq


class ClientEvent(Value):
    """One control message of a client, numbered per session from 1. Published again until it is settled."""

    session: str
    gateway: str
    seq: int
    #: 1 for the first publication.
    attempt: int = 1
    #: The dialect's name: ``agent`` (Deepgram's) or ``component``.
    dialect: str = "agent"
    #: The client's JSON object, already valid; see `turngate.protocol.deepgram`.
    message: dict[str, Any]
    #: True for a ``Settings`` that is not the session's first: it configures, but seeds no history.
    repeated: bool = False
    #: The record as it is at this publication, so that a reservation is never older than its question.
    turn: TurnRecord


class Configuration(Value):
    """What a configuration request changes."""

    #: A partial upstream session object: only the fields that were set. Absent is not null.
    session: dict[str, Any] = Field(default_factory=dict)
    #: Text for the end of the instructions that are in force when this is sent (``UpdatePrompt``).
    append_instructions: str | None = None


class ResponseRequest(Value):
    """A wish for a response in the default conversation."""

    #: Fields for ``response.create``'s ``response`` object.
    overrides: dict[str, Any] = Field(default_factory=dict)
    #: True when no other response can stand in for this one (the agent is to say given words).
    exclusive: bool = False
    #: True when it does not wait for the user to end speaking.
    interrupts: bool = False


class Intent(Value):
    """What waits for a free turn: exactly one of ``configuration`` and ``response`` is set."""

    seq: int
    configuration: Configuration | None = None
    response: ResponseRequest | None = None
    #: The function calls that this request brings results for.
    answers: tuple[str, ...] = ()


class Release(Value):
    """These intents may go now: the session's turn is free. Granted by session-state, for one lease."""

    id: str
    session: str
    gateway: str
    #: Ascending by ``seq``.
    intents: tuple[Intent, ...]


class AddItems(Value):
    """What a client event means that needs no free turn. Exactly one of this and `RefuseRequest` per ``seq``.

    The gateway sends the items in the order of ``seq``, and the notices to the client as they are.
    """

    type: Literal["AddItems"] = "AddItems"
    session: str
    seq: int
    #: Conversation items, each with an ``id`` derived from session and seq.
    items: tuple[dict[str, Any], ...] = ()
    #: Client messages (``Warning``), each sent once however often it arrives.
    notices: tuple[dict[str, Any], ...] = ()


class RefuseRequest(Value):
    """This client event can have no effect; the error says why. It settles the ``seq``."""

    type: Literal["RefuseRequest"] = "RefuseRequest"
    session: str
    seq: int
    code: str
    description: str


class SendRelease(Value):
    """At most one ``session.update``, then at most one ``response.create``, if the slot is free at that instant."""

    type: Literal["SendRelease"] = "SendRelease"
    session: str
    release: str
    configuration: Configuration | None = None
    #: The configuration requests that ``configuration`` contains, ascending.
    configures: tuple[int, ...] = ()
    response: ResponseRequest | None = None
    #: The requests that the response answers, ascending.
    responds: tuple[int, ...] = ()


Command = Annotated[AddItems | RefuseRequest | SendRelease, Field(discriminator="type")]


class DeadLetter(Value):
    """An entry that no consumer could handle, kept for people; nothing reads it.

    Written as plain fields, so that ``XRANGE turngate.dead-letters - +`` shows it.
    """

    #: Where it came from: stream, consumer group and entry id.
    stream: str
    group: str
    entry: str
    deliveries: int
    reason: str
    #: As it was published: JSON, unless that was the trouble.
    body: str
