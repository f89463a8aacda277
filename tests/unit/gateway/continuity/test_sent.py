"""What a client that returns has missed."""

from __future__ import annotations

from typing import Any

from gateway.continuity.sent import Sent

APPLIED = {"type": "SettingsApplied"}
DONE = {"type": "AgentAudioDone"}


def text(number: int) -> dict[str, Any]:
    return {"type": "ConversationText", "content": str(number)}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "FunctionCallRequest", "functions": [{"id": call_id}]}


def sent(*messages: dict[str, Any], limit: int = 100) -> Sent:
    kept = Sent(limit)
    for message in messages:
        kept.add(message)
    return kept


def missed(kept: Sent, received: int | None = None, unsent: int = 0, *still_open: str) -> list[dict[str, Any]]:
    return kept.missed(received, unsent, lambda call_id: call_id in still_open)


def test_what_arrival_is_unknown_is_sent_again_if_it_is_a_call_or_an_acknowledgement() -> None:
    kept = sent(text(1), APPLIED, call("a"), call("b"), DONE)
    assert missed(kept, None, 0, "b") == [APPLIED, call("b")]


def test_what_has_arrived_is_not_sent_again() -> None:
    kept = sent(text(1))
    assert kept.mark() is None, "nothing is worth a ping"
    kept.add(APPLIED)
    assert kept.mark() == b"2"
    assert kept.mark() is None, "one is under way"
    kept.add(call("a"))
    kept.proven(b"nonsense")
    assert kept.mark() is None
    kept.proven(b"2")
    assert missed(kept, None, 0, "a") == [call("a")]
    assert kept.mark() == b"3"
    kept.proven(b"3")
    assert kept.mark() is None
    assert missed(kept, None, 0, "a") == []


def test_pings_of_a_lost_connection_are_not_waited_for() -> None:
    kept = sent(APPLIED)
    assert kept.mark() == b"1"
    missed(kept)
    assert kept.mark() == b"1"


def test_a_client_that_says_what_it_has_gets_exactly_the_rest() -> None:
    kept = sent(text(1), APPLIED, text(3), DONE)
    assert missed(kept, 2) == [text(3), DONE]
    assert missed(kept, 0) == [text(1), APPLIED, text(3), DONE]
    assert missed(kept, 4) == []
    assert missed(kept, 5) == [APPLIED], "that cannot be"


def test_what_is_queued_is_not_sent_twice() -> None:
    kept = sent(text(1), APPLIED, text(3), DONE)
    assert missed(kept, 0, 2) == [text(1), APPLIED]
    assert missed(kept, None, 3) == []


def test_the_oldest_are_forgotten() -> None:
    assert missed(sent(text(1), text(2), text(3), limit=2), 0) == [text(2), text(3)]


def test_what_was_sent_again_on_a_connection_that_ended_first_is_missed_again() -> None:
    """Of three messages that nobody could send, one went on the first connection of the client that returned."""
    kept = sent(text(1), APPLIED, text(2), text(3), text(4))
    kept.proven(kept.mark() or b"")
    kept.take_up(count=5, proven=2, sent=2, messages=())
    assert missed(kept) == [text(2), text(3), text(4)]
    kept.add(text(5))
    assert kept.lost(unsent=1, unrepeated=2) == 3
    assert missed(kept) == [text(3), text(4), text(5)]
    assert kept.lost(unsent=0, unrepeated=0) == 6
    assert missed(kept) == []


def test_a_message_that_the_client_needs_is_missed_until_it_has_arrived() -> None:
    """A message before it, whose arrival is unknown, is not sent again with it."""
    kept = sent(text(1), APPLIED)
    assert missed(kept) == [APPLIED]
    assert kept.lost(unsent=0, unrepeated=1) == 2
    assert missed(kept) == [APPLIED]
