"""A peer that does not take what there is for it: its session ends, with a name and a number, and holds no more than
it may until then."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import orjson
import pytest

from gateway.conversation.conversation import Conversation
from gateway.conversation.counters import Cut
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from gateway.session.session import Session
from gateway.session.upstream_side import Upstream
from gateway.sockets.send_queue import QueueLimits
from tests.unit.gateway.peers import Stuck

MOST = 10


class Silent:
    """A publisher to nobody."""

    def turn(self, source: object, *, urgent: bool) -> None: ...

    def client_event(self, source: object, seq: int) -> None: ...


class Scene:
    """A session that runs between these two."""

    def __init__(self, client: Stuck, upstream: Stuck, monkeypatch: pytest.MonkeyPatch, *, stall: float = 60) -> None:
        self.client, self.upstream = client, upstream
        self.conversation = Conversation("session-0001", "gw", AGENT, Limits(), time.monotonic())
        self.cuts = self.conversation.counters.cut
        # What a command means is not of interest here, but that commands come however little the peers take.
        monkeypatch.setattr(self.conversation, "command", self._command)
        self._told_to = "client"
        unused: Any = None
        self.session = Session(
            self.conversation,
            client,
            Upstream(self._dial, "ws://nowhere", 60, 60),
            cast(Any, Silent()),
            stall=stall,
            queue_limits=QueueLimits(MOST),
        )
        self.unused = unused

    def commands_for(self, peer: str, count: int) -> None:
        self._told_to = peer
        for _ in range(count):
            self.session.command(self.unused)

    def _command(self, command: object, now: float) -> None:
        out = self.conversation.context.out
        (out.to_client if self._told_to == "client" else out.to_upstream).append({"type": "Told"})

    async def _dial(self, until: float) -> Any:
        return self.upstream


def waiting(session: Session) -> tuple[int, int]:
    upstream = session._sending.upstream
    return len(session._sending.client.queue.waiting), 0 if upstream is None else len(upstream.queue.waiting)


async def test_a_client_for_which_too_much_waits_is_cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client, upstream = Stuck(), Stuck()
    scene = Scene(client, upstream, monkeypatch)
    running = asyncio.create_task(scene.session.run())
    await client.sending.wait()
    scene.commands_for("client", MOST)
    assert sum(scene.cuts.values()) == 0
    scene.commands_for("client", 3 * MOST)
    assert waiting(scene.session) == (MOST, 0)
    async with asyncio.timeout(30):
        await running
    assert client.was_cut == 1
    assert scene.cuts["client", Cut.OVERFLOWED] == 1
    assert sum(scene.cuts.values()) == 1


async def test_of_an_upstream_for_which_too_much_waits_the_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    client, upstream = Stuck(), Stuck('{"type":"session.created","session":{}}')
    client.go_on.set()
    scene = Scene(client, upstream, monkeypatch)
    running = asyncio.create_task(scene.session.run())
    await client.sending.wait()
    scene.commands_for("upstream", 1)
    await upstream.sending.wait()
    scene.commands_for("upstream", 3 * MOST)
    assert waiting(scene.session)[1] <= MOST
    async with asyncio.timeout(30):
        await running
    assert upstream.was_cut == 1
    assert scene.cuts["upstream", Cut.OVERFLOWED] == 1
    assert sum(scene.cuts.values()) == 1
    errors = [message["code"] for message in map(orjson.loads, client.taken) if message["type"] == "Error"]
    assert errors == ["upstream_stalled"], "and nothing of the connection that was then lost"
    assert client.closed_with == 1011


class Flooding(Stuck):
    """A client that always has one more message."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.go_on.set()

    async def recv(self, decode: bool | None = None) -> str | bytes:
        self.sent += 1
        return '{"type":"KeepAlive"}'


async def test_others_are_served_while_a_client_sends_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    client, upstream = Flooding(), Stuck('{"type":"session.created","session":{}}')
    scene = Scene(client, upstream, monkeypatch)
    running = asyncio.create_task(scene.session.run())
    most = last = 0
    while not running.done():
        await asyncio.sleep(0)
        most, last = max(most, client.sent - last), client.sent
    assert 0 < most <= 16
    assert client.closed_with == 1008
    errors = [message["code"] for message in map(orjson.loads, client.taken) if message["type"] == "Error"]
    assert errors[-1:] == ["TOO_MANY_MESSAGES"]
    assert 200 < client.sent <= 216


async def test_a_peer_that_is_owed_too_many_bytes_by_its_library_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    client, upstream = Stuck(), Stuck('{"type":"session.created","session":{}}')
    scene = Scene(client, upstream, monkeypatch)
    running = asyncio.create_task(scene.session.run())
    await client.sending.wait()
    client.unsent = 9_000_000
    assert scene.session.watch() >= 9_000_000
    async with asyncio.timeout(30):
        await running
    assert scene.cuts["client", Cut.OVERFLOWED] == 1


async def test_when_both_take_nothing_both_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    client, upstream = Stuck(), Stuck('{"type":"session.created","session":{}}')
    scene = Scene(client, upstream, monkeypatch, stall=0)
    running = asyncio.create_task(scene.session.run())
    await client.sending.wait()
    scene.commands_for("upstream", 1)
    async with asyncio.timeout(30):
        await upstream.sending.wait()
        while not (client.was_cut and upstream.was_cut):
            scene.session.watch()
            await asyncio.sleep(0)
        await running
    assert scene.cuts["client", Cut.STALLED] == scene.cuts["upstream", Cut.STALLED] == 1
