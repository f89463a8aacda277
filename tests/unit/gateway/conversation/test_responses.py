"""Responses in a conversation: one at a time, every request answered once, races absorbed."""

from __future__ import annotations

from tests.unit.gateway.bench import RACE, Bench, types
from turngate.protocol.messages import Slot


def test_a_text_turn() -> None:
    bench = Bench().configured()
    assert bench.say(type="InjectUserMessage", content="Hi").to_publish == [2]
    assert types(bench.translated(2, "item_2").to_upstream) == ["conversation.item.create"]
    echoed = bench.item("item_2")
    assert [(m["role"], m["content"]) for m in echoed.messages] == [("user", "Hi")]
    (create,) = bench.release(responds=(2,)).to_upstream
    assert create["response"]["metadata"] == {"turngate": create["event_id"]}
    assert bench.conversation.record().slot is Slot.REQUESTED
    bench.created("resp_1", create["event_id"])
    record = bench.conversation.record()
    assert (record.slot, record.response_id, record.answered_seq) == (Slot.ACTIVE, "resp_1", 2)
    bench.done("resp_1")
    assert bench.conversation.record().slot is Slot.IDLE


def test_configuration_and_a_response_released_together_go_in_that_order() -> None:
    bench = Bench().configured().asked(2)
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(3)
    assert types(bench.release((3,), (2,)).to_upstream) == ["session.update", "response.create"]


def test_a_create_that_lost_the_race_waits_for_the_winner_and_the_client_never_knows() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    out = bench.error(RACE, event_id)
    assert out.messages == []
    assert bench.conversation.record().slot is Slot.PROMISED
    assert bench.conversation.record().open_responses == (2,)
    assert bench.conversation.counters.collisions_absorbed == 1
    assert bench.release(responds=(2,)).to_upstream == []
    bench.wait(3)
    assert types(bench.release(responds=(2,)).to_upstream) == ["response.create"], "the winner never showed"


def test_the_servers_own_response_answers_what_was_asked_before_it() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    bench.created("resp_vad")
    assert bench.conversation.record().open_responses == ()
    assert bench.conversation.counters.answered_by_another == 1
    assert bench.error(RACE, event_id).messages == []
    bench.done("resp_vad")
    assert bench.conversation.record().slot is Slot.IDLE
    assert bench.release(responds=(2,)).to_upstream == []


def test_a_create_that_the_upstream_accepts_after_all_is_cancelled_when_another_answered() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    bench.created("resp_vad")
    bench.done("resp_vad")
    assert bench.conversation.record().slot is Slot.REQUESTED
    out = bench.created("resp_2", event_id)
    assert [(event["type"], event["response_id"]) for event in out.to_upstream] == [("response.cancel", "resp_2")]
    assert bench.conversation.record().slot is Slot.CANCELLING
    text = bench.event(
        "response.output_text.done", response_id="resp_2", item_id="i", output_index=0, content_index=0, text="twice"
    )
    assert text.messages == []
    bench.done("resp_2", event_id, status="cancelled")
    assert bench.conversation.record().slot is Slot.IDLE


def test_an_item_that_came_after_a_response_began_is_not_answered_by_it() -> None:
    bench = Bench().configured()
    bench.created("resp_vad")
    bench.asked(2)
    assert bench.conversation.record().open_responses == (2,)
    bench.done("resp_vad")
    assert types(bench.release(responds=(2,)).to_upstream) == ["response.create"]


def test_a_create_that_is_refused_for_another_reason_is_settled_and_reported() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    out = bench.error("invalid_value", event_id)
    assert [(m["type"], m["code"]) for m in out.messages] == [("Error", "invalid_value")]
    record = bench.conversation.record()
    assert (record.slot, record.open_responses) == (Slot.IDLE, ())


def test_a_done_without_created_answers_what_it_was_asked_for() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    bench.done("resp_1", event_id)
    record = bench.conversation.record()
    assert (record.slot, record.open_responses) == (Slot.IDLE, ())


def test_out_of_band_responses_touch_nothing() -> None:
    bench = Bench().configured().asked(2)
    before = bench.conversation.record()
    bench.created("resp_side", conversation=None)
    bench.done("resp_side", conversation=None)
    assert bench.conversation.record() == before


def test_an_item_that_is_refused_settles_its_request() -> None:
    bench = Bench().configured()
    bench.say(type="InjectUserMessage", content="Hi")
    bench.translated(2, "item_2")
    out = bench.error("invalid_value", "item_2")
    assert [(m["type"], m["code"]) for m in out.messages] == [("Error", "invalid_value")]
    assert bench.conversation.record().open_responses == ()


def test_other_errors_pass_through_and_races_of_nobody_do_not() -> None:
    bench = Bench().configured()
    assert bench.error("server_error").messages[0]["code"] == "server_error"
    assert bench.error(RACE).messages == []
    assert bench.error("response_cancel_not_active").messages == []


def test_a_response_answers_what_was_there_when_it_was_asked_for_and_nothing_that_came_later() -> None:
    bench = Bench().configured().asked(2).asked(3)
    create = bench.release(responds=(2,)).to_upstream[-1]["event_id"]
    bench.asked(4)
    bench.created("resp_1", create)
    assert bench.conversation.record().open_responses == (4,)
    assert bench.conversation.counters.answered_by_another == 1, "the third request had no create of its own"


def test_an_item_that_comes_between_a_question_and_its_answer_waits_until_the_answer_stands() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    bench.say(type="InjectUserMessage", content="second")
    assert bench.translated(3, "item_3").to_upstream == []
    assert bench.created("resp_1", create).to_upstream == []
    item = {"id": "answer", "type": "message", "role": "assistant", "content": []}
    (sent,) = bench.event("response.output_item.added", response_id="resp_1", item=item).to_upstream
    assert sent["item"]["id"] == "item_3"
    bench.say(type="InjectUserMessage", content="third")
    assert types(bench.translated(4, "item_4").to_upstream) == ["conversation.item.create"], "and then at once"


def test_an_item_that_waited_for_an_answer_goes_when_there_is_none() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    bench.say(type="InjectUserMessage", content="second")
    bench.translated(3, "item_3")
    bench.created("resp_1", create)
    assert types(bench.done("resp_1", create).to_upstream) == ["conversation.item.create"]
