"""What a history says, put in order: requests, responses, items, and when each of them was where. `reader` reads it.

A place is a position in the history; places are compared, never added up.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.line import Outcome

REQUEST_KEY = "turngate"

Event = dict[str, Any]


@dataclass(slots=True)
class Request:
    """A message of the client, and whether the server took it on."""

    place: int
    at: float
    message: Event
    accepted: bool

    @property
    def kind(self) -> str:
        return str(self.message["type"])


@dataclass(slots=True)
class Create:
    """A ``response.create`` of the gateway's."""

    event: Event
    sent: int
    received: int | None = None
    #: The error that it got.
    refused: Event | None = None
    refused_at: int | None = None
    #: The gateway learnt of its response.
    announced: int | None = None
    #: A cancel without a name was sent because nothing answered it.
    given_up: bool = False
    response: Response | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it asks for the rest of a reply that was cut off."""
        return "reply was cut off" in str(self.event["response"].get("instructions"))

    @property
    def words(self) -> str | None:
        """The words that it makes the agent say, if it does that."""
        instructions = self.event["response"].get("instructions")
        return None if instructions is None or self.goes_on else str(instructions).rpartition("\n\n")[2]


@dataclass(slots=True)
class Response:
    """A response of the default conversation."""

    id: str
    #: The place of its acceptance.
    began: int
    create: Create | None
    status: str = ""
    #: Places at the upstream.
    created: int | None = None
    done: int | None = None
    #: Places at the gateway.
    announced: int | None = None
    over: int | None = None
    #: The gateway cancelled it.
    cancelled: bool = False
    #: It was announced while the user spoke, and may not speak then.
    over_user: bool = False
    #: It was announced when its create had been given up.
    late: bool = False
    #: Its connection was lost before the gateway learnt of its end; and what the client had of it.
    lost: bool = False
    heard: bool = False

    @property
    def answers(self) -> bool:
        """Whether anybody has had an answer from it."""
        return self.status != "failed" and (not self.lost or self.heard)

    @property
    def gave_way(self) -> bool:
        """It was cancelled for the user's turn, or for coming late, and whatever it was to answer waits for another."""
        return self.cancelled and (self.over_user or self.late)

    #: The function calls that it asked for.
    calls: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Item:
    """An item that is not the model's."""

    item: Event
    #: The gateway sent it; None for the user's audio.
    sent: int | None = None
    #: It entered the upstream's conversation, and the gateway learnt of that.
    added: int | None = None
    known: int | None = None
    #: The gateway learnt that this audio was committed.
    committed: int | None = None
    #: It is silence that the upstream committed after its idle timeout.
    idle: bool = False


@dataclass(slots=True)
class Update:
    """A ``session.update`` of the gateway's."""

    event: Event
    sent: int
    received: int | None = None
    refused: Event | None = None
    #: Its connection was lost before the gateway learnt of its answer.
    lost: bool = False
    #: The configuration that it made effective, and when the gateway learnt of it.
    effective: Event | None = None
    confirmed: int | None = None


@dataclass(slots=True)
class Facts:
    outcome: Outcome
    requests: list[Request] = field(default_factory=list)
    told: list[tuple[int, Event]] = field(default_factory=list)
    #: Places in `told` that are replies in the very instant of a message, and so settle nothing.
    replies: set[int] = field(default_factory=set)
    creates: dict[str, Create] = field(default_factory=dict)
    updates: dict[str, Update] = field(default_factory=dict)
    responses: dict[str, Response] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    #: How often each item was sent, by id.
    item_sends: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: Places at which the gateway learnt that the upstream had committed the user's audio by itself.
    commits: list[int] = field(default_factory=list)
    #: Places at which the upstream's connection was lost.
    losses: list[int] = field(default_factory=list)
    #: Places at which the next connection took the place of this one, with what it had of the conversation.
    exchanges: list[tuple[int, Event]] = field(default_factory=list)
    #: Items that were sent again to restore the conversation, with their places.
    replays: list[tuple[int, Event]] = field(default_factory=list)

    def of_type(self, *types: str) -> list[tuple[int, Event]]:
        """What the client was told of these types."""
        return [(place, message) for place, message in self.told if message["type"] in types]

    def at(self, place: int) -> float:
        """The time of a place."""
        return self.outcome.history[place].at

    def in_order(self) -> list[Response]:
        return sorted(self.responses.values(), key=lambda response: response.began)


def is_aside(event: Event) -> bool:
    """True for an event about an out-of-band response."""
    return event.get("response", event).get("conversation_id", "") is None
