"""Spans for intents that were held: from the reservation to the release. One that was granted at once has none."""

from __future__ import annotations

from turngate.protocol.messages import Release
from turngate.tracing.spans import Tracer


def trace_holds(tracer: Tracer, release: Release, by: str, now: float) -> None:
    """A span for each traced intent of this release, which ``by`` has just granted, below its request's span. ``now``
    in seconds since 1970."""
    for intent in release.intents:
        if intent.traceparent is None or intent.reserved_at_ms is None:
            continue
        # By the clock of another process.
        since = min(intent.reserved_at_ms / 1000, now)
        span = tracer.start(
            "hold",
            since,
            parent=intent.traceparent,
            attributes={
                "gen_ai.conversation.id": release.session,
                "turngate.request.seq": intent.seq,
                "turngate.release.id": release.id,
                "turngate.release.by": by,
                "turngate.release.merged": len(release.intents),
                "turngate.held_ms": round((now - since) * 1000),
            },
        )
        span.end(now)
