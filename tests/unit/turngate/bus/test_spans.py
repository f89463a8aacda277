"""The spans of messages that a consumer handles."""

from __future__ import annotations

from tests.tracer import RecordingTracer
from turngate.bus.consumer import Batch
from turngate.bus.spans import Traced, end
from turngate.protocol.messages import Configuration, Intent, Release


def _release(name: str, *traceparents: str) -> Release:
    intents = tuple(
        Intent(seq=seq, configuration=Configuration(), traceparent=one) for seq, one in enumerate(traceparents, 1)
    )
    return Release(id=name, session="s", gateway="g", intents=intents)


def test_a_message_continues_the_first_of_its_spans_and_is_linked_to_the_others() -> None:
    first, second = (f"00-{letter * 32}-{letter * 16}-01" for letter in "ab")
    messages = [_release("traced", first, second), _release("not traced"), _release("fails", second)]
    tracer = RecordingTracer()
    spans = Traced(tracer, "release", "turngate.releases", "translator").begin(messages)
    batch = Batch(messages, spans)
    batch.fail(messages[2], ValueError("no"))
    end(spans, batch.failed)
    one, other = (span.known for span in tracer.spans)
    assert (one.parent, one.links, one.failed) == ("a" * 16, (("b" * 32, "b" * 16),), False)
    assert (other.parent, other.links, other.attributes["error.type"]) == ("b" * 16, (), "entry_failed")
    assert [batch.traceparent(message) for message in messages] == [
        tracer.spans[0].traceparent,
        None,
        tracer.spans[1].traceparent,
    ]
    assert tracer.open == []
    assert Batch(messages).traceparent(messages[0]) is None
