"""P10: whatever the upstream fails to say, the slot becomes free again, and every request is settled or reported."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.conversation import Ending, UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect
from gateway.turn.requests import Patience
from tests.unit.gateway.bench import RACE, Bench, committed, types
from turngate.protocol.messages import Slot

NOTHING_RUNS = "response_cancel_not_active"


def slot(bench: Bench) -> Slot:
    return bench.conversation.record().slot


def cancels(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "response.cancel"]


# --- a response whose end does not come


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_a_response_that_shows_no_event_is_cancelled_and_its_client_is_told(dialect: Dialect) -> None:
    bench = Bench(dialect, Limits(slow_think=0)).configured()
    bench.created("resp_1")
    bench.audio("resp_1", "item_1", 100)
    bench.now += 20
    bench.event("response.output_audio.done", response_id="resp_1", item_id="item_1")
    bench.say(type="UpdatePrompt", prompt="more")
    bench.translated(2)
    assert cancels(bench.wait(29.9).to_upstream) == []
    out = bench.wait(0.1)
    assert types(out.to_upstream) == ["response.cancel"]
    assert out.to_upstream[0]["response_id"] == "resp_1"
    told = [message.get("code", message["type"]) for message in out.messages]
    assert told[:2] == ["REPLY_STALLED", "AgentAudioDone"]
    assert bench.conversation.counters.silent_responses == 1
    out = bench.done("resp_1", status="cancelled")
    assert (slot(bench), out.turn_urgent, out.messages) == (Slot.IDLE, True, [])


def test_a_response_that_announces_itself_and_nothing_more_is_cancelled_and_the_client_hears_of_its_end() -> None:
    bench = Bench(AGENT, Limits(slow_think=0)).configured()
    bench.created("resp_1")
    told = [message.get("code", message["type"]) for message in bench.wait(30).messages]
    assert told == ["REPLY_STALLED", "AgentAudioDone"]


def test_the_text_of_a_stalled_reply_is_told() -> None:
    bench = Bench(AGENT, Limits(slow_think=0)).configured()
    bench.created("resp_1")
    bench.event("response.output_audio_transcript.delta", response_id="resp_1", item_id="i", delta="Half a ")
    texts = [message["content"] for message in bench.wait(30).messages if message["type"] == "ConversationText"]
    assert texts == ["Half a"]


def test_the_upstreams_word_that_nothing_runs_frees_the_slot_of_a_response_whose_end_was_lost() -> None:
    bench = Bench(limits=Limits(slow_think=0)).configured()
    bench.created("resp_1")
    cancel = bench.wait(30).to_upstream[-1]["event_id"]
    assert bench.error(NOTHING_RUNS, cancel).messages == []
    assert slot(bench) is Slot.CANCELLING, "its done may be on the wire"
    bench.wait(3)
    assert slot(bench) is Slot.IDLE


def test_a_lost_end_of_an_interrupted_reply_is_told_too() -> None:
    bench = Bench(AGENT).configured()
    bench.created("resp_1")
    bench.say(type="InjectAgentMessage", message="x", behavior="interrupt")
    bench.created("resp_2")
    bench.audio("resp_2", "item_2", 20)
    cancel = bench.say(type="InjectAgentMessage", message="y", behavior="interrupt").to_upstream[0]["event_id"]
    bench.error(NOTHING_RUNS, cancel)
    bench.wait(3)
    assert slot(bench) is Slot.IDLE


@pytest.mark.parametrize(
    "kind", ["response.content_part.added", "response.mcp_call.in_progress", "response.output_text.delta"]
)
def test_any_event_of_the_response_shows_that_it_goes_on(kind: str) -> None:
    bench = Bench(limits=Limits(slow_think=0)).configured()
    bench.created("resp_1")
    named = {} if "mcp" in kind else {"response_id": "resp_1"}
    for _ in range(5):
        bench.event(kind, item_id="item_1", delta="", **named)
        assert cancels(bench.wait(29).to_upstream) == []
    bench.event("response.output_text.delta", item_id="item_0", delta="", response_id="resp_0")
    assert cancels(bench.wait(1).to_upstream) != [], "what another response shows does not count"


def test_an_upstream_that_does_not_answer_a_cancel_is_given_up() -> None:
    bench = Bench(AGENT, Limits(slow_think=0)).configured()
    bench.created("resp_1")
    bench.wait(30)
    out = bench.wait(15)
    assert [message["code"] for message in out.messages if message["type"] == "Error"] == ["upstream_stalled"]
    assert out.ending == Ending(1011, "upstream_stalled")
    assert out.to_upstream == []
    assert slot(bench) is Slot.CLOSED


# --- a create that is not answered


def test_a_create_that_is_never_answered_is_cancelled_before_it_is_tried_again() -> None:
    bench = Bench().configured()
    bench.requested(2)
    (cancel,) = bench.wait(15).to_upstream
    assert (cancel["type"], "response_id" in cancel) == ("response.cancel", False)
    assert slot(bench) is Slot.CANCELLING, "the upstream may be running it"
    assert bench.release(responds=(2,), name="r2").to_upstream == []
    bench.error(NOTHING_RUNS, cancel["event_id"])
    bench.wait(3)
    assert slot(bench) is Slot.IDLE
    assert types(bench.release(responds=(2,), name="r3").to_upstream) == ["response.create"]


def test_a_create_that_is_never_answered_is_reported_in_the_end() -> None:
    bench = Bench(limits=Limits(patience=Patience(give_up=40))).configured()
    bench.requested(2)
    errors = []
    for n in range(3):
        out = bench.wait(15)
        errors += [message["code"] for message in out.messages if message["type"] == "Error"]
        if cancel := cancels(out.to_upstream):
            bench.error(NOTHING_RUNS, cancel[0]["event_id"])
            bench.wait(3)
        bench.release(responds=(2,), name=f"again-{n}")
    assert errors == ["REQUEST_TIMED_OUT"]
    assert bench.conversation.record().open_responses == ()


def test_a_response_that_is_announced_after_its_create_expired_is_cancelled_by_its_id() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    bench.wait(15)
    bench.asked(3)
    (cancel,) = bench.created("resp_1", create).to_upstream
    assert cancel["response_id"] == "resp_1"
    assert bench.conversation.record().open_responses == (2, 3), "neither was answered"
    bench.done("resp_1", create, status="cancelled")
    assert slot(bench) is Slot.IDLE


def test_a_late_response_answers_what_it_was_asked_for_and_nothing_that_was_asked_since() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    cancel = bench.wait(15).to_upstream[-1]["event_id"]
    bench.error(NOTHING_RUNS, cancel)
    bench.wait(3)
    bench.asked(3)
    assert bench.created("resp_1", create).to_upstream == []
    assert bench.conversation.record().open_responses == (3,)


def test_a_create_that_expires_beside_a_running_response_waits_for_its_end() -> None:
    bench = Bench(limits=Limits(slow_think=0)).configured()
    bench.requested(2)
    bench.created("resp_vad")
    for _ in range(3):
        bench.event("response.content_part.added", response_id="resp_vad")
        assert cancels(bench.wait(5).to_upstream) == []
    bench.done("resp_vad")
    assert slot(bench) is Slot.IDLE


def test_a_race_error_that_names_no_event_is_about_the_only_create_that_is_out() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    assert bench.error(RACE).messages == []
    assert slot(bench) is Slot.PROMISED
    assert bench.conversation.counters.collisions_absorbed == 1
    bench.created("resp_1", create)
    assert bench.conversation.record().open_responses == (), "if it was about another, the response is recognised"


def test_a_race_error_that_names_no_event_may_be_about_the_upstreams_own_response() -> None:
    bench = Bench().configured()
    bench.requested(2)
    committed(bench)
    bench.created("resp_vad")
    bench.event("input_audio_buffer.committed", item_id="audio_2")
    assert bench.error(RACE).messages == []
    bench.done("resp_vad", status="cancelled")
    assert slot(bench) is Slot.REQUESTED, "our create is still out"
    assert bench.conversation.counters.collisions_absorbed == 0
    bench.error(RACE)
    assert slot(bench) is Slot.PROMISED, "the next one is about ours"


def test_an_upstream_that_is_gone_has_no_response_to_wait_for() -> None:
    bench = Bench().configured()
    bench.conversation.closed(bench.now)
    assert bench.created("resp_1").to_upstream == []


def test_a_second_spoken_turn_is_answered_if_the_end_of_the_answer_to_the_first_was_lost() -> None:
    """The second may have interrupted it, which only its end would have told."""
    bench = Bench().configured()
    committed(bench, "audio_1")
    committed(bench, "audio_2")
    bench.created("resp_1")
    cancel = cancels(bench.wait(30).to_upstream)[0]
    bench.error(NOTHING_RUNS, cancel["event_id"])
    bench.wait(3)
    assert slot(bench) is Slot.IDLE
    (asked,) = bench.conversation.record().open_responses
    bench.translated(asked)
    bench.release(responds=(asked,))
    assert slot(bench) is Slot.REQUESTED


def test_one_spoken_turn_whose_answer_is_lost_is_not_answered_twice() -> None:
    bench = Bench().configured()
    committed(bench, "audio_1")
    bench.created("resp_1")
    cancel = cancels(bench.wait(30).to_upstream)[0]
    bench.error(NOTHING_RUNS, cancel["event_id"])
    bench.wait(3)
    assert bench.conversation.record().open_responses == ()


def test_what_happens_beside_a_response_is_no_progress_of_it() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.now += 20
    bench.created("aside_1", conversation=None)
    bench.done("aside_1", conversation=None)
    assert "response.cancel" in types(bench.wait(11).to_upstream)


def test_events_that_name_a_response_are_progress_of_one_that_began_without_a_name() -> None:
    bench = Bench().configured()
    bench.event("response.created", response={})
    for _ in range(3):
        bench.now += 20
        bench.event("response.content_part.added", response_id="resp_1")
    assert bench.wait(11).to_upstream == []


# --- requests


def test_a_request_is_reported_in_every_state_of_the_slot_and_progress_does_not_count() -> None:
    limits = Limits(slow_think=0, patience=Patience(give_up=60))
    bench = Bench(limits=limits).configured()
    bench.created("resp_1")
    bench.say(type="InjectUserMessage", content="Hi")
    bench.translated(2, "item_2")
    for _ in range(10):
        bench.now += 20
        bench.event("response.content_part.added", response_id="resp_1")
    assert bench.wait(0).messages == []
    bench.done("resp_1")
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    codes = []
    for _ in range(61):
        bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
        codes += [message.get("code") for message in bench.wait(1).messages]
    assert "REQUEST_TIMED_OUT" in codes


# --- the end of the upstream's session


def test_an_expired_session_is_told_once_after_the_reply() -> None:
    bench = Bench(AGENT).configured()
    bench.created("resp_1")
    assert bench.error("session_expired").messages == []
    bench.audio("resp_1", "item_1", 20)
    bench.event("response.output_audio.done", response_id="resp_1", item_id="item_1")
    out = bench.done("resp_1")
    assert types(out.messages)[-2:] == ["AgentAudioDone", "Error"]
    assert out.ending == Ending(1000, "session_max_duration")
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "1001", 1011), bench.now)
    assert bench.conversation.drain().messages == []


def test_an_expired_session_without_a_reply_ends_at_once() -> None:
    bench = Bench(AGENT).configured()
    out = bench.error("session_expired")
    assert [message["code"] for message in out.messages] == ["session_max_duration"]
    assert out.ending == Ending(1000, "session_max_duration")


def test_a_session_that_expired_and_is_closed_in_the_middle_of_a_reply_is_told_once() -> None:
    bench = Bench(AGENT).configured()
    bench.created("resp_1")
    bench.error("session_expired")
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "1001", 1011), bench.now)
    errors = [message["code"] for message in bench.conversation.drain().messages if message["type"] == "Error"]
    assert errors == ["session_max_duration"]
