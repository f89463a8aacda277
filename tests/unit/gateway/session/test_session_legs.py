"""The connections of a session that are exchanged: neither side is held up by one that does not close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson
import pybase64

from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from gateway.session.client_side import Parking
from gateway.session.session import Session
from gateway.session.upstream_side import Upstream
from gateway.sockets.interface import ConnectionClosed
from gateway.sockets.send_queue import QueueLimits
from tests.integration.services import until
from tests.unit.gateway.bench import SETTINGS, effective
from turngate.protocol.messages import AddItems, Configuration, ResponseRequest, SendRelease

#: The next connection is opened at once.
LIMITS = Limits(reconnect=30.0, rollover=0.001)


class Peer:
    """A socket that does not answer a close frame before it `answers`."""

    direct: Any = None
    open = True
    unread = unsent = 0
    on_mark: Any = None

    def __init__(self) -> None:
        self.says = asyncio.Queue[str]()
        self.told: list[Any] = []
        self.marks: list[bytes] = []
        self.closed_with: int | None = None
        self.answers = asyncio.Event()

    async def recv(self, decode: bool | None = None) -> str:
        frame = await self.says.get()
        if frame == "the end":
            raise ConnectionClosed(1006, "")
        return frame

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        self.told.append(orjson.loads(message) if text else message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = code
        await self.answers.wait()

    async def cut(self) -> None: ...

    def mark(self, mark: bytes) -> None:
        self.marks.append(mark)

    def event(self, kind: str, **fields: Any) -> None:
        self.says.put_nowait(orjson.dumps({"type": kind, **fields}).decode())

    def types(self) -> list[str]:
        return [message["type"] for message in self.told if isinstance(message, dict)]


class DirectPeer(Peer):
    """One that gives access without its queue, which is empty."""

    idle = True
    blocked = False
    on_message: Callable[[bytes], bool] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.direct = self

    def post(self, message: bytes, *, text: bool) -> None:
        self.told.append(orjson.loads(message) if text else message)

    def post_audio(self, message: bytes) -> None:
        self.told.append(message)

    def brings(self, frame: bytes) -> None:
        if self.on_message is None or not self.on_message(frame):
            self.says.put_nowait(frame.decode())


class Scene:
    """A session between a client and upstreams that are opened one after the other."""

    def __init__(self, kind: type[Peer]) -> None:
        self.client = kind()
        self._kind = kind
        self.returned: list[Peer] = []
        self.dialled: list[Peer] = []
        now = asyncio.get_running_loop().time
        conversation = Conversation("session-0001", "gw", AGENT, LIMITS, now(), resumable=True)
        publisher: Any = type("Publisher", (), {"turn": lambda *_, **__: None, "client_event": lambda *_: None})()
        client: Any = self.client
        self.session = Session(
            conversation,
            client,
            Upstream(self._dial, "ws://nowhere", 60, 60),
            publisher,
            stall=60,
            queue_limits=QueueLimits(100),
            clock=now,
            parking=Parking(60),
        )

    async def _dial(self, until: float) -> Any:
        peer = self._kind()
        self.dialled.append(peer)
        peer.event("session.created", session={})
        return peer

    async def configure(self) -> None:
        """Apply the client's Settings, on the first connection to the upstream."""
        self.client.says.put_nowait(orjson.dumps(SETTINGS).decode())
        await until(lambda: _is(self.session.conversation.context.requests.last_seq == 1))
        await until(lambda: _is(self.session.conversation.connected))
        release = SendRelease(session="s", release="r", configuration=Configuration(session={}), configures=(1,))
        self.session.command(AddItems(session="s", seq=1, items=()))
        self.session.command(release)
        self.dialled[0].event("session.updated", session=effective())
        await until(lambda: _is("SettingsApplied" in self.client.types()))


async def _is(fact: object) -> object:
    await asyncio.sleep(0)
    return fact


@asynccontextmanager
async def configured(kind: type[Peer] = Peer) -> AsyncIterator[Scene]:
    """A session whose first Settings are applied."""
    scene = Scene(kind)
    running = asyncio.create_task(scene.session.run())
    try:
        await scene.configure()
        yield scene
    finally:
        for peer in (scene.client, *scene.returned, *scene.dialled):
            peer.answers.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_connection_that_takes_anothers_place_is_read_from_then_on() -> None:
    """Also what it sends before the one before has answered its close frame, and also its end."""
    async with configured() as scene:
        await until(lambda: _is(len(scene.dialled) == 2))
        first, second = scene.dialled
        await until(lambda: _is(second.types() == ["session.update"]))
        second.event("session.updated", session=effective())
        await until(lambda: _is(first.closed_with is not None))
        second.event("response.created", response={"id": "resp_1", "conversation_id": "conv_1"})
        await until(lambda: _is("AgentThinking" in scene.client.types()))
        second.says.put_nowait("the end")
        await until(lambda: _is(len(scene.dialled) > 2))


