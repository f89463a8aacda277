"""What operators count, kept by the cores without knowing who reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias, get_args

from gateway.turn.release_gate import Drop

#: The two ends of a session.
Peer: TypeAlias = Literal["client", "upstream"]

#: Unknown types that are told; past it they are only counted.
_REMEMBERED_TYPES = 64


class Cut(StrEnum):
    """Why a peer was cut."""

    #: It took nothing for too long while there was something for it.
    STALLED = "stalled"
    #: Too many messages waited for it.
    OVERFLOWED = "overflowed"


def _nobody(_: object) -> None:
    """An observation that nobody wants."""


@dataclass(slots=True)
class Counters:
    """Numbers that only grow; `gateway.metrics` exposes them."""

    #: Releases that were not sent: the turn was not free after all, or they were settled or on their way.
    releases_dropped: dict[Drop, int] = field(default_factory=lambda: dict.fromkeys(Drop, 0))
    #: Peers that did not take what there was for them; their sessions ended.
    cut: dict[tuple[Peer, Cut], int] = field(
        default_factory=lambda: {(peer, why): 0 for peer in get_args(Peer) for why in Cut}
    )
    #: Creates that lost the race against a response of the upstream's own, and were tried again.
    collisions_absorbed: int = 0
    #: Requests that were settled by a response which was not asked for on their behalf: the upstream's own, or one that
    #: was asked for other requests when their items were there already.
    answered_by_another: int = 0
    #: Responses that were cancelled because they showed no event for too long.
    silent_responses: int = 0
    #: Replies that failed and were asked for again.
    replies_retried: int = 0
    #: Requests that were published again.
    republished: int = 0
    #: Requests that nobody carried out in time.
    given_up: int = 0
    #: Upstream events that could not be read.
    malformed_events: int = 0
    #: Upstream events of types that this server has never heard of.
    unknown_events: int = 0
    #: Told the type of each of them once.
    first_unknown: Callable[[str], None] = _nobody
    #: Told each time a held configuration goes out: seconds from the end of the response to the ``session.update``.
    release_latency: Callable[[float], None] = _nobody
    _types: set[str] = field(default_factory=set)

    def unknown_event(self, kind: str) -> None:
        """An upstream event of this type came, which nobody here knows."""
        self.unknown_events += 1
        if kind not in self._types and len(self._types) < _REMEMBERED_TYPES:
            self._types.add(kind)
            self.first_unknown(kind)
