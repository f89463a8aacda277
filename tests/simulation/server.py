"""Redis in the simulation: a stub's keys, at the far end of a network, in the weather of a plan.

A command takes a while to arrive, and its reply to come back. In a storm entries of streams are lost, doubled and late,
replies get lost, processes end before or after a command, the server refuses commands, and it is gone with all data.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Protocol

from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.redis_stub.client import Command, answers
from tests.redis_stub.keyspace import Keyspace
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Weather
from turngate.protocol.messages import CLIENT_EVENTS, RELEASES, TURNS

#: Commands whose moment nobody can tell: they take no time, which saves a lot of it.
_TIMELESS = frozenset(
    {"TIME", "ZCARD", "ZRANGEBYSCORE", "ZREMRANGEBYSCORE", "XPENDING", "MEMORY USAGE", "XLEN", "XTRIM", "PEXPIRE"}
)
#: Commands that a server which is out of memory, or a replica, refuses. One that is loading refuses all.
_WRITES = frozenset({"XADD", "HSET", "ZADD", "SET", "XGROUP CREATE"})
_ALL = _WRITES | _TIMELESS | {"EVALSHA", "SCRIPT LOAD", "XREADGROUP", "XCLAIM", "XGROUP"}
_REFUSED = (BusyLoadingError, OutOfMemoryError, ReadOnlyError)
#: Seconds after which a process waits no longer for a reply.
_TIMEOUT = 3.0
#: Commands of one process that may fail within a second: all of its loops pause before they try again.
_FAILURES_MAX = 100
#: Made anew each time: an exception that is raised again keeps all its tracebacks, and with them whole worlds.
_REFUSALS: dict[str, tuple[frozenset[str], Callable[[], RedisError]]] = {
    "OOM": (_WRITES, partial(OutOfMemoryError, "The simulated server is out of memory.")),
    "READONLY": (_WRITES, partial(ReadOnlyError, "The simulated server is a replica.")),
    "LOADING": (_ALL, partial(BusyLoadingError, "The simulated server is loading.")),
}


class Life(Protocol):
    """A process, from its start to its end. A dead one never hears again of what it asked for."""

    name: str
    alive: bool
    mortal: bool
    cut_off: bool

    def die(self) -> None: ...


class _Keys(Keyspace):
    """The keys, and what the weather does to the entries of streams."""

    def __init__(self, server: Server, loop: VirtualLoop) -> None:
        super().__init__(lambda: round(loop.now * 1_000_000))
        self._server = server
        self._loop = loop

    @property
    def now_ms(self) -> int:
        return round(self._loop.now * 1_000_000) // 1000

    def on_xclaim(self, *arguments: bytes) -> Any:
        claimed = super().on_xclaim(*arguments)
        self._server.counts["messages reclaimed"] += len(claimed)
        return claimed

    def on_xadd(self, key: bytes, *arguments: bytes) -> Any:
        server, weather = self._server, self._server.weather
        copies = 1
        if server.stormy and not weather.calm:
            random = server.random
            if random.random() < weather.loss:
                server.lost(key, arguments[-1])
                return b"0-1"
            if random.random() < weather.duplication:
                server.counts["messages doubled"] += 1
                copies = 2
            for _ in range(copies):
                if random.random() < weather.lateness:
                    server.counts["messages late"] += 1
                    copies -= 1
                    server.add_later(random.random() * weather.latest, partial(super().on_xadd, key, *arguments), key)
        added: Any = b"0-1"
        for _ in range(copies):
            added = super().on_xadd(key, *arguments)
            server.added.append(key)
        return added


class Server:
    """The one server. Processes talk to it through `exchange` and `read`."""

    def __init__(
        self, loop: VirtualLoop, random: Random, weather: Weather, hop: float, note: Callable[[str], None]
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.weather = weather
        self.random = random
        self.problem = ""
        #: Streams to which something was added by the command that is being executed.
        self.added: list[bytes] = []
        self.keys = _Keys(self, loop)
        #: Commands and late messages on their way.
        self._moving = 0
        #: Grows each time all data is lost.
        self._era = 0
        self._loop = loop
        self._hop = hop
        self._note = note
        self._gone_until = -1.0
        self._blocked: dict[bytes, list[_Read]] = {}
        #: The second, and the commands that failed in it, by process.
        self._failures: dict[str, tuple[int, int]] = {}
        for start, duration in weather.outages:
            loop.at(start, partial(self._die, duration))
        for start, duration, kind in weather.refusals:
            loop.at(start, partial(self._refuse, kind))
            loop.at(start + duration, self._accept)

    @property
    def stormy(self) -> bool:
        return self._loop.now < self.weather.ends

    @property
    def gone(self) -> bool:
        return self._loop.now < self._gone_until

    def busy(self) -> str:
        """Empty when nothing is under way or waits to be handled; otherwise what is."""
        if self._moving:
            return "messages are on their way"
        for stream in (CLIENT_EVENTS, TURNS, RELEASES):
            found = self.keys.stream(stream.encode())
            if found is not None and found.entries:
                return f"{len(found.entries)} entries of {stream} are not finished"
        return ""

    # --- commands

    def exchange(self, life: Life, commands: Sequence[Command], _: bool) -> Awaitable[list[Any]]:
        """One round trip. Raises redis-py's errors."""
        if commands[0][0] in _TIMELESS:
            return self._at_once(life, commands)
        future = self._loop.create_future()
        self._moving += 1
        self._loop.later(self._delay(), partial(self._arrive, life, commands, future, self._era))
        return future

    async def _at_once(self, life: Life, commands: Sequence[Command]) -> list[Any]:
        if not life.alive:
            await self._loop.create_future()
        if self.gone or life.cut_off:
            self._failed(life)
            raise RedisConnectionError("The simulated server is gone.")
        return answers(self.keys, commands)

    def _arrive(self, life: Life, commands: Sequence[Command], future: asyncio.Future[list[Any]], era: int) -> None:
        if not life.alive or self._dies(life):
            self._moving -= 1
            return
        if self.gone or life.cut_off or era != self._era:
            self._fail(life, future, RedisConnectionError("The simulated server is gone."))
            return
        replies = answers(self.keys, commands)
        if self.added:
            self._serve_blocked()
        for reply in replies:
            if isinstance(reply, _REFUSED):
                self._failed(life)
                break
        if self._dies(life):
            self._moving -= 1
        elif self.stormy and life.mortal and self.random.random() < self.weather.loss / 10:
            self.counts["replies lost"] += 1
            if self.random.random() < 0.5:
                self._fail(life, future, RedisConnectionError("The simulated connection broke."))
            else:
                error = RedisTimeoutError("The simulated reply did not come.")
                self._loop.later(_TIMEOUT, partial(self._fail, life, future, error))
        else:
            self._loop.later(self._delay(), partial(self._reply, life, future, replies))

    def _reply(self, life: Life, future: asyncio.Future[list[Any]], replies: list[Any]) -> None:
        self._moving -= 1
        if life.alive and not future.done():
            future.set_result(replies)

    def _fail(self, life: Life, future: asyncio.Future[Any], error: Exception) -> None:
        self._moving -= 1
        self._failed(life)
        if life.alive and not future.done():
            future.set_exception(error)

    def _failed(self, life: Life) -> None:
        """A process was told that the server is gone or refuses: it must not ask again at once."""
        second, failures = self._failures.get(life.name, (-1, 0))
        now = int(self._loop.now)
        failures = failures + 1 if second == now else 1
        self._failures[life.name] = now, failures
        if failures > _FAILURES_MAX and not self.problem:
            self.problem = f"{life.name} asked {failures} times within a second although Redis fails"

    def _dies(self, life: Life) -> bool:
        death = self.weather.death
        if not (death and life.mortal and self.stormy and self.random.random() < death / 2):
            return False
        life.die()
        return True

    def _delay(self) -> float:
        return self._hop * (0.5 + self.random.random())

    # --- blocking reads

    def read(self, life: Life, arguments: Sequence[Any]) -> Awaitable[list[Any]]:
        """The next entries for a consumer, when there are some, with XREADGROUP's arguments: ids and fields."""
        future = self._loop.create_future()
        read = _Read(life, arguments, future)
        self._loop.later(self._delay(), partial(self._block, read))
        return future

    def _block(self, read: _Read) -> None:
        if read.future.done() or not read.life.alive:
            return
        if self.gone or read.life.cut_off:
            self._failed(read.life)
            read.future.set_exception(RedisConnectionError("The simulated server is gone."))
        elif not self._serve(read):
            self._blocked.setdefault(read.key, []).append(read)

    def _serve(self, read: _Read) -> bool:
        """True when the read is over."""
        if read.future.done() or not read.life.alive:
            return True
        try:
            reply = self.keys.execute("XREADGROUP", *read.arguments)
        except (ResponseError, BusyLoadingError) as error:
            self._failed(read.life)
            read.future.set_exception(error)
            return True
        if reply is None:
            return False
        self._loop.later(self._delay(), partial(self._deliver, read, reply[0][1]))
        return True

    def _deliver(self, read: _Read, entries: list[Any]) -> None:
        if read.life.alive and not read.future.done():
            read.future.set_result(entries)

    def _serve_blocked(self) -> None:
        added, self.added = self.added, []
        for key in added:
            if blocked := self._blocked.get(key):
                self._blocked[key] = [read for read in blocked if not self._serve(read)]

    # --- the weather

    def lost(self, key: bytes, body: bytes) -> None:
        self.counts["messages lost"] += 1
        self._note(f"lost on {key.decode()}: {body[:80].decode(errors='replace')}")

    def add_later(self, delay: float, add: Callable[[], Any], key: bytes) -> None:
        self._moving += 1
        era = self._era

        def arrive() -> None:
            self._moving -= 1
            if era == self._era:
                add()
                self.added.append(key)
                self._serve_blocked()

        self._loop.later(delay, arrive)

    def _refuse(self, kind: str) -> None:
        self.counts["refusals"] += 1
        self._note(f"Redis refuses: {kind}")
        self.keys.refused, self.keys.refusal = _REFUSALS[kind]

    def _accept(self) -> None:
        self.keys.refused = frozenset()

    def cut_off(self, life: Life, seconds: float) -> None:
        """This process does not reach the server for so many seconds."""
        self.counts["processes cut off"] += 1
        life.cut_off = True
        for key, reads in self._blocked.items():
            for read in (read for read in reads if read.life is life and not read.future.done()):
                read.future.set_exception(RedisConnectionError("The simulated server cannot be reached."))
            self._blocked[key] = [read for read in reads if read.life is not life]

        def reach() -> None:
            life.cut_off = False

        self._loop.later(seconds, reach)

    def _die(self, duration: float) -> None:
        self.counts["broker deaths"] += 1
        self._note(f"Redis is gone for {duration:g} s" if duration else "Redis is emptied")
        self._era += 1
        self.keys.clear()
        self._gone_until = max(self._gone_until, self._loop.now + duration)
        blocked, self._blocked = self._blocked, {}
        for read in (read for reads in blocked.values() for read in reads):
            if read.life.alive and not read.future.done():
                read.future.set_exception(RedisConnectionError("The simulated server has gone."))


class _Read:
    """A blocking read."""

    __slots__ = ("arguments", "future", "key", "life")

    def __init__(self, life: Life, arguments: Sequence[Any], future: asyncio.Future[list[Any]]) -> None:
        self.life = life
        self.arguments = arguments
        self.future = future
        self.key: bytes = arguments[-2]
