"""What a conversation puts out, for its shell to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ending:
    """The session is over: close the client's socket with this, after what is still to be sent."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class UpstreamProblem:
    """Why there is no upstream (any more)."""

    code: str
    description: str
    #: For the client's socket: 1000 when trying again cannot help, 1011 when it may.
    close_code: int
    #: It closed by itself, rather than for a reason that it named.
    early: bool = False


#: The upstream's session has lasted as long as it may.
SESSION_OVER = UpstreamProblem("session_max_duration", "The upstream's longest session is over.", 1000)


@dataclass(slots=True)
class Effects:
    """What is to be done now, each list in order."""

    to_upstream: list[dict[str, Any]] = field(default_factory=list)
    #: Messages, and the agent's audio as bytes.
    to_client: list[dict[str, Any] | bytes] = field(default_factory=list)
    #: The ``seq`` of requests to publish; build each with `Conversation.client_event` at that moment.
    to_publish: list[int] = field(default_factory=list)
    #: The turn changed (or a heartbeat is due): publish `Conversation.record`, newest wins.
    turn_changed: bool = False
    #: The change may let something go that waits at session-state: publish it at once.
    turn_urgent: bool = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What goes to the client, audio left out."""
        return [frame for frame in self.to_client if isinstance(frame, dict)]
