"""One direction of a session: how much may wait, and when its peer counts as stalled."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.sockets.send_queue import Lane
from tests.unit.gateway.peers import Stuck


def test_a_burst_is_taken_whole_and_nothing_more_once_the_limit_waits() -> None:
    lane = Lane(lambda: 0.0, most=2)
    assert lane.add([{"n": n} for n in range(5)])
    assert not lane.add([{"n": 5}])
    assert [message["n"] for message in lane.waiting] == [0, 1, 2, 3, 4]
    assert lane.add([]), "nothing needs no room"


async def test_a_peer_is_stalled_only_while_something_is_sent_that_it_does_not_take() -> None:
    now = 0.0
    lane, peer = Lane(lambda: now, most=2), Stuck()
    assert not lane.stalled(1)
    sending = asyncio.create_task(lane.send(peer, b"", text=False))
    await peer.sending.wait()
    now = 1.0
    assert not lane.stalled(1)
    now = 1.1
    assert lane.stalled(1)
    peer.go_on.set()
    await sending
    assert not lane.stalled(1)


async def test_what_waits_leaves_in_order_whoever_flushes() -> None:
    lane, peer = Lane(lambda: 0.0, most=100), Stuck()
    lane.add([{"n": 0}, {"n": 1}])
    flushing: list[asyncio.Task[Any]] = [asyncio.create_task(lane.flush(peer)) for _ in range(2)]
    await peer.sending.wait()
    lane.add([{"n": 2}])
    peer.go_on.set()
    await asyncio.gather(*flushing)
    assert peer.taken == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
