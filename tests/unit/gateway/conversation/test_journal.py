"""Another gateway goes on with a conversation: from the journal alone, or with the help of the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pybase64
import pytest

from gateway.continuity.journal import Changes, read
from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, DIALECTS, Dialect
from gateway.timers import NEVER
from tests.unit.gateway.bench import SETTINGS, Bench, Out, committed, effective, types
from turngate.protocol.messages import AddItems, Configuration, ResponseRequest, SendRelease, Slot

LIMITS = Limits(reconnect=30.0, retry=0.0, session=7_200.0, session_notice=0.0)
BY_NAME = {dialect.name: dialect for dialect in DIALECTS.values()}


class Owner(Bench):
    """A bench whose conversation is written down after everything that happens."""

    def __init__(self, dialect: Dialect = AGENT, limits: Limits = LIMITS, *, epoch: int = 0, age: float = 0.0) -> None:
        self.told: list[dict[str, Any]] = []
        self.written: dict[str, bytes] = {}
        self.entries: list[Changes] = []
        super().__init__(dialect, limits)
        self.conversation = Conversation(
            "session-0001", f"gw-{epoch}", dialect, limits, self.now, resumable=True, epoch=epoch, age=age
        )

    def write(self, changes: Changes | None) -> None:
        if changes is None:
            return
        self.entries.append(changes)
        if changes.whole:
            self.written.clear()
        for name in changes.gone:
            del self.written[name]
        self.written |= changes.parts

    def _drain(self) -> Out:
        out = super()._drain()
        self.told += out.messages
        assert self.conversation.journal is not None
        self.write(self.conversation.journal.changes(self.now))
        return out

    @property
    def slot(self) -> Slot:
        return self.conversation.context.turn.slot

    @property
    def open(self) -> list[dict[str, Any]]:
        return [request.message for request in self.conversation.context.requests]

    def translate(self, seq: int, *item_ids: str) -> Out:
        items = tuple(
            {"id": name, "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
            for name in item_ids
        )
        self.conversation.command(AddItems(session="s", epoch=self.conversation.epoch, seq=seq, items=items), self.now)
        return self._drain()

    def send(self, responds: tuple[int, ...], **fields: Any) -> Out:
        release = SendRelease(
            session="s",
            epoch=self.conversation.epoch,
            release="r9",
            response=ResponseRequest(**fields),
            responds=responds,
        )
        self.conversation.command(release, self.now)
        return self._drain()


class Moved(Owner):
    """The next owner, which has taken the conversation up."""

    def __init__(self, before: Owner, received: int | None = None) -> None:
        parts = read(before.written)
        epoch = before.conversation.epoch + 1
        super().__init__(BY_NAME[parts["about"]["dialect"]], epoch=epoch)
        self.conversation.take_up(parts, self.now)
        #: What the client gets first of what the other gateway had for it, and what comes then.
        self.missed = self.conversation.client_returned(received, 0, self.now)
        self.taken_up = self._drain()

    def restored(self) -> list[dict[str, Any]]:
        """The first connection of this gateway is where the conversation is. Returns the items that were replayed."""
        (update,) = self.event("session.created", session={}).to_upstream
        assert update["type"] == "session.update"
        out = self.event("session.updated", session=effective(**update["session"]))
        items = [event["item"] for event in out.to_upstream if "item" in event]
        for item in items:
            self.event("conversation.item.added", item=item)
        assert self.slot is Slot.IDLE
        return items


def ready(dialect: Dialect = AGENT, **settings: Any) -> Owner:
    owner = Owner(dialect)
    owner.configured(**settings)
    return owner


def killed(owner: Owner, received: int | None = None) -> Moved:
    """The gateway is gone; its journal is what was written."""
    return Moved(owner, received)


def handed_over(owner: Owner, received: int | None = None) -> Moved:
    """The gateway completes the journal."""
    owner.write(owner.conversation.hand_over(owner.now))
    drained = owner.conversation.drain()
    assert (drained.to_client, drained.to_upstream, drained.to_publish) == ([], [], [])
    return Moved(owner, received)


WAYS = pytest.mark.parametrize("moved", [killed, handed_over])
Way = Callable[..., Moved]


def words(owner: Owner, response_id: str, item_id: str, text: str, ms: float) -> None:
    """The agent says this; so much of its audio has arrived."""
    delta = {"response_id": response_id, "item_id": item_id, "delta": text}
    owner.event("response.output_audio_transcript.delta", output_index=0, content_index=0, **delta)
    owner.audio(response_id, item_id, ms)


# --- what is under way, row by row


@WAYS
def test_a_conversation_goes_on_with_its_configuration_and_its_items(moved: Way) -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "Hello there", 900)
    owner.event("response.output_audio.done", response_id="resp_1", item_id="a1")
    owner.done("resp_1")
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
    assert [item["item"]["id"] for item in later.translate(3, "item_3").to_upstream] == ["item_3"]
    assert later.translate(2, "item_2").to_upstream == [], "it was translated at the other gateway"
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
    later.translate(3)
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
    owner.created("resp_1", owner.requested(2))
    words(owner, "resp_1", "a1", "one two three four", 2_000)
    owner.event("response.output_audio.done", response_id="resp_1", item_id="a1")
    owner.done("resp_1")
    mark = owner.conversation.client_legs.mark()
    assert mark is not None
    assert not owner.conversation.client_legs.has_reply
    owner.conversation.client_legs.proven(mark)
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
    later.translate(3)
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
    later.release(responds=(2,))
    assert later.out.to_upstream == []
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
    later.translate(1)
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


@WAYS
def test_what_was_told_while_the_client_was_gone_is_told_when_it_returns(moved: Way) -> None:
    owner = ready()
    owner.asked(2)
    mark = owner.conversation.client_legs.mark()
    assert mark is not None
    owner.conversation.client_legs.proven(mark)
    owner.conversation.client_lost(owner.now)
    owner.asked(3, "Second")
    later = moved(owner)
    assert [message["content"] for message in later.missed if message["type"] == "ConversationText"] == ["Second"]
    assert later.conversation.client_returned(None, 0, later.now) == [], "once"


@WAYS
def test_what_is_sent_again_is_proven_and_then_not_sent_again(moved: Way) -> None:
    later = moved(ready())
    assert types(later.missed) == ["SettingsApplied"]
    mark = later.conversation.client_legs.mark()
    assert mark is not None
    later.conversation.client_legs.proven(mark)
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


def test_a_session_that_does_not_move_has_no_journal() -> None:
    conversation = Conversation("session-0001", "gw", AGENT, LIMITS, 0.0, resumable=True, moves=False)
    assert conversation.journal is None
    assert conversation.client_legs.sent is not None
    conversation.client_text(b"{}", 0.0)
    assert not conversation.drain().journal_changed


# --- the journal itself


def test_only_what_has_changed_is_written() -> None:
    owner = ready()
    owner.asked(2)
    first, *others = owner.entries
    assert first.whole
    assert not any(entry.whole for entry in others)
    assert [entry.number for entry in owner.entries] == [*range(1, len(owner.entries) + 1)]
    assert sum("config" in entry.parts for entry in owner.entries) == 2, "at first, and when it was confirmed"
    assert sum("item:item_2" in entry.parts for entry in owner.entries) == 1
    before = len(owner.entries)
    owner.wait(0.0)
    assert len(owner.entries) == before
    assert owner.conversation.journal is not None
    assert owner.conversation.journal.changes(owner.now, due=True) is not None
    owner.conversation.journal.lost()
    whole = owner.conversation.journal.changes(owner.now)
    assert whole is not None
    assert whole.whole
    assert whole.parts.keys() == owner.written.keys()
    assert whole.parts == owner.written


def test_what_must_not_be_lost_is_written_at_once() -> None:
    owner = ready()
    assert owner.say(type="InjectUserMessage", content="Hi").journal_urgent, "a request was accepted"
    translated = owner.translated(2, "item_2")
    assert (translated.journal_changed, translated.journal_urgent) == (True, False)
    owner.item("item_2")
    create = owner.release(responds=(2,)).to_upstream[-1]
    assert owner.created("resp_1", create["event_id"]).journal_urgent, "it is answered"
    assert owner.call("resp_1", "call_1").journal_urgent, "a call is open"
    assert owner.done("resp_1").journal_urgent, "the reply is whole"
    assert not Bench(AGENT).say(**SETTINGS).journal_changed


def test_what_is_gone_is_gone() -> None:
    owner = ready()
    owner.requested(2)
    assert "request:2" in owner.written
    owner.created("resp_1", "session-0001"[:12] + ".respond.1")
    owner.done("resp_1")
    for number in range(200):
        owner.say(type="InjectUserMessage", content=str(number))
        owner.conversation.context.requests.settle([owner.conversation.context.requests.last_seq])
        owner.say(type="UpdateThink", think={})
    numbers = sorted(int(name.partition(":")[2]) for name in owner.written if name.startswith("message:"))
    assert len(numbers) <= 128
    assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
    owner.conversation.context.transcript.refused("item_2")
    owner.wait(0.0)
    assert "item:item_2" not in owner.written


def test_a_session_is_as_old_as_it_is_and_ends_in_time() -> None:
    later = Owner(age=7_000.0)
    assert later.conversation.deadline() <= 200.0
    assert Owner().conversation.deadline() != NEVER


@pytest.mark.parametrize("parts", [{}, {"about": b'{"version":2}'}, {"about": b"{"}, {"about": b"{}"}])
def test_a_journal_of_another_version_is_refused(parts: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"version|JSON|unexpected"):
        read(parts)
