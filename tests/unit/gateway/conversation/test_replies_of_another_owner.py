"""Replies that were running when another gateway went on with the conversation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway.bench import SETTINGS, failed, types, words
from tests.unit.gateway.owner_bench import LIMITS, WAYS, Moved, Way, handed_over, killed, ready


@WAYS
def test_a_reply_of_which_nothing_was_heard_is_asked_for_again(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    later = moved(owner)
    assert [message["type"] for message in later.open] == ["UserTurnEnded"]
    assert later.taken_up.messages == []


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_a_reply_is_gone_on_with_from_what_was_sent_if_the_gateway_died(dialect: Dialect) -> None:
    owner = ready(dialect)
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "One two three four five", 1_000)
    later = killed(owner)
    assert [message["content"] for message in later.taken_up.messages if message["type"] == "ConversationText"] == [
        "One two three"
    ]
    assert later.open == [{"type": "ReplyCutOff", "heard": "One two three", "rest": None}]
    assert later.restored()[-1]["content"][0]["text"] == "One two three"
    later.translated(3)
    create = later.send((3,), append_instructions="Go on.", first=True).to_upstream[-1]
    began = later.created("resp_2", create["event_id"])
    words(later, "resp_2", "a2", "four five", 500)
    assert "AgentStartedSpeaking" not in types([*began.messages, *later.out.messages]), "for the client it goes on"
    later.event("response.output_audio.done", response_id="resp_2", item_id="a2")
    assert types(later.done("resp_2").messages).count("AgentAudioDone") == 1


def test_of_a_reply_that_is_handed_over_only_what_was_played_was_heard() -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "one two three four", 2_000)
    owner.now += 1.0
    later = handed_over(owner)
    assert later.open == [{"type": "ReplyCutOff", "heard": "one two", "rest": None}]


@WAYS
def test_the_rest_of_a_reply_that_waited_for_its_client_is_said_again(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "one two three four", 2_000)
    owner.now += 1.0
    owner.conversation.client_lost(owner.now)
    owner.event("response.output_audio.done", response_id="resp_1", item_id="a1")
    owner.done("resp_1")
    owner.now += 20.0
    later = moved(owner)
    assert later.open == [{"type": "ReplyCutOff", "heard": "one two", "rest": None}]
    texts = [one["content"] for one in later.taken_up.messages if one["type"] == "ConversationText"]
    assert texts == ["one two"], "the rest of the text comes with the rest of the reply"
    assert {"ConversationText", "AgentAudioDone"}.isdisjoint(types(later.missed))


def test_a_reply_that_has_arrived_is_not_said_again_although_it_is_not_played_yet() -> None:
    owner = ready()
    owner.says("one two three four", 2_000)
    assert not owner.conversation.client_legs.has_reply
    owner.arrive()
    assert owner.conversation.client_legs.has_reply
    assert handed_over(owner).open == []


@WAYS
def test_a_rest_that_was_asked_for_before_goes_on_with_the_same_reply(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "One two three four five", 1_000)
    owner.now += 0.8
    later = moved(moved(owner))
    assert [message["type"] for message in later.open] == ["ReplyCutOff"]
    later.restored()
    later.translated(3)
    create = later.send((3,), append_instructions="Go on.", first=True).to_upstream[-1]
    later.created("resp_2", create["event_id"])
    words(later, "resp_2", "a2", "four five", 500)
    assert "AgentStartedSpeaking" not in types(later.out.messages)


@WAYS
def test_given_words_go_on_with_the_words_that_are_left(moved: Way) -> None:
    owner = ready()
    owner.say(type="InjectAgentMessage", message="One two three four five.", behavior="queue")
    owner.translated(2)
    owner.created("resp_1", owner.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"])
    words(owner, "resp_1", "a1", "One two three four five.", 1_000)
    owner.now += 60.0 if moved is killed else 0.5
    (rest,) = moved(owner).open
    assert rest["heard"] + " " + rest["rest"] == "One two three four five."


@WAYS
def test_a_reply_that_is_being_cancelled_is_not_gone_on_with(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "One two three four five", 1_000)
    owner.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert moved(owner).open == []


@WAYS
def test_a_reply_that_was_interrupted_by_the_client_is_not_gone_on_with(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "One two three four five", 1_000)
    owner.now += 0.5
    owner.say(type="InjectAgentMessage", message="Stop.", behavior="interrupt")
    assert [message["type"] for message in moved(owner).open] == ["InjectAgentMessage"]


def test_of_several_messages_those_that_were_played_are_whole() -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    for item_id, text in (("a1", "One two."), ("a2", "Three four.")):
        words(owner, "resp_1", item_id, text, 1_000)
        owner.event("response.output_audio.done", response_id="resp_1", item_id=item_id)
    owner.done("resp_1")
    owner.now += 1.5
    later = handed_over(owner)
    assert later.open == [{"type": "ReplyCutOff", "heard": "One two. Three", "rest": None}]
    texts = [one["content"] for one in later.taken_up.messages if one["type"] == "ConversationText"]
    assert texts == ["One two.", "Three"]


@WAYS
def test_a_reply_that_has_called_functions_ends_here(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "One moment", 1_000)
    owner.call("resp_1", "call_1")
    owner.now += 0.6
    later = moved(owner)
    assert later.open == []
    assert types(later.taken_up.messages)[-1] == "AgentAudioDone"


def test_nothing_of_a_reply_that_was_not_spoken_is_told() -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "One two three", 1)
    later = handed_over(owner)
    assert [message["type"] for message in later.open] == ["UserTurnEnded"]
    assert "ConversationText" not in types(later.taken_up.messages)


# --- replies that failed, and are asked for again


RETRIES = replace(LIMITS, retry=5.0)


def asked_again(owner: Moved, seq: int) -> str:
    """The other connection is there, and the reply is asked for. Returns the event's id."""
    owner.restored()
    owner.translated(seq)
    return str(owner.send((seq,)).to_upstream[-1]["event_id"])


