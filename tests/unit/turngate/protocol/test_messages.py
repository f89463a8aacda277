"""The names of the streams, and the spans that messages continue."""

from __future__ import annotations

from turngate.protocol.messages import PREFIX, Intent, Release, commands_stream


def test_each_gateway_has_its_own_commands_stream() -> None:
    assert commands_stream("a") != commands_stream("b")
    assert commands_stream("a").startswith(PREFIX)


def test_a_release_continues_the_spans_of_its_requests() -> None:
    intents = [Intent(seq=seq, traceparent=span) for seq, span in ((1, "a"), (2, None), (3, "c"))]
    release = Release(id="r", session="s", gateway="g", intents=tuple(intents))
    assert release.traceparents == ("a", "c")
