"""What time, loss and the end do to a conversation."""

from __future__ import annotations

import structlog

from gateway import metrics
from gateway.conversation.conversation import Conversation, Ending, UpstreamProblem
from gateway.conversation.counters import Counters
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from gateway.turn.requests import Patience
from tests.unit.gateway.bench import SETTINGS, Bench, types
from turngate.protocol.messages import Slot


def test_what_no_translator_answers_is_published_again_with_the_record_of_that_moment() -> None:
    bench = Bench().configured()
    bench.say(type="InjectUserMessage", content="Hi")
    bench.created("resp_1")
    assert bench.wait(0.9).to_publish == []
    assert bench.wait(0.1).to_publish == [2]
    event = bench.conversation.client_event(2)
    assert event is not None
    assert (event.attempt, event.turn.slot) == (2, Slot.ACTIVE)
    assert bench.conversation.counters.republished == 1


def test_a_lost_release_is_asked_for_again_while_the_turn_is_free() -> None:
    bench = Bench().configured().asked(2)
    assert bench.wait(3.9).to_publish == []
    assert bench.wait(0.1).to_publish == [2]


def test_what_nobody_can_carry_out_is_told_and_does_not_block_what_follows() -> None:
    bench = Bench(limits=Limits(patience=Patience(give_up=5))).configured()
    bench.say(type="InjectUserMessage", content="lost")
    bench.wait(4)
    bench.say(type="InjectUserMessage", content="next")
    assert bench.translated(3, "item_3").to_upstream == []
    out = bench.wait(1)
    assert [(m["type"], m["code"]) for m in out.messages] == [("Error", "REQUEST_TIMED_OUT")]
    assert types(out.to_upstream) == ["conversation.item.create"]
    assert bench.translated(2, "item_2").to_upstream == [], "too late"
    assert bench.conversation.client_event(2) is None


def test_notices_are_told_once() -> None:
    bench = Bench().configured()
    warning = {"type": "Warning", "code": "W", "description": "d"}
    for seq in (2, 3):
        bench.say(type="UpdatePrompt", prompt="x")
        out = bench.translated(seq, notices=(warning,))
        assert out.messages == ([warning] if seq == 2 else [])
    for n in range(70):
        bench.conversation.tell_once({"type": "Warning", "code": str(n)})
    bench.conversation.tell_once(warning)
    assert bench.conversation.drain().messages[-1] == warning, "what is remembered is bounded"


def test_the_record_grows_by_one_for_every_change_and_is_repeated_as_a_heartbeat() -> None:
    bench = Bench().configured()
    version = bench.conversation.record().version
    assert bench.event("rate_limits.updated", rate_limits=[]).turn_changed is False
    assert bench.created("resp_1").turn_changed
    assert bench.conversation.record().version == version + 1
    assert bench.wait(10).turn_changed
    assert bench.conversation.record().version == version + 1


def test_a_record_is_urgent_when_an_intent_may_wait_for_it() -> None:
    bench = Bench().configured()
    assert not bench.created("resp_1").turn_urgent, "nobody waits"
    assert not bench.done("resp_1").turn_urgent
    bench.created("resp_2")
    assert not bench.say(type="InjectUserMessage", content="Hi").turn_urgent, "the request takes the record along"
    assert not bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0).turn_urgent
    assert not bench.created("resp_3").turn_urgent, "the turn is not free"
    bench.event("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=9)
    assert bench.done("resp_3").turn_urgent
    assert not bench.wait(10).turn_urgent, "a heartbeat changes nothing"


def test_what_is_settled_may_let_the_next_one_go() -> None:
    bench = Bench().configured()
    for _ in range(2):
        bench.say(type="InjectUserMessage", content="Hi")
    assert not bench.translated(3, "item_3").turn_urgent
    assert bench.refused(2).turn_urgent


def test_the_deadline_is_the_next_moment_at_which_something_happens() -> None:
    bench = Bench().configured()
    assert bench.conversation.deadline() == 10
    bench.event("input_audio_buffer.committed", item_id="a")
    assert bench.conversation.deadline() == 3
    bench.created("resp_1")
    bench.done("resp_1")
    bench.requested(2)
    assert bench.conversation.deadline() == 3
    bench.event("conversation.item.input_audio_transcription.completed", item_id="a", transcript="Hi")
    assert bench.conversation.deadline() == 10
    bench.wait(9)
    bench.created("resp_2")
    bench.call("resp_2", "call_1")
    bench.wait(10)
    assert bench.conversation.deadline() == 29
    bench.conversation.closed(bench.now)
    assert bench.conversation.deadline() == float("inf")
    bench.wait(100)
    assert bench.out.to_publish == []


def test_the_upstreams_end_is_told_with_its_reason_and_closes_the_session() -> None:
    problem = UpstreamProblem("upstream_closed", "gone", 1011, early=True)
    bench = Bench()
    bench.conversation.upstream_closed(problem, 0)
    out = bench.conversation.drain()
    assert out.messages[0]["code"] == "upstream_closed_before_session_ready"
    assert bench.conversation.ending is not None
    assert bench.conversation.ending.code == 1011
    bench = Bench().configured()
    bench.conversation.upstream_closed(problem, 0)
    out = bench.conversation.drain()
    assert out.messages[0]["code"] == "upstream_closed"
    assert bench.conversation.record().slot is Slot.CLOSED
    bench.conversation.upstream_closed(problem, 0)
    bench.conversation.end(1000, "first stands")
    assert bench.conversation.ending == Ending(1011, "upstream_closed")


def test_an_ending_that_was_decided_before_stands() -> None:
    bench = Bench().configured()
    bench.conversation.end(1012, "SERVER_GOING_AWAY")
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011), 0)
    assert bench.conversation.drain().messages == []
    assert bench.conversation.ending == Ending(1012, "SERVER_GOING_AWAY")


