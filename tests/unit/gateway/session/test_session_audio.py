"""The agent's audio on the client's socket: what must not follow an interruption, and how large a message may be."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pybase64

from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from gateway.session.session import Session
from gateway.session.upstream_side import Upstream
from gateway.sockets.send_queue import QueueLimits
from tests.unit.gateway.bench import SETTINGS

#: What clients' libraries take at most by default.
LARGEST_MESSAGE = 1024 * 1024
INTERRUPTION = orjson.dumps({"type": "InjectAgentMessage", "message": "Stop.", "behavior": "interrupt"}).decode()


class Peer:
    """A socket: it says what it is told to, and keeps what it is sent, if need be not before it is `taking`."""

    def __init__(self) -> None:
        self.says = asyncio.Queue[str | bytes]()
        self.told: list[bytes | str] = []
        self.arrived = asyncio.Condition()
        self.taking = asyncio.Event()
        self.taking.set()

    async def recv(self, decode: bool | None = None) -> str | bytes:
        return await self.says.get()

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        kind = orjson.loads(message)["type"] if text else message
        self.told.append(kind)
        async with self.arrived:
            self.arrived.notify_all()
        await self.taking.wait()

    async def until(self, what: Any) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: what in self.told)

    direct = None
    open = True
    unread = unsent = 0

    async def cut(self) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        pass

    def event(self, kind: str, **fields: Any) -> None:
        self.says.put_nowait(orjson.dumps({"type": kind, **fields}))

    def audio(self, pcm: bytes) -> None:
        part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        self.event("response.output_audio.delta", **part, delta=pybase64.b64encode_as_string(pcm))


class Line:
    """A session that is configured and in a reply, between two peers."""

    def __init__(self, settings: dict[str, Any] = SETTINGS) -> None:
        self.client, self.upstream = Peer(), Peer()
        self._settings = settings
        conversation = Conversation("session-0001", "gw", AGENT, Limits(), asyncio.get_running_loop().time())
        publisher: Any = type("Publisher", (), {"turn": lambda *_, **__: None, "client_event": lambda *_: None})()
        client: Any = self.client

        async def dial(until: float) -> Any:
            return self.upstream

        session = Session(
            conversation,
            client,
            Upstream(dial, "ws://nowhere", 60, 60),
            publisher,
            stall=60,
            queue_limits=QueueLimits(100),
        )
        self._running = asyncio.create_task(session.run())

    async def __aenter__(self) -> Line:
        self.upstream.event("session.created", session={})
        self.client.says.put_nowait(orjson.dumps(self._settings).decode())
        self.upstream.event("response.created", response={"id": "resp_1", "conversation_id": "conv_1"})
        await self.client.until("AgentThinking")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.taking.set()
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


async def test_nothing_of_a_reply_follows_its_end() -> None:
    """Also not a piece that was waiting for the messages before it to be sent when somebody spoke over the reply."""
    async with asyncio.timeout(30), Line() as line:
        line.client.taking.clear()
        line.upstream.audio(bytes(960))
        # The first of what goes before the audio.
        await line.client.until("LatencyReport")
        line.client.says.put_nowait(INTERRUPTION)
        # Its reader has taken that when it is back for more.
        while not line.client.says.empty():
            await asyncio.sleep(0)
        line.client.taking.set()
        await line.client.until("AgentAudioDone")
        line.upstream.event("response.done", response={"id": "resp_1", "status": "cancelled", "conversation_id": "c"})
        line.upstream.event("response.created", response={"id": "resp_2", "conversation_id": "conv_1"})
        await line.client.until("AgentThinking")
        line.upstream.audio(bytes(960))
        line.upstream.event("response.done", response={"id": "resp_2", "status": "completed", "conversation_id": "c"})
        while not line.upstream.says.empty():
            await asyncio.sleep(0)
        told = line.client.told[: line.client.told.index("AgentAudioDone")]
        assert [kind for kind in line.client.told if isinstance(kind, bytes)] == [
            kind for kind in told if isinstance(kind, bytes)
        ]


async def test_audio_that_came_at_once_goes_in_messages_that_every_client_takes() -> None:
    """Row "agent: user turn end"."""
    audio = {"input": SETTINGS["audio"]["input"], "output": {"encoding": "linear16", "sample_rate": 48_000}}
    async with asyncio.timeout(30), Line({**SETTINGS, "audio": audio}) as line:
        # 30 seconds.
        line.upstream.audio(bytes(2 * 24_000 * 30))
        part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        line.upstream.event("response.output_audio.done", **part)
        line.upstream.event("response.done", response={"id": "resp_1", "status": "completed", "conversation_id": "c"})
        await line.client.until("AgentAudioDone")
        frames = [kind for kind in line.client.told if isinstance(kind, bytes)]
        assert sum(map(len, frames)) == 2 * 48_000 * 30
        assert max(map(len, frames)) < LARGEST_MESSAGE
