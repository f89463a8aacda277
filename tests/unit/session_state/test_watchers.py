"""What waits for those who watch sessions, and what is lost."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from session_state.watchers import Event, TooManyWatchersError, Watcher, Watchers


def event(number: int) -> Event:
    return "session", b"%d" % number


async def taken(watcher: Watcher) -> list[Event] | None:
    async with asyncio.timeout(5):
        return await watcher.events()


async def test_a_watcher_of_a_session_gets_its_events_and_one_of_all_gets_what_is_for_all() -> None:
    watchers = Watchers(2)
    with watchers.watching("s") as one, watchers.watching(None) as everything:
        watchers.offer("s", lambda: event(1))
        watchers.offer(None, lambda: event(2))
        assert await taken(one) == [event(1)]
        assert await taken(everything) == [event(2)]


async def test_an_event_is_made_once_and_only_if_somebody_watches() -> None:
    watchers, made = Watchers(2), []

    def make() -> Event:
        made.append(1)
        return event(1)

    with watchers.watching("s"), watchers.watching("s"):
        watchers.offer("other", make)
        assert made == []
        watchers.offer("s", make)
        assert made == [1]


async def test_a_slow_watcher_loses_the_oldest_and_is_told_how_many() -> None:
    watchers = Watchers(1, waiting_max=2)
    with watchers.watching("s") as slow:
        for number in range(5):
            watchers.offer("s", partial(event, number))
        assert await taken(slow) == [("lost", b'{"events":3}'), event(3), event(4)]
        watchers.offer("s", lambda: event(5))
        assert await taken(slow) == [event(5)]


async def test_what_waits_for_a_slow_watcher_is_limited_in_bytes() -> None:
    watchers = Watchers(1, waiting_max_bytes=100)
    with watchers.watching("s") as slow:
        for _ in range(2):
            for size in (40, 40, 20, 41):
                watchers.offer("s", lambda size=size: ("session", bytes(size)))  # type: ignore[misc]
            found = await taken(slow)
            assert found is not None
            assert [(name, len(data)) for name, data in found[1:]] == [("session", 20), ("session", 41)]
            assert found[0] == ("lost", b'{"events":2}')
        watchers.offer("s", lambda: ("session", bytes(1_000)))
        assert await taken(slow) == [("session", bytes(1_000))]


async def test_a_lost_connection_is_told_to_those_who_watch() -> None:
    watchers = Watchers(1)
    with watchers.watching(None) as watcher:
        watchers.gap()
        assert await taken(watcher) == [("lost", b'{"events":null}')]


def test_there_is_a_limit_and_who_leaves_makes_room() -> None:
    watchers = Watchers(1)
    with (
        watchers.watching("s"),
        pytest.raises(TooManyWatchersError, match="TURNGATE_WATCHERS_MAX"),
        watchers.watching("s"),
    ):
        pass
    assert not watchers.some.is_set()
    with watchers.watching("s"):
        assert watchers.watched == {"s"}
        assert watchers.some.is_set()


async def test_the_end_of_the_process_ends_those_who_watch_and_those_who_come() -> None:
    watchers = Watchers(2)
    with watchers.watching("s") as before:
        watchers.end()
        with watchers.watching("s") as after:
            assert [await taken(before), await taken(after)] == [None, None]


async def test_of_several_servers_some_may_be_heard_and_one_that_is_lost_is_told() -> None:
    watchers = Watchers(2, ["one", "two"])
    with watchers.watching(None) as first:
        assert (first.some.is_set(), watchers.unheard(first)) == (False, ["one", "two"])
        watchers.subscribed(None, "one")
        watchers.subscribed("s", "two")
        assert (first.some.is_set(), first.subscribed.is_set(), watchers.unheard(first)) == (True, False, ["two"])
        watchers.subscribed(None, "two")
        assert first.subscribed.is_set()
        with watchers.watching(None) as second:
            assert second.subscribed.is_set()
        watchers.gap("one")
        assert await taken(first) == [("lost", b'{"events":null}')]
        assert watchers.unheard(first) == ["one"]
        watchers.subscribed(None, "one")
        watchers.subscribed(None, "two")
        assert await taken(first) == [("lost", b'{"events":null}')], "the second was connected to again"
