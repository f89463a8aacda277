"""Time limits: a client that is silent for too long, and a session that lasts too long."""

from __future__ import annotations

import pytest

from gateway.conversation.lifetime import Due, Lifetime
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT
from tests.unit.gateway.bench import Bench

SILENCE = Limits(silence=15)
LENGTH = Limits(session=3600, session_notice=300)


def test_limits_of_zero_are_none() -> None:
    lifetime = Lifetime(0.0, silence=0, longest=0, notice=5)
    assert lifetime.deadline() == float("inf")
    assert lifetime.due(1e9) is None


@pytest.mark.parametrize(("notice", "steps"), [(3, [7, 10]), (0, [10]), (10, [10]), (20, [10])])
def test_the_end_is_announced_where_there_is_time_for_it(notice: float, steps: list[float]) -> None:
    lifetime = Lifetime(0.0, silence=0, longest=10, notice=notice)
    came = []
    while (deadline := lifetime.deadline()) < float("inf"):
        assert lifetime.due(deadline - 0.01) is None
        came.append((deadline, lifetime.due(deadline)))
    assert came == list(zip(steps, [Due.ENDS_SOON, Due.OVER][-len(steps) :], strict=True))


def test_a_client_that_sends_nothing_is_ended_and_any_frame_counts() -> None:
    """Rows "agent: idle longer than the limit", "agent: Error `CLIENT_MESSAGE_TIMEOUT`", "agent: binary"."""
    bench = Bench(AGENT, SILENCE).configured()
    assert bench.wait(14).ending is None
    bench.say(type="KeepAlive")
    assert bench.wait(14).ending is None
    bench.conversation.client_audio(bytes(960), bench.now)
    assert bench.wait(14).ending is None
    bench.frame(b"{")
    assert bench.conversation.deadline() <= bench.now + 15
    out = bench.wait(15)
    assert out.messages[-1]["code"] == "CLIENT_MESSAGE_TIMEOUT"
    assert "15 s" in out.messages[-1]["description"]
    assert out.ending is not None
    assert out.ending.code == 1000


def test_the_component_may_be_silent() -> None:
    bench = Bench(COMPONENT, SILENCE).configured()
    assert bench.wait(1000).ending is None


def test_a_session_that_lasts_too_long_is_warned_and_ended() -> None:
    """Rows "agent: session length", "agent: Warning `MAXIMUM_SESSION_LENGTH_APPROACHING`", "agent: Error
    `MAXIMUM_SESSION_LENGTH_REACHED`"."""
    bench = Bench(AGENT, LENGTH).configured()
    (warning,) = bench.wait(3300).messages
    assert (warning["type"], warning["code"]) == ("Warning", "MAXIMUM_SESSION_LENGTH_APPROACHING")
    assert bench.wait(299).messages == []
    out = bench.wait(1)
    assert [(m["type"], m["code"]) for m in out.messages] == [("Error", "MAXIMUM_SESSION_LENGTH_REACHED")]
    assert out.ending is not None
    assert out.ending.code == 1000


def test_a_session_that_ends_in_a_reply_leaves_its_words() -> None:
    bench = Bench(COMPONENT, LENGTH).configured()
    bench.wait(3590)
    bench.created("resp_1")
    part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    bench.event("response.output_audio_transcript.delta", **part, delta="Good")
    bench.audio("resp_1", "item_1", 20)
    out = bench.wait(10)
    assert [(m["type"], m.get("content")) for m in out.messages] == [("ConversationText", "Good"), ("Error", None)]
