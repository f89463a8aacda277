"""Replies that failed for a passing reason are asked for again, once, before the client hears of an error."""

from __future__ import annotations

import pytest

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import Bench, committed, failed, types

LIMIT = "Rate limit reached for gpt-realtime. Please try again in 1.5s."


def answered(limits: Limits | None = None) -> tuple[Bench, str]:
    """A typed turn whose response has begun."""
    bench = Bench(AGENT, limits or Limits(slow_think=0, heartbeat=1000)).configured()
    create = bench.requested(2)
    bench.created("resp_1", create)
    return bench, create


@pytest.mark.parametrize(
    ("message", "wait"), [(LIMIT, 1.5), ("Please try again in 350ms.", 0.35), ("The server had an error.", 0.5)]
)
def test_it_is_asked_for_again_after_the_named_wait(message: str, wait: float) -> None:
    bench, create = answered()
    assert failed(bench, "resp_1", create, "rate_limit_exceeded", message).messages == []
    assert bench.wait(wait - 0.01).to_publish == []
    assert bench.wait(0.01).to_publish == [3]
    bench.translated(3)
    again = bench.release(responds=(3,), name="again").to_upstream[-1]["event_id"]
    bench.created("resp_2", again)
    bench.audio("resp_2", "item_2", 100)
    bench.event("response.output_audio.done", response_id="resp_2", item_id="item_2")
    assert "AgentAudioDone" in types(bench.done("resp_2", again).messages)
    assert bench.conversation.counters.replies_retried == 1


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error", "inference_rate_limit_exceeded"])
def test_the_client_hears_of_the_second_failure(code: str) -> None:
    bench, create = answered()
    failed(bench, "resp_1", create, code)
    bench.wait(0.5)
    bench.translated(3)
    again = bench.release(responds=(3,), name="again").to_upstream[-1]["event_id"]
    bench.created("resp_2", again)
    out = failed(bench, "resp_2", again, code)
    assert [(m["type"], m.get("code")) for m in out.messages] == [("Error", code), ("AgentAudioDone", None)]
    assert bench.wait(10).to_publish == []


@pytest.mark.parametrize(
    ("code", "message", "limits"),
    [
        ("insufficient_quota", "No.", None),
        ("rate_limit_exceeded", "Please try again in 20s.", None),
        ("server_error", "No.", Limits(retry=0)),
    ],
)
def test_what_is_not_asked_for_again_is_told_at_once(code: str, message: str, limits: Limits | None) -> None:
    bench, create = answered(limits)
    out = failed(bench, "resp_1", create, code, message)
    assert [m["code"] for m in out.messages if m["type"] == "Error"] == [code]
    assert bench.wait(30).to_publish == []


def test_a_reply_of_which_something_was_heard_is_not_repeated() -> None:
    bench, create = answered()
    bench.audio("resp_1", "item_1", 100)
    out = failed(bench, "resp_1", create, "server_error")
    assert [m["code"] for m in out.messages if m["type"] == "Error"] == ["server_error"]


def test_the_upstreams_own_reply_is_asked_for_again_too() -> None:
    bench = Bench(AGENT).configured()
    committed(bench)
    bench.created("resp_1")
    assert failed(bench, "resp_1", None, "server_error").messages == []
    assert bench.wait(0.5).to_publish == [2]


def test_given_words_are_asked_for_again_as_they_were() -> None:
    bench = Bench(AGENT).configured()
    bench.say(type="InjectAgentMessage", message="Hear this.")
    bench.translated(2)
    create = bench.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"]
    bench.created("resp_1", create)
    failed(bench, "resp_1", create, "server_error")
    bench.wait(0.5)
    event = bench.conversation.client_event(3)
    assert event is not None
    assert event.message["message"] == "Hear this."


def test_a_response_that_begins_meanwhile_answers_instead_but_does_not_say_given_words() -> None:
    bench, create = answered()
    failed(bench, "resp_1", create, "server_error")
    committed(bench)
    bench.created("resp_2")
    bench.done("resp_2")
    assert bench.wait(0.5).to_publish == []
    bench.say(type="InjectAgentMessage", message="Hear this.")
    bench.translated(3)
    create = bench.release(responds=(3,), exclusive=True, name="words").to_upstream[-1]["event_id"]
    bench.created("resp_3", create)
    failed(bench, "resp_3", create, "server_error")
    committed(bench, "audio_2")
    bench.created("resp_4")
    bench.done("resp_4")
    assert bench.wait(0.5).to_publish == [4]


def test_words_for_which_there_is_no_room_are_reported() -> None:
    bench = Bench(AGENT, Limits(requests=1, calls=0)).configured()
    bench.say(type="InjectAgentMessage", message="Hear this.")
    bench.translated(2)
    create = bench.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"]
    bench.created("resp_1", create)
    failed(bench, "resp_1", create, "server_error")
    bench.say(type="InjectUserMessage", content="x")
    assert [message["code"] for message in bench.wait(0.5).messages] == ["TOO_MANY_REQUESTS"]