@WAYS
def test_a_reply_that_waits_to_be_asked_for_again_is_asked_for_and_only_once_more(moved: Way) -> None:
    owner = ready(limits=RETRIES)
    create = owner.requested(2)
    owner.created("resp_1", create)
    failed(owner, "resp_1", create, "server_error")
    later = moved(owner)
    assert [message["type"] for message in later.open] == ["UserTurnEnded"]
    create = asked_again(later, 3)
    later.created("resp_2", create)
    assert [message["code"] for message in failed(later, "resp_2", create, "server_error").messages[:1]] == [
        "server_error"
    ]
    assert later.wait(5.0).to_publish == []


@pytest.mark.parametrize("where", ["asked", "running"])
@WAYS
def test_a_reply_that_was_asked_for_again_is_not_asked_for_once_more(moved: Way, where: str) -> None:
    owner = ready(limits=RETRIES)
    create = owner.requested(2)
    owner.created("resp_1", create)
    failed(owner, "resp_1", create, "server_error")
    owner.wait(0.5)
    owner.translated(3)
    if where == "running":
        owner.created("resp_2", owner.send((3,)).to_upstream[-1]["event_id"])
    later = moved(owner)
    assert [message["type"] for message in later.open] == ["UserTurnEnded"]
    create = asked_again(later, 4 if where == "running" else 3)
    later.created("resp_3", create)
    assert [message["code"] for message in failed(later, "resp_3", create, "server_error").messages[:1]] == [
        "server_error"
    ]
    assert later.wait(5.0).to_publish == []


# --- a greeting that the user may not interrupt


@pytest.mark.parametrize("arrived", [False, True])
@WAYS
def test_the_user_is_heard_after_an_uninterruptible_greeting(moved: Way, arrived: bool) -> None:
    agent = {**SETTINGS["agent"], "greeting": "Hello, this call is recorded."}
    owner = ready(limits=replace(LIMITS, greeting_uninterruptible=True), agent=agent)
    owner.translated(2)
    create = owner.release(responds=(2,), exclusive=True).to_upstream[-1]["event_id"]
    owner.created("resp_1", create)
    words(owner, "resp_1", "a1", "Hello, this call is recorded.", 2_000)
    owner.event("response.output_audio.done", response_id="resp_1", item_id="a1")
    owner.done("resp_1", create)
    if arrived:
        owner.arrive()
    later = moved(owner)
    for request in list(later.conversation.context.requests):
        create = asked_again(later, request.seq)
        later.created("resp_2", create)
        later.done("resp_2", create)
    if later.slot.value == "reconnecting":
        later.restored()
    later.wait(0)
    assert later.conversation.client_audio(b"\1\0", later.now) == b"\1\0"
