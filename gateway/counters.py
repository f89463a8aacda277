"""What operators count, kept by the cores without knowing who reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.outbox import Drop


def _nobody(_: float) -> None:
    """An observation that nobody wants."""


@dataclass(slots=True)
class Counters:
    """Numbers that only grow; `gateway.metrics` exposes them."""

    #: Releases that were not sent: the turn was not free after all, or they were settled or on their way.
    releases_dropped: dict[Drop, int] = field(default_factory=lambda: dict.fromkeys(Drop, 0))
    #: Creates that lost the race against a response of the upstream's own, and were tried again.
    collisions_absorbed: int = 0
    #: Requests that the upstream's own response answered.
    answered_by_another: int = 0
    #: Requests that were published again.
    republished: int = 0
    #: Requests that nobody carried out in time.
    given_up: int = 0
    #: Upstream events that could not be read.
    malformed_events: int = 0
    #: Told each time a held configuration goes out: seconds from the end of the response to the ``session.update``.
    release_latency: Callable[[float], None] = _nobody