async def test_a_client_that_returns_is_read_although_the_connection_before_is_half_open() -> None:
    async with configured() as scene:
        scene.returned.append(back := Peer())
        scene.session.attach(cast(Any, back), {"type": "Welcome"}, None)
        await until(lambda: _is(scene.client.closed_with == 1008))
        back.says.put_nowait('{"type": "no such message"}')
        await until(lambda: _is("Error" in back.types()))
        assert back.types()[0] == "Welcome"
        scene.client.says.put_nowait('{"type": "no such message"}')
        scene.client.says.put_nowait('{"type": "no such message"}')
        await until(lambda: _is(scene.client.says.qsize() == 1))
        assert "Error" not in scene.client.types()
        assert back.types().count("Error") == 1


async def test_audio_that_comes_when_a_client_returns_goes_behind_its_welcome() -> None:
    pieces = [bytes([number]) * 960 for number in range(3)]
    part = {"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_1"}
    frames = [orjson.dumps({**part, "delta": pybase64.b64encode_as_string(piece)}) for piece in pieces]
    async with configured(DirectPeer) as scene:
        upstream, back = cast(DirectPeer, scene.dialled[0]), DirectPeer()
        upstream.event("response.created", response={"id": "resp_1", "conversation_id": "conv_1"})
        await until(lambda: _is("AgentThinking" in scene.client.types()))
        upstream.brings(frames[0])
        await until(lambda: _is(pieces[0] in scene.client.told))
        scene.returned.append(back)
        scene.session.attach(cast(Any, back), {"type": "Welcome"}, None)
        # Before the task that sends what is queued has run.
        upstream.brings(frames[1])
        await until(lambda: _is(pieces[1] in back.told))
        upstream.brings(frames[2])
        # An acknowledgement whose arrival is unknown is sent again.
        assert back.told == [{"type": "Welcome"}, {"type": "SettingsApplied"}, *pieces[1:]]


async def test_a_command_is_carried_out_before_the_audio_that_waits() -> None:
    """It is on the wire when `command` returns; a peer that does not read gets it from the task that waits for it."""
    async with configured(DirectPeer) as scene:
        upstream = cast(DirectPeer, scene.dialled[0])
        release = SendRelease(session="s", release="r2", response=ResponseRequest(), responds=(2,))
        scene.client.says.put_nowait('{"type": "InjectUserMessage", "content": "hello"}')
        await until(lambda: _is(scene.session.conversation.context.requests.last_seq == 2))
        scene.session.command(AddItems(session="s", seq=2, items=()))
        before = upstream.types().count("response.create")
        scene.session.command(release)
        assert (before, upstream.types().count("response.create")) == (0, 1)


async def test_a_session_that_another_gateway_goes_on_with_is_silent() -> None:
    async with configured(DirectPeer) as scene:
        scene.client.told.clear()
        scene.client.on_mark(scene.client.marks[-1])
        marks = list(scene.client.marks)
        scene.session._sending.silence()
        # The end of a reply: whoever sends that asks whether it has arrived.
        reply, now = {"id": "resp_1", "conversation_id": "conv_1"}, asyncio.get_running_loop().time()
        scene.session.conversation.upstream_event({"type": "response.created", "response": reply}, now)
        done = {"type": "response.done", "response": {**reply, "status": "completed", "output": []}}
        scene.session.conversation.upstream_event(done, now)
        scene.session.command(AddItems(session="s", seq=9, items=()))
        assert (scene.client.told, scene.client.marks) == ([], marks)


async def test_a_peer_that_does_not_read_is_not_written_to_at_once() -> None:
    async with configured(DirectPeer) as scene:
        upstream = cast(DirectPeer, scene.dialled[0])
        upstream.blocked = True
        scene.session.go_away()
        assert "Error" in scene.client.types(), "the other one is"
        scene.client.told.clear()
        cast(DirectPeer, scene.client).blocked = True
        scene.session.fail(RuntimeError("a defect"))
        assert scene.client.told == []
        await until(lambda: _is("Error" in scene.client.types()))
