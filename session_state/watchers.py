"""Those who watch sessions: what waits for each of them, within limits.

A watcher that reads too slowly loses its oldest events, and is told how many. No I/O.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from prometheus_client import Counter, Gauge

from turngate.process.redis_servers import ONLY

#: Events that wait for one watcher, and their bytes: at least one event waits, whatever its size.
WAITING_MAX = 512
WAITING_MAX_BYTES = 1_048_576

_watchers = Gauge("turngate_watchers", "Who watches sessions through this process.")
_lost = Counter("turngate_watch_events_lost", "Events that watchers lost because they read too slowly.")

#: The name and the JSON of an event.
Event: TypeAlias = tuple[str, bytes]


class TooManyWatchersError(Exception):
    """There are as many watchers as there may be."""


class Watcher:
    """One client that watches one session, or all."""

    def __init__(
        self, session: str | None, waiting_max: int = WAITING_MAX, waiting_max_bytes: int = WAITING_MAX_BYTES
    ) -> None:
        self.session = session
        #: Set when what happens from now on is heard of: from one server at least, and from all of them.
        self.some = asyncio.Event()
        self.subscribed = asyncio.Event()
        self._waiting_max = waiting_max
        self._waiting_max_bytes = waiting_max_bytes
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._lost = 0
        self._waits = asyncio.Event()
        self._over = False

    def offer(self, event: Event) -> None:
        """Add an event; the oldest are lost if too many wait, or too much."""
        self._waiting.append(event)
        self._bytes += len(event[1])
        while len(self._waiting) > self._waiting_max or (
            self._bytes > self._waiting_max_bytes and len(self._waiting) > 1
        ):
            self._bytes -= len(self._waiting.popleft()[1])
            self._lost += 1
            _lost.inc()
        self._waits.set()

    def end(self) -> None:
        """Nothing comes any more."""
        self._over = True
        self._waits.set()

    async def events(self) -> list[Event] | None:
        """Wait for events and return all of them; None when nothing comes any more. The first says how many events
        before the others were lost, if there are any."""
        await self._waits.wait()
        if self._over:
            return None
        self._waits.clear()
        found = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        if self._lost:
            found.insert(0, lost(self._lost))
            self._lost = 0
        return found


class Watchers:
    """All of them in this process."""

    def __init__(
        self,
        most: int,
        servers: Sequence[str] = (ONLY,),
        *,
        waiting_max: int = WAITING_MAX,
        waiting_max_bytes: int = WAITING_MAX_BYTES,
    ) -> None:
        """At ``most`` so many, who hear of the sessions of these Redis servers."""
        self._most = most
        self._servers = tuple(servers)
        self._waiting_max = waiting_max
        self._waiting_max_bytes = waiting_max_bytes
        self._watchers: set[Watcher] = set()
        self._over = False
        #: The sessions that are heard of, each from these servers; None stands for all.
        self._heard: dict[str | None, set[str]] = {}
        #: Set while there is a watcher.
        self.some = asyncio.Event()

    @property
    def several(self) -> bool:
        """Whether there is more than one server."""
        return len(self._servers) > 1

    def unheard(self, watcher: Watcher) -> list[str]:
        """The servers from which nothing is heard of what this one watches."""
        heard = self._heard.get(watcher.session, ())
        return [server for server in self._servers if server not in heard]

    @property
    def watched(self) -> set[str | None]:
        """The sessions that are watched; None stands for all."""
        return {watcher.session for watcher in self._watchers}

    @contextmanager
    def watching(self, session: str | None) -> Iterator[Watcher]:
        """A watcher of this session, or of all. Raises `TooManyWatchersError`."""
        if len(self._watchers) >= self._most:
            raise TooManyWatchersError(f"{self._most} clients watch already (TURNGATE_WATCHERS_MAX)")
        watcher = Watcher(session, self._waiting_max, self._waiting_max_bytes)
        self._look(watcher)
        if self._over:
            watcher.end()
        self._watchers.add(watcher)
        _watchers.set(len(self._watchers))
        self.some.set()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            _watchers.set(len(self._watchers))
            if not self._watchers:
                self.some.clear()

    def offer(self, session: str | None, make: Callable[[], Event]) -> None:
        """Offer an event to those who watch this session, or to those who watch all. ``make`` is called if there is
        one."""
        event: Event | None = None
        for watcher in self._watchers:
            if watcher.session == session:
                event = event or make()
                watcher.offer(event)

    def subscribed(self, session: str | None, server: str = ONLY) -> None:
        """What happens in this session, or in any, is heard of from this server from now on. If it was before, there
        is a gap: the connection to Redis was lost meanwhile."""
        heard = self._heard.setdefault(session, set())
        if server in heard:
            self.offer(session, lambda: lost(None))
        heard.add(server)
        for watcher in self._watchers:
            if watcher.session == session:
                self._look(watcher)

    def unsubscribed(self, session: str | None, server: str = ONLY) -> None:
        """Nobody watches this session, or all, any more, and it is not heard of from this server."""
        self._heard.get(session, set()).discard(server)

    def gap(self, server: str = ONLY) -> None:
        """Nothing is heard of from this server for a while: the connection to it is lost."""
        for heard in self._heard.values():
            heard.discard(server)
        for watcher in self._watchers:
            watcher.offer(lost(None))

    def end(self) -> None:
        """The process stops."""
        self._over = True
        for watcher in self._watchers:
            watcher.end()

    def _look(self, watcher: Watcher) -> None:
        """Tell this one what it hears of."""
        unheard = self.unheard(watcher)
        if len(unheard) < len(self._servers):
            watcher.some.set()
        if not unheard:
            watcher.subscribed.set()


def lost(number: int | None) -> Event:
    """The event that says that others were lost; None if nobody knows how many."""
    return "lost", b'{"events":%s}' % (b"null" if number is None else b"%d" % number)
