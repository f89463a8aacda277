"""``GET /events`` and ``GET /sessions/{id}/events``: what happens in sessions, as Server-Sent Events.

- ``watching``: the first event; nothing is missed from now on. Read ``GET /sessions`` now to know what was before.
  ``unreachable``, if it is there, names Redis servers of whose sessions nothing is heard until they answer.
- ``session``: a session after a change, in the form of ``GET /sessions/{id}``. The first for one session shows it
  as it is now.
- ``lost``: events were lost. ``events`` is their number, or null after a lost connection to Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import orjson
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from session_state.feed import described
from session_state.fleet import Fleet, UnreachableError
from session_state.watchers import Event, TooManyWatchersError, Watcher, Watchers
from turngate.process.http import json_response
from turngate.process.tasks import end

#: Seconds after which something is sent in any case, so that a client that has gone is noticed.
HEARTBEAT_SECONDS = 10.0
#: Seconds that a client may read nothing.
_STALLED_SECONDS = 60.0
#: Seconds that Redis has for a subscription, and that the others of several servers have when one is heard.
_SUBSCRIBE_SECONDS = 5.0
_OTHERS_SECONDS = 1.0
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Reverse proxies would collect events otherwise.
    (b"x-accel-buffering", b"no"),
]


class EventStreams:
    """The two endpoints."""

    def __init__(self, fleet: Fleet, watchers: Watchers) -> None:
        self._fleet = fleet
        self._watchers = watchers

    async def all_sessions(self, _: Request) -> Response:
        """``GET /events``."""
        return _EventStream(self._watchers, None, _nothing)

    async def one_session(self, request: Request) -> Response:
        """``GET /sessions/{session}/events``; with ``?wait=1`` also for a session that is not known yet."""
        session = request.path_params["session"]
        if "wait" not in request.query_params and await self._fleet.session(session) is None:
            return json_response({"error": f"no live session {session}"}, 404)

        async def as_it_is() -> list[Event]:
            try:
                found = await self._fleet.session(session)
            except UnreachableError:
                if not self._watchers.several:
                    raise
                # It may be told later, as of any server that comes back.
                return []
            return [] if found is None else [described(found)]

        return _EventStream(self._watchers, session, as_it_is)


async def _nothing() -> list[Event]:
    return []


class _EventStream(Response):
    """Sends events until the client goes, reads nothing for too long, or the process stops."""

    def __init__(
        self,
        watchers: Watchers,
        session: str | None,
        before: Callable[[], Awaitable[list[Event]]],
    ) -> None:
        """``before`` returns what is sent first; it is called when no event is missed any more."""
        super().__init__()
        self._watchers = watchers
        self._session = session
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._watchers.watching(self._session) as watcher:
                try:
                    async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                        unheard = await self._subscribed(watcher)
                        first = await self._before()
                except (UnreachableError, RedisError, OSError, TimeoutError):
                    await json_response({"error": "Redis does not answer"}, 503)(scope, receive, send)
                else:
                    told = orjson.dumps({"unreachable": unheard} if unheard else {})
                    await _until_gone(receive, self._send_all(watcher, [("watching", told), *first], send))
        except TooManyWatchersError as error:
            await json_response({"error": str(error)}, 503)(scope, receive, send)

    async def _subscribed(self, watcher: Watcher) -> list[str]:
        """Wait for a server to be heard, and for the others for a while. Returns the names of those that are not."""
        await watcher.some.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_OTHERS_SECONDS):
                await watcher.subscribed.wait()
        return self._watchers.unheard(watcher)

    async def _send_all(self, watcher: Watcher, first: list[Event], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        found: list[Event] | None = first
        with suppress(TimeoutError):
            while found is not None:
                body = b"".join(map(_encoded, found)) or b": heartbeat\n\n"
                async with asyncio.timeout(_STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                found = await self._next(watcher)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, watcher: Watcher) -> list[Event] | None:
        """The next events; none if there were none for a while."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                return await watcher.events()
        except TimeoutError:
            return []


async def _until_gone(receive: Receive, work: Awaitable[None]) -> None:
    """Do this work until it is done, or the client has gone."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)


def _encoded(event: Event) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event[0].encode(), event[1])
