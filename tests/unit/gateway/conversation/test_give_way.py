"""P12: the agent never speaks over the user, and what gives way is answered with the user's turn."""

from __future__ import annotations

import pytest

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT
from tests.unit.gateway.bench import SETTINGS, Bench, committed, effective, failed, types
from turngate.protocol.messages import Slot


def onset(bench: Bench) -> None:
    bench.event("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)


def test_a_response_of_ours_that_begins_while_the_user_speaks_is_cut_and_its_question_waits() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    onset(bench)
    out = bench.created("resp_1", create)
    assert types(out.to_upstream) == ["response.cancel"]
    assert bench.audio("resp_1", "item_1", 100).to_client == []
    assert bench.conversation.record().open_responses == (2,)
    bench.done("resp_1", create, status="cancelled")
    bench.event("input_audio_buffer.speech_stopped", item_id="user_1", audio_end_ms=900)
    bench.event("input_audio_buffer.committed", item_id="user_1")
    bench.created("resp_2")
    assert bench.conversation.record().open_responses == (), "the answer to the user answers both"
    assert bench.audio("resp_2", "item_2", 100).to_client != []


def test_the_upstreams_own_response_that_is_announced_after_a_second_onset_is_cut() -> None:
    bench = Bench().configured().asked(2)
    committed(bench)
    onset(bench)
    assert types(bench.created("resp_1").to_upstream) == ["response.cancel"]
    assert bench.audio("resp_1", "item_1", 100).to_client == []
    bench.done("resp_1", status="cancelled")
    assert bench.conversation.record().open_responses == (2,)
    bench.event("input_audio_buffer.speech_stopped", item_id="user_1", audio_end_ms=900)
    bench.event("input_audio_buffer.committed", item_id="user_1")
    bench.created("resp_2")
    assert bench.conversation.record().open_responses == ()


def test_given_words_that_gave_way_are_spoken_after_the_user() -> None:
    bench = Bench().configured()
    bench.say(type="InjectAgentMessage", message="Listen.")
    bench.translated(2)
    create = bench.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"]
    onset(bench)
    bench.created("resp_1", create)
    bench.done("resp_1", create, status="cancelled")
    assert bench.conversation.record().open_responses == (2,)


def test_words_that_are_to_interrupt_begin_although_the_user_speaks() -> None:
    bench = Bench().configured()
    onset(bench)
    bench.say(type="InjectAgentMessage", message="Stop!", behavior="interrupt")
    bench.translated(2)
    out = bench.release(responds=(2,), exclusive=True, interrupts=True)
    assert bench.created("resp_1", out.to_upstream[-1]["event_id"]).to_upstream == []


def test_where_the_user_does_not_interrupt_nothing_gives_way() -> None:
    bench = Bench().configured()
    detection = {"type": "server_vad", "create_response": True, "interrupt_response": False}
    bench.event("session.updated", session=effective(audio={"input": {"turn_detection": detection}}))
    create = bench.requested(2)
    onset(bench)
    assert bench.created("resp_1", create).to_upstream == []


# --- a wish to cancel


@pytest.mark.parametrize("promised", [True, False])
def test_a_wish_to_interrupt_what_has_not_begun_is_remembered(promised: bool) -> None:
    bench = Bench().configured()
    create = None if promised else bench.requested(2)
    if promised:
        committed(bench)
    out = bench.say(type="InjectAgentMessage", message="Stop!", behavior="interrupt")
    assert out.to_upstream == [], "there is nothing to cancel yet"
    assert types(bench.created("resp_1", create).to_upstream) == ["response.cancel"]
    assert bench.audio("resp_1", "item_1", 100).to_client == []
    bench.done("resp_1", create, status="cancelled")
    assert bench.conversation.record().slot is Slot.IDLE


def test_a_wish_to_interrupt_does_not_outlive_what_it_was_for() -> None:
    bench = Bench().configured()
    committed(bench)
    bench.say(type="InjectAgentMessage", message="Stop!", behavior="interrupt")
    bench.wait(3)
    assert bench.conversation.record().slot is Slot.IDLE, "the promised response did not come"
    assert bench.created("resp_1").to_upstream == []


# --- the greeting


def greeted(limits: Limits | None = None) -> Bench:
    bench = Bench(AGENT, limits)
    return bench.configured(agent={**SETTINGS["agent"], "greeting": "Hello, this call is recorded."})


def warnings(messages: list[dict[str, str]]) -> list[str]:
    return [message["code"] for message in messages if message["type"] == "Warning"]


def greeting_asked(bench: Bench) -> str:
    bench.translated(2)
    return str(bench.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"])


@pytest.mark.parametrize("begun", ["held", "asked", "begun"])
def test_a_greeting_that_the_user_comes_before_is_not_spoken_and_the_client_is_told(begun: str) -> None:
    bench = greeted()
    create = greeting_asked(bench) if begun != "held" else None
    if begun == "begun":
        bench.created("resp_1", create)
    out = bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert warnings(out.messages) == ["GREETING_NOT_SPOKEN"]
    assert bench.conversation.record().open_responses == ()
    if begun == "asked":
        assert types(bench.created("resp_1", create).to_upstream) == ["response.cancel"]
    out = bench.event("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=0)
    assert warnings(out.messages) == [], "once"


def test_a_greeting_that_was_heard_is_interrupted_like_any_reply() -> None:
    bench = greeted()
    create = greeting_asked(bench)
    bench.created("resp_1", create)
    bench.audio("resp_1", "item_1", 500)
    out = bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert warnings(out.messages) == []
    assert types(out.messages)[-1] == "UserStartedSpeaking"


def test_an_uninterruptible_greeting_is_spoken_whole_and_what_was_said_meanwhile_is_heard_after_it() -> None:
    bench = greeted(Limits(greeting_uninterruptible=True))
    create = greeting_asked(bench)
    bench.created("resp_1", create)
    bench.audio("resp_1", "item_1", 2000)
    assert bench.conversation.client_audio(b"\1\0" * 240, bench.now) == b""
    bench.done("resp_1", create)
    assert bench.wait(1.9).to_upstream == [], "the client still plays it"
    (append,) = bench.wait(0.1).to_upstream
    assert append["type"] == "input_audio_buffer.append"
    assert bench.conversation.client_audio(b"\1\0", bench.now) == b"\1\0"


def test_an_uninterruptible_greeting_that_is_asked_for_again_is_followed_by_what_was_said_meanwhile() -> None:
    bench = greeted(Limits(greeting_uninterruptible=True))
    create = greeting_asked(bench)
    bench.created("resp_1", create)
    bench.conversation.client_audio(b"\1\0" * 240, bench.now)
    failed(bench, "resp_1", create, "server_error")
    assert bench.wait(0.5).to_upstream == [], "it will be spoken yet"
    bench.translated(3)
    again = bench.release(responds=(3,), exclusive=True, name="again").to_upstream[-1]["event_id"]
    bench.created("resp_2", again)
    bench.audio("resp_2", "item_1", 2000)
    bench.done("resp_2", again)
    assert bench.wait(1.9).to_upstream == []
    assert types(bench.wait(0.1).to_upstream) == ["input_audio_buffer.append"]


def test_the_user_is_heard_when_an_uninterruptible_greeting_cannot_be_spoken() -> None:
    bench = greeted(Limits(greeting_uninterruptible=True))
    create = greeting_asked(bench)
    bench.conversation.client_audio(b"\1\0" * 240, bench.now)
    bench.error("server_error", create)
    assert types(bench.wait(0).to_upstream) == ["input_audio_buffer.append"]


def test_a_component_gets_its_greeting_as_text_and_nothing_is_withheld() -> None:
    bench = Bench(COMPONENT, Limits(greeting_uninterruptible=True))
    bench.configured(agent={**SETTINGS["agent"], "greeting": "Hello."})
    assert bench.conversation.client_audio(b"\1\0", bench.now) == b"\1\0"


def test_a_greeting_that_was_played_withholds_nothing() -> None:
    bench = greeted()
    create = greeting_asked(bench)
    bench.created("resp_1", create)
    bench.audio("resp_1", "item_1", 500)
    bench.done("resp_1", create)
    assert bench.wait(0.5).to_upstream == []
    out = bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert warnings(out.messages) == []


def test_where_the_user_does_not_interrupt_a_reply_goes_on_and_the_client_is_not_told_to_stop() -> None:
    bench = Bench().configured()
    detection = {"type": "server_vad", "create_response": True, "interrupt_response": False}
    bench.event("session.updated", session=effective(audio={"input": {"turn_detection": detection}}))
    bench.created("resp_1")
    bench.audio("resp_1", "item_1", 500)
    bench.done("resp_1")
    out = bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert (out.messages, out.to_upstream) == ([], []), "the client still plays it"
    bench.now = 1
    out = bench.event("input_audio_buffer.speech_started", item_id="u2", audio_start_ms=0)
    assert types(out.messages) == ["UserStartedSpeaking"]
