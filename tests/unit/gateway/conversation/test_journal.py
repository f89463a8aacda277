"""The journal of a conversation: what is written, and when."""

from __future__ import annotations

import pytest

from gateway.continuity.journal import read
from gateway.conversation.conversation import Conversation
from gateway.dialect import AGENT
from gateway.timers import NEVER
from tests.unit.gateway.bench import SETTINGS, Bench
from tests.unit.gateway.owner_bench import LIMITS, Owner, ready


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


def test_a_session_that_does_not_move_has_no_journal() -> None:
    conversation = Conversation("session-0001", "gw", AGENT, LIMITS, 0.0, resumable=True, moves=False)
    assert conversation.journal is None
    assert conversation.client_legs.sent is not None
    conversation.client_text(b"{}", 0.0)
    assert not conversation.drain().journal_changed
