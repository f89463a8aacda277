"""Runs one session on one WebSocket: passes frames to the session, sends its events, and meets its deadlines.

A single task does all of it. It reads the next frame only after the events for the last one are written, so a client
that does not read blocks only its own connection, and no queue can grow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson
from websockets.asyncio.server import ServerConnection

from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import Close, RealtimeSession
from turngate.simulator.sickness import Sickness


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic epoch seconds: the event loop's time plus the wall clock's offset at the start."""

    loop_time: Callable[[], float]
    offset: float

    def now(self) -> float:
        return self.loop_time() + self.offset

    def loop_deadline(self, at: float | None) -> float | None:
        return None if at is None else at - self.offset


class Connection:
    """One WebSocket connection and its session."""

    def __init__(self, socket: ServerConnection, session: RealtimeSession, sickness: Sickness, clock: Clock) -> None:
        self._socket = socket
        self._session = session
        self._sickness = sickness
        session.sicken_replies(sickness.reply)
        self._clock = clock

    async def run(self) -> None:
        """Serve until the session ends; raises `websockets.ConnectionClosed` if the client closes the connection."""
        session = self._session
        ending = await self._send(session.connect(self._clock.now()))
        while ending is None:
            ending = await self._send(await self._next()) or session.closing
        if self._sickness.aborts and session.closing is None:
            self._socket.transport.abort()
        else:
            await self._socket.close(ending.code, ending.reason)

    async def _next(self) -> list[Event]:
        """Wait for the client's next frame or the next deadline; returns the events to send."""
        session, clock = self._session, self._clock
        try:
            async with asyncio.timeout_at(clock.loop_deadline(session.next_deadline())):
                frame = await self._socket.recv()
        except TimeoutError:
            return session.advance(clock.now())
        event = _event(frame) if self._sickness.fault is not None else None
        if event is not None:
            if self._sickness.loses(event):
                return session.advance(clock.now())
            if (refused := self._sickness.refuses(event)) is not None:
                error, named = refused
                return session.reject(event, error, clock.now(), named=named)
        return session.receive(frame, clock.now())

    async def _send(self, events: Iterable[Event]) -> Close | None:
        for event in events:
            for frame in self._sickness.frames(event):
                if isinstance(frame, Close):
                    return frame
                await self._socket.send(frame, text=True)
        return None


def _event(frame: str | bytes) -> Event | None:
    """The event in a frame; None if it has none."""
    try:
        event = orjson.loads(frame)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
