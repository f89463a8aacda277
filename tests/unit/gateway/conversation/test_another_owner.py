"""Another gateway goes on with a conversation: from the journal alone, or with the help of the one before."""

from __future__ import annotations

from typing import Any

import pybase64

from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench, committed, effective, types, words
from tests.unit.gateway.owner_bench import WAYS, Moved, Owner, Way, handed_over, killed, ready
from turngate.protocol.messages import Configuration, SendRelease, Slot


@WAYS
def test_a_conversation_goes_on_with_its_configuration_and_its_items(moved: Way) -> None:
    owner = ready()
    owner.says("Hello there", 900)
    owner.now += 5
    later = moved(owner)
    assert (later.open, later.slot) == ([], Slot.RECONNECTING)
    assert later.missed == [{"type": "SettingsApplied"}], "its arrival is unknown"
    items = later.restored()
    assert [(item["role"], item["content"][0]["text"]) for item in items] == [
        ("user", "Hi"),
        ("assistant", "Hello there"),
    ]
    assert later.conversation.record().epoch == 1
    # Nobody greets, and nothing was lost.
    assert "AgentStartedSpeaking" not in types(later.out.messages)


@WAYS
def test_settings_that_are_not_confirmed_wait_again(moved: Way) -> None:
    owner = Owner()
    owner.event("session.created", session={})
    owner.say(**SETTINGS)
    owner.translated(1)
    owner.release((1,))
    later = moved(owner)
    assert later.taken_up.to_publish == [1]
    assert later.event("session.created", session={}).to_upstream == []
    assert later.slot is Slot.UNCONFIGURED
    assert [message["type"] for message in later.open] == ["Settings"]


@WAYS
def test_items_that_were_held_are_translated_again(moved: Way) -> None:
    owner = Owner()
    owner.event("session.created", session={})
    owner.say(**SETTINGS)
    owner.translated(1, "context_1")
    later = moved(owner)
    request = later.conversation.context.requests.get(1)
    assert request is not None
    assert not request.translated


@WAYS
def test_a_request_keeps_its_number_and_its_items(moved: Way) -> None:
    owner = ready()
    owner.asked(2)
    owner.say(type="InjectUserMessage", content="Second")
    later = moved(owner)
    assert later.taken_up.to_publish == [2, 3]
    assert [item["id"] for item in later.restored()] == ["item_2"]
    assert [item["item"]["id"] for item in later.translated(3, "item_3").to_upstream] == ["item_3"]
    assert later.translated(2, "item_2").to_upstream == [], "it was translated at the other gateway"
    later.say(type="InjectUserMessage", content="Third")
    assert later.conversation.context.requests.last_seq == 4


@WAYS
def test_a_create_without_a_response_waits_again_unless_somebody_wanted_to_cancel_it(moved: Way) -> None:
    owner = ready()
    owner.requested(2)
    assert [message["type"] for message in moved(owner).open] == ["InjectUserMessage"]
    owner = ready()
    owner.requested(2)
    owner.say(type="InjectAgentMessage", message="Stop.", behavior="interrupt")
    assert [message["type"] for message in moved(owner).open] == ["InjectAgentMessage"]


def test_a_conversation_moves_at_a_quiet_moment_or_without_its_client() -> None:
    owner = ready()
    assert owner.conversation.may_move(owner.now)
    owner.asked(2)
    owner.release(responds=(2,))
    assert not owner.conversation.may_move(owner.now)
    owner.conversation.client_lost(owner.now)
    assert owner.conversation.may_move(owner.now)
    owner.conversation.end(1000, "over")
    assert not owner.conversation.may_move(owner.now)
    assert not Bench(AGENT).conversation.may_move(0.0)


def test_a_command_for_another_owner_has_no_effect() -> None:
    owner = ready()
    owner.asked(2)
    later = killed(owner)
    later.restored()
    assert owner.conversation.counters.commands_fenced == 0
    later.conversation.command(SendRelease(session="s", release="r", responds=(2,)), later.now)
    assert later._drain().to_upstream == []
    assert later.conversation.counters.commands_fenced == 1
    assert types(later.send((2,)).to_upstream) == ["response.create"]


def test_a_client_that_has_sent_nothing_yet_is_taken_up() -> None:
    owner = Owner()
    owner.event("session.created", session={})
    later = killed(owner)
    later.event("session.created", session={})
    assert later.say(**SETTINGS).to_publish == [1]


