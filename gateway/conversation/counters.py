"""Counters of the cores. `gateway.metrics` exposes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias, get_args

from gateway.turn.release_gate import Drop

#: The two ends of a session.
Peer: TypeAlias = Literal["client", "upstream"]

#: Maximum number of unknown event types that are logged; further ones are only counted.
_REMEMBERED_TYPES = 64


class Cut(StrEnum):
    """Why a connection was aborted."""

    #: The peer read nothing for too long while data was waiting.
    STALLED = "stalled"
    #: Too much was queued for the peer.
    OVERFLOWED = "overflowed"


def _nobody(_: object) -> None:
    """Ignore an observation."""


@dataclass(slots=True)
class Counters:
    """Counters that only grow."""

    #: Releases that were not sent, because the slot was not free, or their requests were settled or in flight.
    releases_dropped: dict[Drop, int] = field(default_factory=lambda: dict.fromkeys(Drop, 0))
    #: Connections that were aborted because the peer did not read.
    cut: dict[tuple[Peer, Cut], int] = field(
        default_factory=lambda: {(peer, why): 0 for peer in get_args(Peer) for why in Cut}
    )
    #: Creates that collided with an automatic response and were retried.
    collisions_absorbed: int = 0
    #: Requests that were settled by a response that was not created for them: an automatic one, or one that was
    #: created for other requests after their items were sent.
    answered_by_another: int = 0
    #: Responses that were cancelled because they showed no event for too long.
    silent_responses: int = 0
    #: Failed replies that were requested again.
    replies_retried: int = 0
    #: Sessions that ended because their client sent too much.
    floods: int = 0
    #: Requests that were published again.
    republished: int = 0
    #: Requests that were not executed in time.
    given_up: int = 0
    #: Upstream connections that were lost, by the reason's code.
    legs_lost: dict[str, int] = field(default_factory=dict)
    #: Conversations that were restored on another connection, and items that it refused.
    restored: int = 0
    items_left_out: int = 0
    #: The upstream has answered in text after an assistant's message was restored: what was said is restored as one
    #: message from then on.
    restored_as_message: bool = False
    #: Upstream connections that were replaced by a next one while they worked.
    rolled_over: int = 0
    #: Sessions whose client was lost and may return, and those of them whose client did not return in time.
    parked: int = 0
    not_returned: int = 0
    #: Commands that were ignored, because they are for another owner of their session.
    commands_fenced: int = 0
    #: Upstream events that could not be read.
    malformed_events: int = 0
    #: Upstream events of unknown types.
    unknown_events: int = 0
    #: Called once for each unknown type.
    first_unknown: Callable[[str], None] = _nobody
    #: Called when a held configuration is sent: seconds from the end of the response to the ``session.update``.
    release_latency: Callable[[float], None] = _nobody
    #: Called when a conversation is restored: seconds since the connection was lost.
    restore_time: Callable[[float], None] = _nobody
    #: Called when a reply begins: seconds since the user has spoken or typed what it answers.
    reply_latency: Callable[[float], None] = _nobody
    #: Called when a reply goes on, or begins, whose connection was lost: seconds in which the client heard nothing.
    silence_heard: Callable[[float], None] = _nobody
    _types: set[str] = field(default_factory=set)

    def unknown_event(self, kind: str) -> None:
        """Count an upstream event of an unknown type."""
        self.unknown_events += 1
        if kind not in self._types and len(self._types) < _REMEMBERED_TYPES:
            self._types.add(kind)
            self.first_unknown(kind)
