"""One connection: frames from the socket into the conversation, its events out, its deadlines kept.

One task does all of it. It does not read on before what it has to say is written, so a client that does not read holds
up nobody but itself, and nothing piles up here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import orjson
from websockets.asyncio.server import ServerConnection

from turngate.simulator.conversation import Close, Conversation
from turngate.simulator.faults import Sabotage
from turngate.simulator.stage import Event


@dataclass(frozen=True, slots=True)
class Clock:
    """Epoch seconds that never go back: the event loop's time, moved by what the wall clock showed at the start."""

    loop_time: Callable[[], float]
    offset: float

    def now(self) -> float:
        return self.loop_time() + self.offset

    def loop_deadline(self, at: float | None) -> float | None:
        return None if at is None else at - self.offset


class Session:
    """Runs one conversation on one socket."""

    def __init__(self, socket: ServerConnection, conversation: Conversation, sabotage: Sabotage, clock: Clock) -> None:
        self._socket = socket
        self._conversation = conversation
        self._sabotage = sabotage
        self._clock = clock

    async def run(self) -> None:
        """Serve until the session is over; raises `websockets.ConnectionClosed` when the client ends it."""
        conversation = self._conversation
        ending = await self._send(conversation.connect(self._clock.now()))
        while ending is None:
            ending = await self._send(await self._next()) or conversation.closing
        if self._sabotage.aborts and conversation.closing is None:
            self._socket.transport.abort()
        else:
            await self._socket.close(ending.code, ending.reason)

    async def _next(self) -> list[Event]:
        """What comes next: an answer to the client's next frame, or what is due before it."""
        conversation, clock = self._conversation, self._clock
        try:
            async with asyncio.timeout_at(clock.loop_deadline(conversation.next_deadline())):
                frame = await self._socket.recv()
        except TimeoutError:
            return conversation.advance(clock.now())
        if self._sabotage.fault and isinstance(frame, str) and (event := _refused(frame, self._sabotage)) is not None:
            return conversation.reject(event, clock.now())
        return conversation.receive(frame, clock.now())

    async def _send(self, events: Iterable[Event]) -> Close | None:
        for event in events:
            if self._sabotage.withholds(event):
                continue
            if ending := self._sabotage.before(event):
                return ending
            await self._socket.send(orjson.dumps(event), text=True)
            if ending := self._sabotage.after(event):
                return ending
        return None


def _refused(frame: str, sabotage: Sabotage) -> Event | None:
    """The event in the frame, if the fault of this connection is to refuse it."""
    try:
        event = orjson.loads(frame)
    except ValueError:
        return None
    return event if isinstance(event, dict) and sabotage.refuses(event) else None
