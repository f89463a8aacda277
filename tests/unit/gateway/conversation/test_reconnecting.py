"""Connections to the upstream that are lost: which one is replaced, for how long, and what the client is told."""

from __future__ import annotations

import pytest

from gateway.conversation.counters import Counters
from gateway.conversation.effects import SESSION_OVER, Ending, UpstreamProblem
from gateway.conversation.limits import Limits
from tests.unit.gateway.bench import committed, effective, words
from tests.unit.gateway.legs_bench import LIMITS, Legs, ready
from turngate.protocol.messages import Slot


def test_the_client_hears_of_it_after_a_second_and_when_it_is_over() -> None:
    times: list[float] = []
    counters = Counters(restore_time=times.append)
    legs = Legs(counters=counters)
    legs.configured()
    assert legs.lost().messages == []
    assert [message["code"] for message in legs.wait(1.0).messages] == ["UPSTREAM_RECONNECTING"]
    legs.now += 2.0
    legs.connect()
    out = legs.event("session.updated", session=effective())
    assert "3.0 s" in out.messages[-1]["description"]
    assert (counters.restored, counters.legs_lost, times) == (1, {"upstream_closed": 1}, [3.0])


def test_it_is_given_up_when_it_takes_too_long() -> None:
    legs = ready()
    legs.lost()
    legs.wait(1.0)
    out = legs.wait(29.0)
    assert (out.messages[-1]["code"], out.ending) == ("upstream_closed", Ending(1011, "upstream_closed"))
    assert legs.slot is Slot.CLOSED


def test_a_connection_that_does_not_answer_is_replaced() -> None:
    legs = ready()
    legs.lost()
    legs.connect()
    out = legs.wait(LIMITS.reply)
    assert out.renew_upstream
    assert legs.slot is Slot.RECONNECTING
    legs.restored()


def test_a_connection_that_cannot_be_had_is_dialled_again_without_being_counted() -> None:
    legs = ready()
    for _ in range(10):
        assert legs.lost().renew_upstream
    legs.connect()
    # A server that does not show its configuration has it all the same.
    legs.event("session.updated", session={})
    assert (legs.slot, legs.conversation.context.upstream_config.confirmed) == (Slot.IDLE, effective())


def test_a_connection_that_refuses_the_configuration_is_replaced() -> None:
    legs = ready()
    legs.lost()
    (update,) = legs.connect().to_upstream
    out = legs.error("server_error", update["event_id"])
    assert (out.renew_upstream, out.messages) == (True, [])
    legs.restored()


def test_an_item_that_is_refused_is_left_out_and_its_request_is_told() -> None:
    counters = Counters()
    legs = Legs(counters=counters)
    legs.configured()
    legs.asked(2)
    legs.created("resp_1", str(legs.release(responds=(2,)).to_upstream[-1]["event_id"]))
    legs.done("resp_1")
    legs.say(type="InjectUserMessage", content="Second")
    legs.translated(3, "item_3")
    legs.lost()
    legs.connect()
    legs.event("session.updated", session=effective())
    assert legs.error("invalid_value", "item_2").messages == []
    out = legs.error("invalid_value", "item_3")
    assert out.messages[0]["code"] == "invalid_value"
    assert (legs.slot, counters.items_left_out) == (Slot.IDLE, 2)


@pytest.mark.parametrize(
    "problem",
    [UpstreamProblem("insufficient_quota", "no", 1000), UpstreamProblem("invalid_api_key", "no", 1000)],
)
def test_a_refusal_that_cannot_heal_ends_the_session(problem: UpstreamProblem) -> None:
    legs = ready()
    legs.lost()
    out = legs.lost(problem)
    assert (out.messages[-1]["code"], out.ending) == (problem.code, Ending(1000, problem.code))


def test_the_end_of_the_upstreams_session_is_a_loss_like_any_other() -> None:
    legs = ready()
    assert legs.lost(SESSION_OVER).renew_upstream
    legs.restored()
    legs.created("resp_1", legs.requested(2))
    assert not legs.error("session_expired").renew_upstream, "the reply may come to its end"
    assert legs.done("resp_1").renew_upstream
    assert legs.slot is Slot.RECONNECTING


def test_connections_that_die_of_what_is_replayed_are_not_dialled_for_ever() -> None:
    legs = ready()
    for _ in range(6):
        assert legs.lost().renew_upstream
        legs.restored()
    assert legs.lost().ending == Ending(1011, "upstream_closed")