def test_events_that_mean_nothing_are_ignored_and_those_nobody_knows_are_counted_and_named_once() -> None:
    named: list[str] = []
    bench = Bench(counters=Counters(first_unknown=named.append)).configured()
    for kind in ("rate_limits.updated", "something.new", "something.new", *(f"other.{n}" for n in range(100))):
        out = bench.event(kind, x=1)
        assert (out.messages, out.to_upstream, out.turn_changed) == ([], [], False)
    assert bench.conversation.counters.unknown_events == 102
    assert named[:2] == ["something.new", "other.0"]
    assert len(named) == 64, "what is remembered is bounded"


def test_a_type_that_nobody_knows_is_logged_once() -> None:
    bench = Bench(counters=metrics.counters()).configured()
    with structlog.testing.capture_logs() as logs:
        bench.event("something.new")
        bench.event("something.new")
    assert [(entry["event"], entry["event_type"]) for entry in logs] == [("unknown_upstream_event", "something.new")]


def test_a_session_that_waits_for_its_upstream_wakes_at_its_deadlines_only() -> None:
    bench = Bench(AGENT, Limits(heartbeat=15, silence=0, patience=Patience(give_up=60)))
    bench.say(**SETTINGS)
    woken = []
    while bench.conversation.deadline() < 59:
        bench.wait(bench.conversation.deadline() - bench.now)
        woken.append(bench.now)
    assert woken == [15, 30, 45], "its heartbeats"
    bench.event("session.created", session={})
    assert bench.conversation.deadline() == 46, "and from now on the request is published again"


def test_heartbeats_of_sessions_that_begin_at_about_the_same_time_are_due_together() -> None:
    due = set()
    for begins in (100.0, 100.05, 100.2):
        conversation = Conversation("s", "gw", AGENT, Limits(heartbeat=10, silence=0), begins)
        due.add(conversation.deadline())
        assert begins + 9.7 < conversation.deadline() <= begins + 10
    assert len(due) == 1


def test_no_deadline_is_left_behind_once_it_was_handled() -> None:
    """A timer that stays due would wake the session without end."""
    bench = Bench(AGENT, Limits(slow_think=5, call=10)).configured()
    bench.requested(2)
    bench.created("resp_1")
    bench.call("resp_1", "call_1")
    for _ in range(10):
        bench.event("response.content_part.added", response_id="resp_1")
        deadline = bench.conversation.deadline()
        bench.wait(deadline - bench.now)
        assert bench.conversation.deadline() > deadline


def test_a_request_is_given_up_without_an_upstream_too() -> None:
    bench = Bench(limits=Limits(patience=Patience(give_up=60)))
    bench.say(type="InjectUserMessage", content="Hi")
    assert bench.wait(59).messages == []
    assert [message["code"] for message in bench.wait(1).messages] == ["REQUEST_TIMED_OUT"]
    assert bench.out.to_publish == []


def test_a_transcript_that_waits_for_an_earlier_one_is_told_after_a_while() -> None:
    bench = Bench().configured()
    for item in ("user_1", "user_2"):
        bench.event("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=0)
    told = bench.event(
        "conversation.item.input_audio_transcription.completed", item_id="user_2", content_index=0, transcript="Two."
    )
    assert [message for message in told.messages if message["type"] == "ConversationText"] == []
    told = bench.wait(3)
    assert [message["content"] for message in told.messages if message["type"] == "ConversationText"] == ["Two."]
