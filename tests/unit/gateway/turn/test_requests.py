"""Open requests: what is open, when it is published again, and when the client must be told."""

from __future__ import annotations

import pytest

from gateway.turn.requests import Kind, OpenRequests, Patience, Request, TooManyRequests

NEVER = float("inf")


def requests(*kinds: Kind, limit: int = 10) -> OpenRequests:
    made = OpenRequests(limit, Patience(translation=1, longest=8, release=4, give_up=60))
    for kind in kinds:
        made.accept(kind, {"type": "x"}, 0)
    return made


def first(made: OpenRequests) -> Request:
    request = made.get(1)
    assert request is not None
    return request


def test_requests_are_numbered_from_one_and_open_until_settled() -> None:
    made = requests(Kind.CONFIGURATION, Kind.RESPONSE, Kind.CONFIGURATION)
    assert made.open(Kind.CONFIGURATION) == (1, 3)
    assert made.open(Kind.RESPONSE) == (2,)
    assert [request.seq for request in made.settle([3, 1, 9])] == [1, 3]
    assert made.open(Kind.CONFIGURATION) == ()
    assert made.last_seq == 3
    assert len(made) == 1


def test_a_full_requests_accepts_nothing_and_gives_no_number() -> None:
    made = requests(Kind.RESPONSE, limit=1)
    with pytest.raises(TooManyRequests):
        made.accept(Kind.RESPONSE, {}, 0)
    assert made.last_seq == 1
    made.settle([1])
    assert made.accept(Kind.RESPONSE, {}, 0).seq == 2


def test_what_is_on_its_way_is_not_waiting_until_it_is_returned() -> None:
    made = requests(Kind.RESPONSE, Kind.RESPONSE)
    made.send([1])
    assert made.waiting([1, 2, 7]) == (2,)
    made.return_([1, 7])
    assert made.waiting([1, 2]) == (1, 2)


def test_untranslated_requests_are_published_again_ever_more_rarely() -> None:
    made = requests(Kind.RESPONSE)
    made.published(1, 0)
    assert made.due(0.9, None) == []
    assert made.due(1.0, None) == [1]
    made.published(1, 1)
    assert made.due(2.9, None) == []
    assert made.due(3.0, None) == [1]
    for attempt in range(20):
        made.published(1, 10 + attempt)
    assert made.due(29 + 7.9, None) == []
    assert made.due(29 + 8, None) == [1], "the wait is bounded"


def test_translated_requests_are_published_again_only_while_a_free_turn_does_not_take_them() -> None:
    made = requests(Kind.RESPONSE)
    made.published(1, 0)
    first(made).translated = True
    assert made.due(1_000, None) == []
    assert made.due(103.9, free_since=100) == []
    assert made.due(104, free_since=100) == [1]


def test_what_is_on_its_way_is_neither_due_nor_overdue() -> None:
    made = requests(Kind.RESPONSE)
    made.send([1])
    assert made.due(1_000, 0) == made.overdue(1_000) == []
    assert made.due_at(0) == made.overdue_at() == NEVER


def test_the_client_is_told_when_nobody_takes_a_request_and_progress_of_the_turn_does_not_count() -> None:
    progress = 0.0
    made = OpenRequests(10, Patience(give_up=60), progress=lambda: progress)
    progress = 100.0
    made.accept(Kind.RESPONSE, {"type": "x"}, 0)
    assert made.overdue(59.9) == []
    assert made.overdue(60) == [1]
    first(made).translated = True
    assert made.overdue(60) == [1], "also while the slot is not free"
    progress = 130.0
    assert made.overdue(89.9) == []
    assert made.overdue(90) == [1]
    assert made.overdue_at() == 90


def test_when_something_is_due_is_known() -> None:
    made = requests(Kind.RESPONSE)
    made.published(1, 0)
    assert (made.due_at(None), made.overdue_at()) == (1, 60)
    first(made).translated = True
    assert made.due_at(None) == NEVER
    assert (made.due_at(10), made.overdue_at()) == (14, 60)
    assert OpenRequests(1).due_at(0) == OpenRequests(1).overdue_at() == NEVER


def test_a_response_answers_what_was_in_the_conversation_when_it_began() -> None:
    made = requests(Kind.RESPONSE, Kind.RESPONSE, Kind.RESPONSE, Kind.CONFIGURATION)
    for seq in (1, 2, 4):
        request = made.get(seq)
        assert request is not None
        request.translated = True
    first(made).unacknowledged = {"item_1"}
    third = made.get(3)
    assert third is not None
    third.items_known = True
    assert made.answerable() == [2, 3]
    assert made.owner_of_item("item_1") is made.get(1)
    assert made.acknowledge_item("item_1") is made.get(1)
    assert made.acknowledge_item("item_1") is None
    assert made.answerable() == [1, 2, 3]
    first(made).exclusive = True
    assert made.answerable() == [2, 3]


def test_publishing_what_was_settled_meanwhile_changes_nothing() -> None:
    made = requests(Kind.RESPONSE)
    made.settle([1])
    made.published(1, 5)
    assert made.get(1) is None
    assert list(made) == []
