"""Drives translators without a gateway, at full speed: publishes client events and reads the commands."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import redis.asyncio

from benchmarks.load.session import clock
from turngate.protocol.messages import CLIENT_EVENTS, ClientEvent, Slot, TurnRecord, commands_stream

#: The gateway id that the driver uses.
_GATEWAY = "benchmark"
_LENGTH = 10_000
_BLOCK_MS = 1_000
#: Finds the releases in an entry with commands for several sessions.
_RELEASED = re.compile(rb'"type":"SendRelease","session":"(bench-[0-9a-f]+-\d+)"')


class Driver:
    """Simulates ``sessions`` sessions, each with one pending user message, which becomes an item and a response."""

    def __init__(self, redis_url: str, sessions: int) -> None:
        self._redis = redis.asyncio.Redis.from_url(redis_url, socket_timeout=15)
        # New names for each run, since session-state still stores the previous sessions.
        run = uuid4().hex[:8]
        self._next = {f"bench-{run}-{number}".encode(): 1 for number in range(sessions)}
        self._asked: dict[bytes, float] = {}
        #: Seconds from the client event to the release, for every finished request.
        self.took: list[float] = []

    async def run(self, seconds: float) -> None:
        """Keep the translators busy for ``seconds``. Raises TimeoutError if they stop answering."""
        stream, end = commands_stream(_GATEWAY), clock() + seconds
        # The position to read from. Reading from the end would miss entries added before the first read.
        last = await self._redis.xadd(stream, {"begin": b""}, maxlen=_LENGTH)
        await self._ask([*self._next])
        silent_since = clock()
        while clock() < end:
            found: Any = await self._redis.xread({stream: last}, count=1_000, block=_BLOCK_MS)
            now = clock()
            if not found:
                if now - silent_since > 10:
                    raise TimeoutError("the translators do not answer")
                continue
            silent_since = now
            entries = found[0][1] if isinstance(found, list) else next(iter(found.values()))[0]
            last = entries[-1][0]
            bodies = [next(iter(fields.values())) for _, fields in entries]
            await self._ask([session for body in bodies for session in self._carried_out(body, now)])

    async def close(self) -> None:
        await self._redis.unlink(commands_stream(_GATEWAY))
        await self._redis.aclose()

    def _carried_out(self, body: bytes, now: float) -> list[bytes]:
        """The sessions whose requests are finished by these commands."""
        done = [session for session in _RELEASED.findall(body) if session in self._asked]
        self.took += [now - self._asked.pop(session) for session in done]
        return done

    async def _ask(self, sessions: list[bytes]) -> None:
        if not sessions:
            return
        async with self._redis.pipeline(transaction=False) as pipeline:
            for session in sessions:
                pipeline.xadd(CLIENT_EVENTS, {"__data__": self._event(session)}, maxlen=_LENGTH, approximate=True)
            now = clock()
            self._asked |= dict.fromkeys(sessions, now)
            await pipeline.execute()

    def _event(self, session: bytes) -> bytes:
        seq = self._next[session]
        self._next[session] += 1
        record = TurnRecord(
            session=session.decode(),
            gateway=_GATEWAY,
            version=seq,
            slot=Slot.IDLE,
            last_seq=seq,
            open_responses=(seq,),
        )
        message = {"type": "InjectUserMessage", "content": "What time is it?"}
        event = ClientEvent(session=record.session, gateway=_GATEWAY, seq=seq, message=message, turn=record)
        return event.model_dump_json().encode()
