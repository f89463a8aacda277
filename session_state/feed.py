"""What the script tells of sessions that are watched (`advance.lua`), for the watchers of this process.

Every session-state process hears of every session, whoever took its record in. While nobody watches there is no
subscription, and the script makes nothing.
"""

from __future__ import annotations

from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from session_state import log_events
from session_state.keys import WATCH_CHANNEL
from session_state.store import describe
from session_state.watchers import Event, Watchers
from turngate.bus import trouble
from turngate.bus.consumer import reason_of
from turngate.process.redis_servers import ONLY
from turngate.protocol.messages import TurnRecord

#: Seconds until a new watcher is subscribed, if nothing happens meanwhile.
_LOOK_SECONDS = 0.1


class Feed:
    """Subscribes to what is watched. `run` it for the life of the process."""

    def __init__(self, redis: Redis, prefix: str, watchers: Watchers, server: str = ONLY) -> None:
        """``server`` is the name of the Redis server."""
        self._redis = redis
        self._server = server
        self._all = prefix + WATCH_CHANNEL
        self._watchers = watchers
        self._backoff = trouble.Backoff()

    async def run(self) -> None:
        """Listen while somebody watches, until cancelled."""
        while True:
            await self._watchers.some.wait()
            try:
                async with self._redis.pubsub() as subscription:
                    await self._listen(subscription)
            except (RedisError, OSError, TimeoutError) as error:
                trouble.note(error, "watch sessions")
                self._watchers.gap(self._server)
                await self._backoff.pause()

    async def _listen(self, subscription: PubSub) -> None:
        """Pass on what happens, until nobody watches."""
        subscribed: set[str | None] = set()
        while watched := self._watchers.watched:
            if new := watched - subscribed:
                await subscription.subscribe(*map(self._channel, new))
            if left := subscribed - watched:
                for session in left:
                    self._watchers.unsubscribed(session, self._server)
                await subscription.unsubscribe(*map(self._channel, left))
            subscribed = watched
            message = await subscription.get_message(timeout=_LOOK_SECONDS)
            if message is not None:
                self._backoff.reset()
                self._on_message(message)
        for session in subscribed:
            self._watchers.unsubscribed(session, self._server)

    def _on_message(self, message: dict[str, Any]) -> None:
        session = self._session(message["channel"].decode())
        if message["type"] == "subscribe":
            # Also when the client has connected again by itself.
            self._watchers.subscribed(session, self._server)
        elif message["type"] == "message":
            try:
                self._watchers.offer(session, lambda: session_event(message["data"], self._server))
            except (ValueError, LookupError, TypeError) as error:
                log_events.watch_event_unreadable(reason=reason_of(error))

    def _channel(self, session: str | None) -> str:
        return self._all if session is None else f"{self._all}:{session}"

    def _session(self, channel: str) -> str | None:
        return None if channel == self._all else channel.removeprefix(f"{self._all}:")


def session_event(told: bytes, server: str = ONLY) -> Event:
    """The event for what the script has told of a session of this server, as ``GET /sessions/<id>`` shows it. Raises
    ValueError, LookupError or TypeError if another version wrote it."""
    news = orjson.loads(told)
    now, fields = int(news["now"]), news["fields"]
    session = describe(TurnRecord.model_validate_json(fields["turn"]), fields, now, now)
    return described(session | {"server": server})


def described(session: dict[str, Any]) -> Event:
    """The event that shows a session."""
    return "session", orjson.dumps(session)
