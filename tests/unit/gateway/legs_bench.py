"""A conversation on a bench whose connections to the upstream may be lost."""

from __future__ import annotations

from gateway.conversation.counters import Counters
from gateway.conversation.effects import UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.dialect import COMPONENT, Dialect
from tests.unit.gateway.bench import Bench, Out

CLOSED = UpstreamProblem("upstream_closed", "gone", 1011, early=True)
LIMITS = Limits(reconnect=30.0, retry=0.0)


class Legs(Bench):
    """A bench whose connections may be lost."""

    def __init__(self, dialect: Dialect = COMPONENT, limits: Limits = LIMITS, counters: Counters | None = None) -> None:
        super().__init__(dialect, limits, counters)

    def lost(self, problem: UpstreamProblem = CLOSED) -> Out:
        self.conversation.upstream_closed(problem, self.now)
        return self._drain()

    def connect(self) -> Out:
        """Another connection has begun a session."""
        return self.event("session.created", session={})


def ready(dialect: Dialect = COMPONENT) -> Legs:
    legs = Legs(dialect)
    legs.configured()
    return legs
