"""The queue of what is to be published or written: each place once, asked of the newest source."""

from __future__ import annotations

from gateway.session.folding_queue import FoldingQueue


def _taken(queue: FoldingQueue[str, str]) -> list[tuple[str, str]]:
    taken = []
    while (one := queue.pop()) is not None:
        taken.append(one)
    return taken


async def test_a_place_is_kept_and_its_newest_source_asked() -> None:
    """A session leaves this gateway with something to publish, and is back before that is done."""
    queue: FoldingQueue[str, str] = FoldingQueue(10.0)
    queue.add("first", "left")
    queue.add("second", "other")
    queue.add("first", "back")
    queue.fold("second", "back")
    assert _taken(queue) == [("first", "back"), ("second", "back")]


async def test_what_is_put_back_gives_way_to_a_newer_source() -> None:
    queue: FoldingQueue[str, str] = FoldingQueue(10.0)
    queue.add("urgent", "left")
    queue.add("other", "left")
    queue.add("alone", "left")
    taken = _taken(queue)
    queue.add("urgent", "back")
    queue.fold("other", "back")
    for key, source in taken:
        queue.put_back(key, source)
    assert _taken(queue) == [("urgent", "back"), ("other", "back"), ("alone", "left")]


async def test_what_is_urgent_is_no_longer_folded() -> None:
    queue: FoldingQueue[str, str] = FoldingQueue(10.0)
    queue.fold("place", "one")
    assert queue.pop() is None
    queue.add("place", "two")
    assert len(queue) == 1
    assert _taken(queue) == [("place", "two")]
