"""The Redis servers of one gateway process: on which of them a session begins, and on which one that returns is.

A session belongs to one server for its whole life, whatever gateway it moves to. One that is down costs its own
sessions a delay, and no others anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from redis.exceptions import RedisError

from gateway.admission.resume_keys import Returning
from gateway.moves import Moves
from gateway.session.claims import TakenUp
from gateway.session.publisher import Publisher
from session_state.owners import count_unknown
from turngate.bus import trouble
from turngate.bus.placement import preferred
from turngate.process.log_context import on_server
from turngate.process.redis_servers import ONLY

#: Seconds that a server which works gets to say whether it knows a session, and that others get when it has.
_ANSWER_SECONDS, _OTHERS_SECONDS = 1.0, 0.05
#: Seconds until the servers are asked again about a session that some client has surely had.
_AGAIN_SECONDS = 0.2
_TROUBLE = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class RedisServer:
    """What the sessions of one Redis server use."""

    publisher: Publisher
    moves: Moves
    name: str = ONLY
    #: Whether requests are answered there, as far as is known.
    works: Callable[[], bool] = lambda: True
    #: No session begins there.
    leaving: bool = False


class RedisServers:
    """All of them."""

    def __init__(self, servers: Sequence[RedisServer]) -> None:
        self._servers = {server.name: server for server in servers}

    def __getitem__(self, name: str) -> RedisServer:
        return self._servers[name]

    @property
    def ready(self) -> bool:
        """Whether sessions can begin, and are answered."""
        return any(server.works() for server in self._servers.values() if not server.leaving)

    @property
    def sessions_move(self) -> bool:
        """Whether sessions move between gateways."""
        return all(server.moves.possible for server in self._servers.values())

    def logging(self, server: RedisServer) -> AbstractContextManager[None]:
        """What is logged meanwhile says which server it is about, if there are several."""
        return on_server(server.name if len(self._servers) > 1 else None)

    def place(self, session: str) -> RedisServer:
        """The server on which this session begins: the first in its order of preference that works, or else the first
        that is not leaving."""
        order = [self._servers[name] for name in preferred(session, self._servers)]
        staying = [server for server in order if not server.leaving]
        return next((server for server in staying if server.works()), staying[0])

    async def claim(self, returning: Returning, waits: Callable[[], bool]) -> tuple[RedisServer, TakenUp] | None:
        """As `Moves.claim`, of the server that knows the session. A session of a server that does not answer is not
        known."""
        if len(self._servers) == 1:
            (server,) = self._servers.values()
            taken = await server.moves.claim(returning, waits)
            return None if taken is None else (server, taken)
        if not returning.keys:
            return None
        knowing = await self._knowing(returning)
        if not knowing and returning.asks:
            # Redis may have lost it a moment ago, and its gateway writes it again.
            await asyncio.sleep(_AGAIN_SECONDS)
            knowing = await self._knowing(returning)
        for server in knowing:
            with self.logging(server):
                taken = await server.moves.claim(returning, waits)
            if taken is not None:
                return server, taken
        if not knowing:
            count_unknown()
        return None

    async def _knowing(self, returning: Returning) -> list[RedisServer]:
        """The servers that know a session of this client, the one first that has heard of it last. Clients that have
        one on several are rare: theirs was down when they returned, and they began another."""
        asking = {asyncio.create_task(self._known(server, returning)): server for server in self._servers.values()}
        found: dict[str, int] = {}
        left = set(asking)
        loop = asyncio.get_running_loop()
        until = loop.time() + _ANSWER_SECONDS
        while left and loop.time() < until:
            if found or not any(asking[task].works() for task in left):
                until = min(until, loop.time() + _OTHERS_SECONDS)
            done, left = await asyncio.wait(left, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            found |= {asking[task].name: known for task in done if (known := task.result()) is not None}
        for task in left:
            task.cancel()
            with self.logging(asking[task]):
                trouble.note(TimeoutError("no answer yet"), "look for a session")
        return [self._servers[name] for name in sorted(found, key=lambda name: found[name], reverse=True)]

    async def _known(self, server: RedisServer, returning: Returning) -> int | None:
        with self.logging(server):
            try:
                return await server.moves.knows(returning)
            except _TROUBLE as error:
                trouble.note(error, "look for a session")
                return None
