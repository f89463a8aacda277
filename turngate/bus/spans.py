"""Spans of the messages that a consumer handles, which continue those named in the messages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from turngate.tracing.spans import NOT_SAMPLED, Kind, Span, Tracer


@dataclass(frozen=True, slots=True)
class Traced:
    """How the messages of one stream are traced: they have ``traceparents`` (`turngate.protocol.messages`)."""

    tracer: Tracer
    #: The name of the spans.
    name: str
    stream: str
    group: str

    def begin(self, messages: Sequence[Any]) -> list[Span]:
        """A span for each message, below the first span that it continues, and linked to the others."""
        now = time.time()
        return [self._span(message, now) for message in messages]

    def _span(self, message: Any, now: float) -> Span:
        parents: tuple[str, ...] = message.traceparents
        if not parents:
            return NOT_SAMPLED
        return self.tracer.start(
            self.name,
            now,
            parent=parents[0],
            kind=Kind.CONSUMER,
            attributes={
                "messaging.system": "redis",
                "messaging.operation.type": "process",
                "messaging.destination.name": self.stream,
                "messaging.consumer.group.name": self.group,
                "gen_ai.conversation.id": message.session,
            },
            links=parents[1:],
        )


def end(spans: Sequence[Span], failed: dict[int, str]) -> None:
    """The messages are handled; ``failed`` has the positions of those that are not."""
    now = time.time()
    for position, span in enumerate(spans):
        span.end(now, "entry_failed" if position in failed else "")
