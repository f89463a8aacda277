"""The effects of a conversation, which the session executes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a session: the code and reason for closing the client's socket, after the remaining output."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class UpstreamProblem:
    """Why the upstream's connection failed or ended."""

    code: str
    description: str
    #: Close code for the client: 1000 if a retry cannot help, 1011 if it may.
    close_code: int
    #: The upstream closed without naming a reason.
    early: bool = False


#: The upstream's session has lasted as long as it may.
SESSION_OVER = UpstreamProblem("session_max_duration", "The upstream's longest session is over.", 1000)


@dataclass(slots=True)
class Effects:
    """What to do now, each list in order."""

    to_upstream: list[dict[str, Any]] = field(default_factory=list)
    #: Messages, and the agent's audio as bytes.
    to_client: list[dict[str, Any] | bytes] = field(default_factory=list)
    #: The ``seq`` of requests to publish; build each with `Conversation.client_event` at that moment.
    to_publish: list[int] = field(default_factory=list)
    #: The turn record changed, or a heartbeat is due: publish `Conversation.record`.
    turn_changed: bool = False
    #: Session-state may grant a held intent after this change: publish it without delay.
    turn_urgent: bool = False
    #: Something may have changed that is in the journal; what must not be lost is written without delay.
    journal_changed: bool = False
    journal_urgent: bool = False
    #: Write an entry of the journal, even if nothing has changed.
    journal_due: bool = False
    #: Abort the upstream's connection, before anything is sent, and open another one. One that is being prepared is
    #: aborted too.
    renew_upstream: bool = False
    #: Open the next connection to the upstream, beside this one, and pass on its events.
    prepare_upstream: bool = False
    #: What to send on the next connection, in order.
    to_next: list[dict[str, Any]] = field(default_factory=list)
    #: Before anything is sent: the next connection takes the place of this one, which is closed.
    exchange_upstream: bool = False
    #: Abort the next connection.
    drop_next: bool = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages for the client, without audio."""
        return [frame for frame in self.to_client if isinstance(frame, dict)]