@WAYS
def test_calls_stay_open_and_come_before_their_results(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    owner.call("resp_1", "call_1")
    owner.call("resp_1", "call_2")
    owner.done("resp_1")
    owner.say(type="FunctionCallResponse", id="call_1", name="f", content="1")
    later = moved(owner)
    assert later.conversation.context.calls.open == ("call_1", "call_2")
    (sent, *_) = [message for message in later.missed if message["type"] == "FunctionCallRequest"]
    assert sent["functions"][0]["id"] == "call_2", "the other one was answered"
    replayed = [item for item in later.restored() if item["type"] == "function_call"]
    assert [item["call_id"] for item in replayed] == ["call_1", "call_2"]
    later.say(type="FunctionCallResponse", id="call_2", name="f", content="2")
    assert [message["type"] for message in later.open] == ["FunctionCallResponse", "FunctionCallResponse"]
    later.wait(30.0)
    assert later.conversation.context.calls.find("call_2", None) is None, "its time has begun anew"


@WAYS
def test_a_turn_that_waits_for_its_answer_is_answered(moved: Way) -> None:
    owner = ready()
    committed(owner)
    later = moved(owner)
    assert [message["type"] for message in later.open] == ["UserTurnEnded"]


@WAYS
def test_a_transcript_that_waits_for_that_of_an_earlier_turn_is_told(moved: Way) -> None:
    owner = ready(agent={**SETTINGS["agent"]})
    for item_id in ("u1", "u2"):
        committed(owner, item_id)
    event = {"item_id": "u2", "content_index": 0, "transcript": "And this."}
    assert owner.event("conversation.item.input_audio_transcription.completed", **event).messages == []
    texts = [one["content"] for one in moved(owner).taken_up.messages if one["type"] == "ConversationText"]
    assert texts == ["And this."]


def test_a_turn_without_a_transcript_is_handed_over_as_audio() -> None:
    owner = ready()
    owner.conversation.client_audio(b"\x01\x02" * 24_000, owner.now)
    committed(owner)
    later = handed_over(owner)
    (turn,) = later.restored()
    assert turn["content"][0]["type"] == "input_audio"


def test_a_turn_that_is_not_committed_goes_on_with_its_audio() -> None:
    owner = ready()
    owner.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    owner.conversation.client_audio(b"\x01\x02" * 24_000, owner.now)
    owner.conversation.client_lost(owner.now)
    later = handed_over(owner)
    later.event("session.created", session={})
    out = later.event("session.updated", session=effective())
    assert types(out.to_upstream) == ["input_audio_buffer.append", "input_audio_buffer.commit"]
    assert pybase64.b64decode(out.to_upstream[0]["audio"]) == b"\x01\x02" * 24_000


def test_audio_that_waits_for_the_first_configuration_still_does() -> None:
    owner = Owner()
    owner.event("session.created", session={})
    owner.say(**SETTINGS)
    owner.conversation.client_audio(b"\x01\x02" * 24_000, owner.now)
    later = handed_over(owner)
    assert later.event("session.created", session={}).to_upstream == []
    later.translated(1)
    release = SendRelease(session="s", epoch=1, release="r", configuration=Configuration(session={}), configures=(1,))
    later.conversation.command(release, later.now)
    assert types(later._drain().to_upstream) == ["session.update"]
    out = later.event("session.updated", session=effective())
    assert types(out.to_upstream) == ["input_audio_buffer.append"]


def test_a_turn_whose_audio_died_with_its_gateway_is_not_waited_for() -> None:
    owner = ready()
    owner.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    owner.conversation.client_audio(b"\x01\x02" * 24_000, owner.now)
    later = killed(owner)
    later.restored()
    assert not later.conversation.context.turn.user_speaking


@WAYS
def test_settings_that_are_sent_again_are_known_and_nobody_greets(moved: Way) -> None:
    greeting: dict[str, Any] = {"agent": {**SETTINGS["agent"], "greeting": "Welcome!"}}
    owner = ready(**greeting)
    (say,) = owner.open
    owner.translated(2)
    owner.created("resp_1", owner.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"])
    words(owner, "resp_1", "a1", "Welcome!", 500)
    owner.event("response.output_audio.done", response_id="resp_1", item_id="a1")
    owner.done("resp_1")
    owner.now += 5.0
    later = moved(owner)
    assert (say["type"], later.open) == ("InjectAgentMessage", [])
    out = later.say(**{**SETTINGS, **greeting})
    assert types(out.messages) == ["SettingsApplied"]
    assert later.open == []


@WAYS
def test_a_client_that_counts_gets_exactly_the_rest(moved: Way) -> None:
    owner = ready()
    for seq in range(2, 90):
        owner.asked(seq)
        owner.conversation.context.requests.settle([seq])
    assert len(owner.told) > 150
    assert moved(owner, len(owner.told) - 100).missed == owner.told[-100:]


def parked_with_a_second() -> Owner:
    """Its client has gone, and was asked for a second reply, which nobody has heard yet."""
    owner = ready()
    owner.asked(2)
    owner.arrive()
    owner.conversation.client_lost(owner.now)
    owner.asked(3, "Second")
    return owner


@WAYS
def test_what_was_told_while_the_client_was_gone_is_told_when_it_returns(moved: Way) -> None:
    owner = parked_with_a_second()
    later = moved(owner)
    assert [message["content"] for message in later.missed if message["type"] == "ConversationText"] == ["Second"]
    assert later.conversation.client_returned(None, 0, later.now) == [], "once"


@WAYS
def test_what_is_sent_again_is_proven_and_then_not_sent_again(moved: Way) -> None:
    later = moved(ready())
    assert types(later.missed) == ["SettingsApplied"]
    later.arrive()
    later.conversation.client_lost(later.now)
    assert later.conversation.client_returned(None, 0, later.now) == []


def test_what_was_still_queued_is_told_when_the_client_returns() -> None:
    for parked in (False, True):
        owner = ready()
        owner.asked(2)
        owner.asked(3, "Second")
        if parked:
            owner.conversation.client_lost(owner.now, 2)
        owner.write(owner.conversation.hand_over(owner.now, 0 if parked else 2))
        texts = [message for message in Moved(owner).missed if message["type"] == "ConversationText"]
        assert [message["content"] for message in texts] == ["Second"]


@WAYS
def test_what_could_not_be_told_to_a_client_that_was_lost_again_is_told_later(moved: Way) -> None:
    """The client comes to another gateway, and is gone before anything is sent there."""
    owner = parked_with_a_second()
    later = moved(owner)
    told = later.missed
    # With its Welcome.
    later.conversation.client_lost(later.now, 0, len(told) + 1)
    later.wait(0.0)
    assert moved(later).missed == told
