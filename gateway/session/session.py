"""The shell of one conversation: two sockets, a timer, and the order in which things leave.

Everything is decided by `gateway.conversation`. What it puts out enters one queue per direction at once, and whoever
flushes sends from the front: so the order of decisions is the order on the wire, whichever task made them.

Audio passes here for every session fifty times a second in each direction, so what is on its way is kept short.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import orjson
import pybase64
import structlog

from gateway.conversation.conversation import NEVER, Conversation, Ending, UpstreamProblem
from gateway.conversation.counters import Cut, Peer
from gateway.session.dialler import UpstreamUnavailable, closed, may_redial, stalled, unreachable
from gateway.session.fast_path import FastPath
from gateway.session.publisher import Publisher
from gateway.sockets.interface import Closed, Engine, Socket, fitting
from gateway.sockets.send_queue import SendQueue
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Command
from turngate.protocol.openai.client_events import append_audio

log = structlog.get_logger(__name__)

#: The second is its name before the API was generally available; some servers still use it.
_AUDIO_DELTAS = ("response.output_audio.delta", "response.audio.delta")
_AUDIO_DONE = ("response.output_audio.done", "response.audio.done")
#: Of the agent's audio in one message, as the upstream gave it. The client's rate may double it, and many libraries
#: take no more than 1 MiB.
_AUDIO_MAX_BYTES = 256 * 1024
#: Seconds before an upstream that closed before the session began is dialled again.
_REDIAL_PAUSE = 0.1
#: Seconds between two ticks of a session, at least.
_LEAST_PAUSE = 0.05


class Session:
    """One client, one upstream, one conversation. `run` it; hand it commands meanwhile, and `watch` it."""

    def __init__(
        self,
        conversation: Conversation,
        client: Socket,
        dial: Callable[[], Awaitable[Socket]],
        publisher: Publisher,
        *,
        engine: Engine,
        upstream_url: str,
        connect_timeout: float,
        stall: float,
        messages_max: int,
        early_audio_max: int,
    ) -> None:
        """Times in seconds; ``engine`` is the one that both sockets are of. ``messages_max`` may wait for each peer."""
        self.conversation = conversation
        self._client = client
        self._dial = dial
        self._publisher = publisher
        self._engine = engine
        self._upstream_url = upstream_url
        self._connect_timeout = connect_timeout
        self._stall = stall
        self._early_audio_max = early_audio_max
        self._upstream: Socket | None = None
        self._early_audio = bytearray()
        self._to_upstream = SendQueue(monotonic, messages_max)
        self._to_client = SendQueue(monotonic, messages_max)
        self._fast_path = FastPath(conversation, engine.wire(client), self._wake, self.fail)
        self._ending: Ending | None = None
        self._woken = asyncio.Event()
        #: Ticks the conversation at its next deadline, which may have moved to later meanwhile.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._given_up: set[Peer] = set()
        self._cuts: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve the client until either side is gone or the conversation ends. Returns when both sockets are closed."""
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
                if isinstance(result, Exception) and not isinstance(result, Closed):
                    self.fail(result)
            conversation.closed(monotonic())
            await self._close()

    def command(self, command: Command) -> None:
        """A translator's command for this session; returns at once."""
        try:
            self.conversation.command(command, monotonic())
        except Exception as error:
            # A defect that shows in one session must not reach those that share its reader.
            self.fail(error)
        else:
            self._wake()

    def watch(self) -> None:
        """Cut a peer that has taken nothing for too long; to be called now and then."""
        if self._to_client.stalled(self._stall):
            self._give_up("client", Cut.STALLED)
        if self._to_upstream.stalled(self._stall):
            self._give_up("upstream", Cut.STALLED)

    def cut(self) -> None:
        """End the session at once, whatever is still to be sent."""
        for peer in (self._client, self._upstream):
            if peer is not None:
                self._cut(peer)

    def go_away(self) -> None:
        """The server stops: tell the client, which may connect again elsewhere."""
        self.conversation.tell_error("SERVER_GOING_AWAY", "The server is shutting down; connect again.")
        self.conversation.end(1012, "SERVER_GOING_AWAY")
        self._wake()

    def fail(self, error: Exception) -> None:
        """A defect of ours: it ends this session, with a code, and no other."""
        log.error("session_failed", session=self.conversation.session, exc_info=error)
        self.conversation.tell_error("INTERNAL_SERVER_ERROR", "The session failed; connect again.")
        self.conversation.end(1011, "INTERNAL_SERVER_ERROR")
        self._wake()

    # --- the client's socket

    async def _read_client(self) -> None:
        await self._flush()
        conversation, receive, fast_path = self.conversation, self._client.recv, self._fast_path
        while True:
            frame = await receive()
            if isinstance(frame, str):
                conversation.client_text(frame.encode(), monotonic())
                await self._flush()
            elif (audio := conversation.client_audio(frame, monotonic())) is None:
                await self._flush()
            elif not conversation.configured:
                self._keep_early(audio)
            elif audio:
                if self._early_audio:
                    await self._send_early_audio()
                await self._append(audio)
            fast_path.client_read += 1

    def _keep_early(self, audio: bytes) -> None:
        self._early_audio += audio
        excess = len(self._early_audio) - self._early_audio_max
        if excess > 0:
            del self._early_audio[: excess + excess % 2]
            self.conversation.tell_once(
                events.warning(
                    "AUDIO_DROPPED", "Audio came long before the session was configured; the oldest was dropped."
                )
            )
            self._wake()

    async def _send_early_audio(self) -> None:
        if self._early_audio and self.conversation.configured:
            early, self._early_audio = bytes(self._early_audio), bytearray()
            await self._append(early)

    async def _append(self, audio: bytes) -> None:
        if self._upstream is None:
            return
        # When it is closed, whoever reads it notices and says why.
        try:  # noqa: SIM105 - on the way of every frame
            await self._to_upstream.send(self._upstream, append_audio(audio), text=True)
        except Closed:
            pass

    # --- the upstream's socket

    async def _serve_upstream(self) -> None:
        problem = await self._until_upstream_ends()
        if self._ending is None:
            # Otherwise the client has been told why the session ends.
            self.conversation.upstream_closed(problem, monotonic())
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
        self, upstream: Socket, patience: asyncio.Timeout, said: list[tuple[str, str]]
    ) -> Exception:
        """Carry everything until the upstream closes, and return how it did; ``said`` gets the errors that come before
        the session begins."""
        receive, fast_path = upstream.recv, self._fast_path
        fast_path.connect(self._engine.wire(upstream))
        while True:
            try:
                frame = await receive(decode=False)
            except Closed as error:
                return error
            await self._upstream_frame(frame, patience, said)
            fast_path.upstream_read += 1

    async def _upstream_frame(self, frame: str | bytes, patience: asyncio.Timeout, said: list[tuple[str, str]]) -> None:
        conversation = self.conversation
        try:
            data = orjson.loads(frame)
            kind = data["type"]
            if kind in _AUDIO_DELTAS:
                response_id, item_id = _name(data["response_id"]), _name(data["item_id"])
                audio = pybase64.b64decode(data["delta"], validate=True)
        except (ValueError, TypeError, KeyError):
            conversation.counters.malformed_events += 1
            return
        if kind in _AUDIO_DELTAS:
            await self._forward_audio(response_id, item_id, audio)
            return
        if not conversation.connected:
            if kind == "error":
                said.append(_refusal(data.get("error")))
                return
            if kind == "session.created":
                patience.reschedule(None)
        if kind in _AUDIO_DONE and (tail := conversation.downlink.audio_tail(str(data.get("response_id")))):
            await self._to_client.send(self._client, tail, text=False)
        conversation.upstream_event(data, monotonic())
        await self._flush()

    async def _forward_audio(self, response_id: str, item_id: str, audio: bytes) -> None:
        for start in range(0, len(audio), _AUDIO_MAX_BYTES):
            await self._forward_piece(response_id, item_id, audio[start : start + _AUDIO_MAX_BYTES])

    async def _forward_piece(self, response_id: str, item_id: str, audio: bytes) -> None:
        downlink, now = self.conversation.downlink, monotonic()
        before = downlink.audio(response_id, item_id, now)
        if before:
            self.conversation.tell(*before)
            await self._flush()
            # Meanwhile somebody may have spoken over this reply.
            before = downlink.audio(response_id, item_id, now)
        if before is None or self._ending is not None:
            return
        voice = downlink.voice
        frame = voice.feed(response_id, audio)
        downlink.playout.forwarded(item_id, voice.milliseconds(audio), now)
        if frame:
            await self._to_client.send(self._client, frame, text=False)

    # --- putting out

    def _wake(self) -> None:
        """Send what the conversation put out, when nobody who calls can wait for that."""
        self._hand_over()
        self._woken.set()

    async def _flush_when_woken(self) -> None:
        """Returns when the conversation has ended and everything of it was sent."""
        while self._ending is None:
            await self._woken.wait()
            self._woken.clear()
            await self._flush()

    def _hand_over(self) -> None:
        """Everything the conversation put out enters its queue, in this very instant."""
        out = self.conversation.drain()
        upstream_has_room = self._to_upstream.add(out.to_upstream)
        client_has_room = self._to_client.add(out.to_client)
        for seq in out.to_publish:
            self._publisher.client_event(self.conversation, seq)
        if out.turn_changed:
            self._publisher.turn(self.conversation, urgent=out.turn_urgent)
        self._ending = self._ending or out.ending
        self._fast_path.open = self.conversation.configured and not self._early_audio and self._ending is None
        self._set_timer()
        if not client_has_room:
            self._give_up("client", Cut.OVERFLOWED)
        if not upstream_has_room:
            self._give_up("upstream", Cut.OVERFLOWED)

    async def _flush(self) -> None:
        self._hand_over()
        if self._upstream is not None:
            if self._to_upstream.waiting:
                # When it is closed, whoever reads it notices and says why.
                with contextlib.suppress(*Closed):
                    await self._to_upstream.flush(self._upstream)
            if self._early_audio:
                await self._send_early_audio()
                self._fast_path.open = self.conversation.configured and self._ending is None
        if self._to_client.waiting:
            await self._to_client.flush(self._client)
        if self._ending is not None:
            self._woken.set()

    async def _close(self) -> None:
        with contextlib.suppress(*Closed):
            await self._flush()
        if self._timer is not None:
            self._timer.cancel()
        if self._upstream is not None:
            await self._upstream.close()
        ending = self._ending or Ending(1000, "")
        await self._client.close(ending.code, fitting(ending.reason))

    def _give_up(self, name: Peer, why: Cut) -> None:
        """Cut a peer that does not take what there is for it; with it the session ends."""
        if name in self._given_up:
            return
        self._given_up.add(name)
        self.conversation.counters.cut[name, why] += 1
        log.warning(why, session=self.conversation.session, peer=name)
        if name == "client":
            self._cut(self._client)
        elif self._upstream is not None:
            # The client reads, and is told.
            self.conversation.upstream_closed(stalled(), monotonic())
            self._cut(self._upstream)
            self._wake()

    def _cut(self, peer: Socket) -> None:
        cutting = asyncio.create_task(self._engine.cut(peer))
        self._cuts.add(cutting)
        cutting.add_done_callback(self._cuts.discard)

    # --- time

    def _set_timer(self) -> None:
        """Have the conversation ticked in time. A deadline that moves to later costs nothing here: when the timer
        goes off too early it is set again."""
        deadline = self.conversation.deadline()
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if self._ending is None and deadline != NEVER:
            self._timer_at = deadline
            pause = max(deadline - monotonic(), _LEAST_PAUSE)
            self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = monotonic()
        if self._ending is not None:
            return
        if self.conversation.deadline() > now:
            self._set_timer()
            return
        try:
            self.conversation.tick(now)
        except Exception as error:
            self.fail(error)
        else:
            self._wake()


def _name(value: Any) -> str:
    """An id of an upstream event. Raises TypeError for what is none."""
    if not isinstance(value, str):
        raise TypeError
    return value


def _refusal(error: Any) -> tuple[str, str]:
    """Code and message of an upstream's error, whatever it sent."""
    reason = error if isinstance(error, dict) else {}
    return str(reason.get("code") or "upstream_refused"), str(reason.get("message") or "no reason given")
