"""The shell of one conversation: two sockets, and the order in which things leave.

Everything is decided by `gateway.conversation`. What it puts out enters one queue per direction at once, and whoever
flushes sends from the front: so the order of decisions is the order on the wire, whichever task made them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pybase64
import structlog
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from contracts.agent import events
from contracts.broker import Command
from contracts.realtime import append_audio
from gateway.conversation import Conversation, Ending, UpstreamProblem
from gateway.publisher import Publisher
from gateway.upstream import UpstreamUnavailable, closed, may_redial, unreachable

log = structlog.get_logger(__name__)

#: The second is its name before the API was generally available; some servers still use it.
_AUDIO_DELTAS = ("response.output_audio.delta", "response.audio.delta")
_AUDIO_DONE = ("response.output_audio.done", "response.audio.done")
#: Seconds before an upstream that closed before the session began is dialled again.
_REDIAL_PAUSE = 0.1


class Session:
    """One client, one upstream, one conversation. `run` it; hand it commands and ticks meanwhile."""

    def __init__(
        self,
        conversation: Conversation,
        client: ServerConnection,
        dial: Callable[[], Awaitable[ClientConnection]],
        publisher: Publisher,
        *,
        upstream_url: str,
        connect_timeout: float,
        stall: float,
        early_audio_max: int,
        clock: Callable[[], float],
    ) -> None:
        """Times in seconds; ``clock`` is monotonic."""
        self.conversation = conversation
        self._client = client
        self._dial = dial
        self._publisher = publisher
        self._upstream_url = upstream_url
        self._connect_timeout = connect_timeout
        self._stall = stall
        self._early_audio_max = early_audio_max
        self._clock = clock
        self._upstream: ClientConnection | None = None
        self._early_audio = bytearray()
        self._to_upstream = _Lane()
        self._to_client = _Lane()
        self._ending: Ending | None = None
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Serve the client until either side is gone. Returns when both sockets are closed or closing."""
        conversation = self.conversation
        conversation.tell(events.welcome(conversation.session))
        tasks = [
            asyncio.create_task(part()) for part in (self._read_client, self._serve_upstream, self._flush_when_woken)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, ConnectionClosed):
                    self.fail(result)
            conversation.closed(self._clock())
            await self._close()

    def command(self, command: Command) -> None:
        """A translator's command for this session; returns at once."""
        self.conversation.command(command, self._clock())
        self._woken.set()

    def tick(self, now: float) -> None:
        """Let time pass; returns at once."""
        if self.conversation.deadline() <= now:
            self.conversation.tick(now)
            self._woken.set()
        for name, lane, socket in (
            ("client", self._to_client, self._client),
            ("upstream", self._to_upstream, self._upstream),
        ):
            if socket is not None and lane.stalled(now, self._stall):
                log.warning("stalled", session=self.conversation.session, peer=name)
                socket.transport.abort()

    def go_away(self) -> None:
        """The server stops: tell the client, which may connect again elsewhere."""
        self.conversation.tell_error("SERVER_GOING_AWAY", "The server is shutting down; connect again.")
        self.conversation.end(1012, "SERVER_GOING_AWAY")
        self._woken.set()

    def fail(self, error: Exception) -> None:
        """A defect of ours: it ends this session, with a code, and no other."""
        log.error("session_failed", session=self.conversation.session, exc_info=error)
        self.conversation.tell_error("INTERNAL_SERVER_ERROR", "The session failed; connect again.")
        self.conversation.end(1011, "INTERNAL_SERVER_ERROR")
        self._woken.set()

    # --- the client's socket

    async def _read_client(self) -> None:
        await self._flush()
        conversation = self.conversation
        while True:
            frame = await self._client.recv()
            if isinstance(frame, str):
                conversation.client_text(frame.encode(), self._clock())
                await self._flush()
            elif (pcm := conversation.client_audio(frame, self._clock())) is None:
                await self._flush()
            elif not conversation.configured:
                self._keep_early(pcm)
            elif pcm:
                await self._send_early_audio()
                await self._append(pcm)

    def _keep_early(self, pcm: bytes) -> None:
        self._early_audio += pcm
        excess = len(self._early_audio) - self._early_audio_max
        if excess > 0:
            del self._early_audio[: excess + excess % 2]
            self.conversation.tell_once(
                events.warning(
                    "AUDIO_DROPPED", "Audio came long before the session was configured; the oldest was dropped."
                )
            )
            self._woken.set()

    async def _send_early_audio(self) -> None:
        if self._early_audio and self.conversation.configured:
            early, self._early_audio = bytes(self._early_audio), bytearray()
            await self._append(early)

    async def _append(self, pcm: bytes) -> None:
        if self._upstream is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._to_upstream.direct(self._upstream, append_audio(pcm), self._clock, text=True)

    # --- the upstream's socket

    async def _serve_upstream(self) -> None:
        problem = await self._until_upstream_ends()
        self.conversation.upstream_closed(problem, self._clock())
        await self._flush()

    async def _until_upstream_ends(self) -> UpstreamProblem:
        try:
            async with asyncio.timeout(self._connect_timeout) as patience:
                while True:
                    said: list[tuple[str, str]] = []
                    self._upstream = await self._dial()
                    error = await self._read_upstream(self._upstream, patience, said)
                    named = said[-1] if said else None
                    if self.conversation.connected or not may_redial(error, named):
                        return closed(error, named)
                    await asyncio.sleep(_REDIAL_PAUSE)
        except UpstreamUnavailable as unavailable:
            return unavailable.problem
        except TimeoutError:
            return unreachable(self._upstream_url)

    async def _read_upstream(
        self, upstream: ClientConnection, patience: asyncio.Timeout, said: list[tuple[str, str]]
    ) -> ConnectionClosed:
        """Carry everything until the upstream closes; ``said`` gets the errors that come before the session begins."""
        conversation, clock = self.conversation, self._clock
        while True:
            try:
                frame = await upstream.recv(decode=False)
            except ConnectionClosed as error:
                return error
            try:
                data = orjson.loads(frame)
                kind = data["type"]
                if kind in _AUDIO_DELTAS:
                    response_id, item_id = data["response_id"], data["item_id"]
                    pcm = pybase64.b64decode(data["delta"], validate=True)
            except (ValueError, TypeError, KeyError):
                conversation.counters.malformed_events += 1
                continue
            if kind in _AUDIO_DELTAS:
                await self._forward_audio(response_id, item_id, pcm)
                continue
            if not conversation.connected:
                if kind == "error":
                    reason = data.get("error") or {}
                    said.append((reason.get("code") or "upstream_refused", reason.get("message") or "no reason given"))
                    continue
                if kind == "session.created":
                    patience.reschedule(None)
            if kind in _AUDIO_DONE and (tail := conversation.downlink.audio_tail(str(data.get("response_id")))):
                await self._to_client.direct(self._client, tail, clock, text=False)
            conversation.upstream_event(data, clock())
            await self._flush()

    async def _forward_audio(self, response_id: str, item_id: str, audio: bytes) -> None:
        before = self.conversation.downlink.audio(response_id, item_id, self._clock())
        if before is None:
            return
        if before:
            self.conversation.tell(*before)
            await self._flush()
        downlink = self.conversation.downlink
        frame = downlink.voice.feed(response_id, audio)
        downlink.playback.forwarded(item_id, downlink.voice.milliseconds(audio), self._clock())
        if frame:
            await self._to_client.direct(self._client, frame, self._clock, text=False)

    # --- putting out

    async def _flush_when_woken(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._flush()

    def _hand_over(self) -> None:
        """Everything the conversation put out enters its queue, in this very instant."""
        out = self.conversation.drain()
        self._to_upstream.add(out.to_upstream)
        self._to_client.add(out.to_client)
        for seq in out.to_publish:
            self._publisher.client_event(self.conversation, seq)
        if out.turn_changed:
            self._publisher.turn(self.conversation)
        self._ending = self._ending or out.ending

    async def _flush(self) -> None:
        self._hand_over()
        if self._upstream is not None:
            # When it is closed, whoever reads it notices and says why.
            with contextlib.suppress(ConnectionClosed):
                await self._to_upstream.flush(self._upstream, self._clock)
            await self._send_early_audio()
        await self._to_client.flush(self._client, self._clock)
        if self._ending is not None:
            await self._client.close(self._ending.code, self._ending.reason)

    async def _close(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._flush()
        if self._upstream is not None:
            await self._upstream.close()
        await self._client.close(1000 if self._ending is None else self._ending.code)


class _Lane:
    """One direction: a queue, sent from the front by whoever flushes, and since when its socket takes nothing."""

    __slots__ = ("_lock", "_since", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[dict[str, Any]] = deque()
        self._lock = asyncio.Lock()
        self._since: float | None = None

    def add(self, messages: list[dict[str, Any]]) -> None:
        self.waiting.extend(messages)

    async def flush(self, socket: Connection, clock: Callable[[], float]) -> None:
        if not self.waiting:
            return
        async with self._lock:
            while self.waiting:
                self._since = clock()
                await socket.send(orjson.dumps(self.waiting.popleft()), text=True)
            self._since = None

    async def direct(self, socket: Connection, frame: bytes, clock: Callable[[], float], *, text: bool) -> None:
        """Send one frame now, past the queue: for audio, whose order among messages its caller keeps."""
        self._since = clock()
        await socket.send(frame, text=text)
        self._since = None

    def stalled(self, now: float, limit: float) -> bool:
        return self._since is not None and now - self._since > limit
