"""One direction of a session: how much may wait, and when its peer counts as stalled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.sockets.send_queue import QueueLimits, SendQueue
from tests.unit.gateway.peers import Stuck


def test_a_burst_is_taken_whole_and_nothing_more_once_the_limit_waits() -> None:
    queue = SendQueue(lambda: 0.0, QueueLimits(2))
    assert queue.add([{"n": n} for n in range(5)])
    assert not queue.add([{"n": 5}])
    assert list(queue.waiting) == [(b'{"n":%d}' % n, True) for n in range(5)]
    assert queue.add([]), "nothing needs no room"


async def test_what_waits_is_bounded_in_bytes_too() -> None:
    queue, peer = SendQueue(lambda: 0.0, QueueLimits(frames=100, bytes=1_000)), Stuck()
    assert queue.add([bytes(600)])
    assert queue.add([{"text": "ü" * 300}]), "a burst is taken whole"
    assert queue.bytes == 600 + 2 * 300 + len('{"text":""}')
    assert not queue.add([b"more"])
    peer.go_on.set()
    await queue.flush(peer)
    assert queue.bytes == 0
    assert queue.add([b"more"])


async def test_a_peer_is_stalled_only_while_something_is_sent_that_it_does_not_take() -> None:
    now = 0.0
    queue, peer = SendQueue(lambda: now, QueueLimits(2)), Stuck()
    assert not queue.stalled(1)
    sending = asyncio.create_task(queue.send(peer, b"", text=False))
    await peer.sending.wait()
    now = 1.0
    assert not queue.stalled(1)
    now = 1.1
    assert queue.stalled(1)
    peer.go_on.set()
    await sending
    assert not queue.stalled(1)


async def test_what_waits_leaves_in_order_whoever_flushes() -> None:
    queue, peer = SendQueue(lambda: 0.0, QueueLimits(100)), Stuck()
    queue.add([{"n": 0}, {"n": 1}])
    flushing: list[asyncio.Task[Any]] = [asyncio.create_task(queue.flush(peer)) for _ in range(2)]
    await peer.sending.wait()
    queue.add([{"n": 2}])
    peer.go_on.set()
    await asyncio.gather(*flushing)
    assert peer.taken == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


async def test_what_is_repeated_stays_behind_when_another_connection_takes_over() -> None:
    first, second, peer = (
        SendQueue(lambda: 0.0, QueueLimits(100)),
        SendQueue(lambda: 0.0, QueueLimits(100)),
        Stuck(),
    )
    first.repeat([{"type": "Welcome"}, {"missed": 1}, {"missed": 2}])
    first.add([{"new": 1}, bytes(10)])
    assert (first.repeats, first.texts) == (3, 1)
    sending = asyncio.create_task(first.flush(peer))
    await peer.sending.wait()
    sending.cancel()
    assert (first.repeats, first.texts) == (2, 1), "Welcome is sent"
    second.repeat([{"type": "Welcome"}])
    second.take_over(first)
    assert [payload for payload, _ in second.waiting] == [b'{"type":"Welcome"}', b'{"new":1}', bytes(10)]
    assert second.bytes == sum(len(payload) for payload, _ in second.waiting)
    assert not first.waiting
    assert first.repeats == first.bytes == 0


class Direct:
    """A peer whose write buffer is full after ``room`` messages."""

    idle = True
    on_message: Callable[[bytes], bool] | None = None

    def __init__(self, room: int) -> None:
        self._room = room
        self.posted: list[tuple[bytes, bool]] = []

    @property
    def blocked(self) -> bool:
        return len(self.posted) >= self._room

    def post_audio(self, message: bytes) -> None:
        raise AssertionError("what is queued is posted as text or binary")

    def post(self, message: bytes, *, text: bool) -> None:
        self.posted.append((message, text))


def test_what_can_be_sent_at_once_is_and_the_rest_stays_in_order() -> None:
    queue, peer = SendQueue(lambda: 0.0, QueueLimits(100)), Direct(room=2)
    queue.repeat([{"type": "Welcome"}])
    queue.add([bytes(10), {"n": 2}, {"n": 3}])
    queue.post(peer)
    assert peer.posted == [(b'{"type":"Welcome"}', True), (bytes(10), False)]
    assert (queue.bytes, queue.repeats, queue.texts) == (2 * len(b'{"n":2}'), 0, 2)
    queue.post(peer)
    assert [payload for payload, _ in queue.waiting] == [b'{"n":2}', b'{"n":3}']


async def test_nothing_overtakes_what_is_being_sent() -> None:
    queue, slow, fast = SendQueue(lambda: 0.0, QueueLimits(100)), Stuck(), Direct(room=100)
    queue.add([{"n": 0}, {"n": 1}])
    flushing = asyncio.create_task(queue.flush(slow))
    await slow.sending.wait()
    queue.add([{"n": 2}])
    queue.post(fast)
    assert fast.posted == []
    slow.go_on.set()
    await flushing
    assert slow.taken == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