def test_a_completed_response_and_time_allow_more() -> None:
    legs = ready()
    for _ in range(6):
        legs.lost()
        legs.restored()
    legs.created("resp_1", legs.requested(2))
    legs.done("resp_1")
    for _ in range(6):
        assert legs.lost().renew_upstream
        legs.restored()
    legs.now += 61.0
    assert legs.lost().renew_upstream


def test_without_a_first_session_and_after_the_end_no_other_connection_is_opened() -> None:
    assert Legs().lost().ending is not None
    legs = ready()
    legs.conversation.end(1000, "")
    assert not legs.lost().renew_upstream
    never = Legs(limits=Limits(reconnect=0.0))
    never.configured()
    assert never.lost().ending is not None


def test_reasons_are_counted_by_name_up_to_a_number() -> None:
    counters = Counters()
    legs = Legs(counters=counters)
    legs.configured()
    for number in range(40):
        legs.lost(UpstreamProblem(f"code_{number}", "x", 1011))
        legs.restored()
        legs.now += 61.0
    assert len(counters.legs_lost) == 33
    assert counters.legs_lost["other"] == 8


def _in_a_reply(counters: Counters) -> Legs:
    """A second of it has arrived."""
    legs = Legs(counters=counters)
    legs.configured()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One two three", 1_000)
    return legs


@pytest.mark.parametrize(("away", "silence"), [(0.4, 0.0), (3.0, 2.0)])
def test_the_silence_begins_when_what_has_arrived_is_played(away: float, silence: float) -> None:
    heard: list[float] = []
    legs = _in_a_reply(Counters(silence_heard=heard.append))
    legs.lost()
    legs.restored()
    legs.translated(3)
    (create,) = legs.release(responds=(3,), name="r2").to_upstream
    legs.created("resp_2", create["event_id"])
    legs.now += away
    words(legs, "resp_2", "a2", "four", 100)
    words(legs, "resp_2", "a2", " five", 100)
    assert heard == [silence]


def test_nobody_waits_for_a_reply_that_the_user_interrupts() -> None:
    heard: list[float] = []
    legs = _in_a_reply(Counters(silence_heard=heard.append))
    legs.lost()
    legs.restored()
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    legs.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=500)
    legs.created("resp_2")
    words(legs, "resp_2", "a2", "Yes?", 100)
    assert heard == []


def measured() -> tuple[Legs, list[float]]:
    """A conversation, and the silences that its client has heard."""
    heard: list[float] = []
    legs = Legs(counters=Counters(silence_heard=heard.append))
    legs.configured()
    return legs, heard


@pytest.mark.parametrize("played", [0, 3_000])
def test_a_reply_that_is_due_is_waited_for_from_the_loss_or_the_end_of_what_is_played(played: int) -> None:
    legs, heard = measured()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One", played)
    legs.done("resp_1")
    legs.requested(3)
    legs.now += 1.0
    legs.lost()
    legs.restored()
    (create,) = legs.release(responds=(3,), name="r2").to_upstream
    legs.created("resp_2", create["event_id"])
    legs.now += 2.5
    words(legs, "resp_2", "a2", "Two", 100)
    assert heard == [2.5 if not played else 0.5]


def test_a_spoken_turn_that_waits_for_its_answer_is_a_reply_that_is_due() -> None:
    legs, heard = measured()
    committed(legs)
    legs.lost()
    legs.restored()
    legs.now += 1.5
    legs.created("resp_1")
    words(legs, "resp_1", "a1", "Yes?", 100)
    assert heard == [1.5]


def test_nobody_waits_while_nothing_is_due() -> None:
    legs, heard = measured()
    legs.lost()
    legs.restored()
    _answered(legs, "resp_1")
    assert heard == []


def test_nobody_waits_while_the_user_speaks() -> None:
    legs, heard = measured()
    legs.requested(2)
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    legs.lost()
    legs.restored()
    legs.event("input_audio_buffer.committed", item_id="audio_1")
    _answered(legs, "resp_1")
    assert legs.open == []
    assert heard == []


def test_a_reply_that_is_due_and_has_no_audio_ends_the_wait() -> None:
    legs, heard = measured()
    committed(legs)
    legs.lost()
    legs.restored()
    legs.created("resp_1")
    legs.call("resp_1", "call_1")
    legs.done("resp_1")
    _answered(legs, "resp_2")
    assert heard == []


def _answered(legs: Legs, response_id: str) -> None:
    """The upstream's own response, with audio."""
    legs.now += 5.0
    legs.created(response_id)
    words(legs, response_id, f"item_of_{response_id}", "Yes?", 100)
    legs.done(response_id)
