"""The spans of what was held."""

from __future__ import annotations

from session_state.holds import trace_holds
from tests.tracer import RecordingTracer
from turngate.protocol.messages import Configuration, Intent, Release

_PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def _intent(seq: int, traceparent: str | None, reserved_at_ms: int | None) -> Intent:
    return Intent(seq=seq, configuration=Configuration(), traceparent=traceparent, reserved_at_ms=reserved_at_ms)


def test_each_traced_intent_of_a_release_was_held_since_its_reservation() -> None:
    intents = (_intent(1, _PARENT, 8_000), _intent(2, None, None), _intent(3, _PARENT, 11_000))
    tracer = RecordingTracer()
    trace_holds(tracer, Release(id="r", session="s", gateway="g", intents=intents), "turn", 10.0)
    first, third = (span.known for span in tracer.spans)
    assert (first.name, first.parent, first.began_at, first.ended_at) == ("hold", "b" * 16, 8.0, 10.0)
    assert first.attributes == {
        "gen_ai.conversation.id": "s",
        "turngate.request.seq": 1,
        "turngate.release.id": "r",
        "turngate.release.by": "turn",
        "turngate.release.merged": 3,
        "turngate.held_ms": 2_000,
    }
    assert (third.began_at, third.attributes["turngate.held_ms"]) == (10.0, 0), "of a clock that is ahead"
