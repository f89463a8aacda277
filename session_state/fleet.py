"""The sessions of all Redis servers, read for people.

A server that does not answer makes its part of a list missing, and the list says so; it fails nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from redis.exceptions import RedisError

from session_state.filters import Wanted
from session_state.journals import Journals
from session_state.store import Store
from session_state.streams import described_streams, newest_letters
from turngate.bus import trouble
from turngate.bus.bus import Bus

#: Seconds that one of several servers may take for one look.
_SECONDS = 2.0
#: Sessions that are described in one round trip to each server.
_TOGETHER = 200
_TROUBLE = (RedisError, OSError, TimeoutError)

Found = TypeVar("Found")
#: The server of a session, its id, and when its last record came, by the clock of Redis in milliseconds.
_Seen: TypeAlias = tuple[str, str, int]


class UnreachableError(Exception):
    """What was asked for is not known to the servers that have answered, and these have not: `servers`."""

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__("Redis does not answer")
        self.servers = servers


class Fleet:
    """Reads from every server, and changes nothing."""

    def __init__(self, buses: Sequence[Bus], stores: Mapping[str, Store]) -> None:
        """``stores`` by the server of each bus."""
        self._buses = {bus.server: bus for bus in buses}
        self._stores = stores
        self._journals = {bus.server: Journals(bus.redis, bus.settings.redis_prefix) for bus in buses}

    async def sessions(self, wanted: Wanted) -> dict[str, Any]:
        """The sessions that are wanted, sorted by their servers and ids, each as `session` shows it; ``next``, the
        cursor of the next page, if there may be one; and the servers that are ``unreachable``, if some are. Raises
        `UnreachableError` if none answers."""
        seen, unreachable = await self._of_each(lambda server: self._stores[server].live())
        if not seen:
            raise UnreachableError(unreachable)
        now = {server: at for server, (at, _) in seen.items()}
        everything = sorted((server, name, at) for server, (_, found) in seen.items() for name, at in found)
        left = [one for one in everything if _cursor(one) > _place(wanted.after)]
        shown: list[dict[str, Any]] = []
        last: _Seen | None = None
        for start in range(0, len(left), _TOGETHER):
            together = left[start : start + _TOGETHER]
            described = await self._described(together, now, unreachable)
            for one in together:
                session = described.get(one)
                if session is None or not wanted.takes(session):
                    continue
                if len(shown) == wanted.limit:
                    assert last is not None
                    return _reply(shown, unreachable, ":".join(_cursor(last)))
                shown.append(session)
                last = one
        return _reply(shown, unreachable)

    async def session(self, session: str) -> dict[str, Any] | None:
        """One session, with its ``server``; None if no server knows it. Raises `UnreachableError` if one that did not
        answer may know it."""
        return await self._first(lambda server: self._session(server, session))

    async def journal(self, session: str) -> dict[str, Any] | None:
        """What is known of this session's journal, which may be null; None if no server knows the session. Raises as
        `session`."""

        async def of(server: str) -> dict[str, Any] | None:
            found = await self._journals[server].journal(session)
            if found is None and await self._stores[server].session(session) is None:
                return None
            return {"session": session, "journal": found}

        return await self._first(of)

    async def streams(self) -> dict[str, Any]:
        """The streams and the newest dead letters of each server; and the servers that are ``unreachable``, if some
        are. Raises `UnreachableError` if none answers."""

        async def of(server: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
            bus = self._buses[server]
            prefix = bus.settings.redis_prefix
            return await described_streams(bus.redis, prefix), await newest_letters(bus.redis, prefix)

        found, unreachable = await self._of_each(of)
        if not found:
            raise UnreachableError(unreachable)
        streams = [one | {"server": server} for server, (told, _) in found.items() for one in told]
        letters = [one | {"server": server} for server, (_, told) in found.items() for one in told]
        letters.sort(key=lambda letter: int(letter["at_ms"]), reverse=True)
        return {"streams": streams, "dead_letters": letters} | _named(unreachable)

    async def _session(self, server: str, session: str) -> dict[str, Any] | None:
        found = await self._stores[server].session(session)
        return None if found is None else found | {"server": server}

    async def _described(
        self, together: Sequence[_Seen], now: Mapping[str, int], unreachable: list[str]
    ) -> dict[_Seen, dict[str, Any]]:
        """These sessions, without those that have gone. Servers that do not answer any more are added to
        ``unreachable``."""

        async def of(server: str) -> list[tuple[_Seen, dict[str, Any] | None]]:
            own = [one for one in together if one[0] == server]
            told = await self._stores[server].described([(name, at) for _, name, at in own], now[server])
            return list(zip(own, told, strict=True))

        servers = [server for server in now if server not in unreachable]
        found, lost = await self._of_each(of, servers)
        unreachable += lost
        return {
            one: session | {"server": server}
            for server, told in found.items()
            for one, session in told
            if session is not None
        }

    async def _first(self, ask: Callable[[str], Awaitable[Found | None]]) -> Found | None:
        """The first answer that is not None. Raises `UnreachableError` if there is none, and some server did not
        answer."""
        asking = {asyncio.ensure_future(self._asked(ask, server)): server for server in self._buses}
        unreachable: list[str] = []
        try:
            for answer in asyncio.as_completed(asking):
                server, found, error = await answer
                if found is not None:
                    return found
                if error is not None:
                    unreachable.append(server)
        finally:
            for task in asking:
                task.cancel()
        if unreachable:
            raise UnreachableError(sorted(unreachable))
        return None

    async def _of_each(
        self, ask: Callable[[str], Awaitable[Found]], servers: Sequence[str] | None = None
    ) -> tuple[dict[str, Found], list[str]]:
        """The answer of each server that has one, and the servers that have none."""
        names = list(self._buses) if servers is None else servers
        answers = await asyncio.gather(*(self._asked(ask, server) for server in names))
        found = {server: told for server, told, error in answers if error is None and told is not None}
        return found, [server for server, _, error in answers if error is not None]

    async def _asked(
        self, ask: Callable[[str], Awaitable[Found]], server: str
    ) -> tuple[str, Found | None, BaseException | None]:
        """What this server answers, or the error."""
        try:
            with self._buses[server].logging():
                async with asyncio.timeout(_SECONDS if len(self._buses) > 1 else None):
                    return server, await ask(server), None
        except _TROUBLE as error:
            with self._buses[server].logging():
                trouble.note(error, "read sessions")
            return server, None, error


def _reply(shown: list[dict[str, Any]], unreachable: Sequence[str], cursor: str = "") -> dict[str, Any]:
    return {"sessions": shown} | ({"next": cursor} if cursor else {}) | _named(unreachable)


def _named(unreachable: Sequence[str]) -> dict[str, Any]:
    return {"unreachable": list(unreachable)} if unreachable else {}


def _cursor(one: _Seen) -> tuple[str, str]:
    server, session, _ = one
    return server, session


def _place(cursor: str) -> tuple[str, str]:
    """Where a cursor points: names of servers have no colon."""
    server, _, session = cursor.partition(":")
    return server, session
