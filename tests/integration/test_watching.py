"""Clients that watch sessions through session-state processes, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from pydantic import RedisDsn, SecretStr
from redis.asyncio import Redis

from session_state import event_streams
from session_state.app import wire
from session_state.config import SessionStateSettings
from session_state.keys import JOURNAL_KEY, WATCH_CHANNEL
from session_state.owners import JournalEntry, OwnersClient
from session_state.store import Reservation, Store
from tests.integration.services import PATIENCE_SECONDS, until
from turngate.bus.bus import Bus
from turngate.local.ports import free_port
from turngate.process.service import serve
from turngate.process.supervisor import Supervisor
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    DEAD_LETTERS,
    RELEASES,
    TURNS,
    AddItems,
    Configuration,
    Intent,
    SendRelease,
    Slot,
    TurnRecord,
)

KEY = "correct-horse-battery"


class Process:
    """A session-state process, and its HTTP."""

    def __init__(self, redis_url: str, **settings: Any) -> None:
        port = free_port()
        self.settings = SessionStateSettings(redis_url=RedisDsn(redis_url), session_state_port=port, **settings)
        bus = Bus.connect(self.settings)
        bus.name += f"-{port}"
        self.bus = bus
        self.supervisor = Supervisor()
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_SECONDS)
        self.serving = asyncio.create_task(serve(wire(self.settings, bus), self.supervisor))

    async def listens(self) -> bool:
        try:
            return (await self.http.get("/health")).status_code == 200
        except httpx.TransportError:
            return False

    async def stop(self) -> None:
        self.supervisor.request_stop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.serving


@asynccontextmanager
async def process(redis_url: str, **settings: Any) -> AsyncIterator[Process]:
    one = Process(redis_url, **settings)
    try:
        await until(one.listens)
        yield one
    finally:
        await one.stop()
        await one.http.aclose()


class Events:
    """The events of one reply, one after the other."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """The name and the data of the next one. Raises StopAsyncIteration after the last."""
        name = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                head, _, value = (await anext(self._lines)).partition(": ")
                if head == "event":
                    name = value
                elif head == "data":
                    return name, orjson.loads(value)

    async def until(self, slot: Slot) -> dict[str, Any]:
        """The next session with this slot."""
        while True:
            name, data = await self.next()
            if name == "session" and data["slot"] == slot:
                found: dict[str, Any] = data
                return found


@asynccontextmanager
async def watching(http: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[Events]:
    """Somebody watches, and has heard that nothing is missed from now on."""
    async with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = Events(answer)
        assert (await events.next())[0] == "watching"
        yield events


def record(version: int, slot: Slot, session: str = "s", **fields: Any) -> TurnRecord:
    return TurnRecord.model_validate({"session": session, "gateway": "g", "version": version, "slot": slot, **fields})


async def test_a_watcher_sees_all_sessions_whichever_process_takes_their_records(broker_url: str) -> None:
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(process(broker_url)) for _ in range(2)]
        watchers = [await stack.enter_async_context(watching(one.http, "/events")) for one in processes]
        names = {f"s{number}" for number in range(8)}
        for name in names:
            await processes[0].bus.publish([(TURNS, record(1, Slot.IDLE, name))])
        for events in watchers:
            assert {(await events.until(Slot.IDLE))["session"] for _ in names} == names


async def test_a_request_is_seen_as_held_then_as_released_and_then_as_settled(broker_url: str) -> None:
    async with process(broker_url) as one:
        store = Store(one.bus.redis, one.settings)
        busy = record(1, Slot.ACTIVE, last_seq=1, open_configuration=(1,), response_id="r", response_own=True)
        await store.observe([busy])
        async with watching(one.http, "/sessions/s/events") as events:
            now = await events.until(Slot.ACTIVE)
            assert (now["held"], now["response_own"]) == ([], True)
            intent = Intent(seq=1, configuration=Configuration(session={"instructions": "a secret"}))
            answer, alone = AddItems(session="s", seq=1), SendRelease(session="s", release="x")
            await store.reserve([Reservation(busy, intent, answer, alone)])
            held = await events.until(Slot.ACTIVE)
            assert [(one["seq"], one["kind"]) for one in held["held"]] == [(1, "configuration")]
            assert "a secret" not in str(held)
            await store.observe([record(2, Slot.IDLE, last_seq=1, open_configuration=(1,))])
            released = await events.until(Slot.IDLE)
            assert released["release"]["seqs"] == [1]
            assert released["at_ms"] >= held["at_ms"]
            await store.observe([record(3, Slot.CLOSED, last_seq=1)])
            assert (await events.until(Slot.CLOSED))["held"] == []


async def test_what_a_session_has_used_and_how_near_it_is_to_its_limits_is_told(broker_url: str) -> None:
    async with process(broker_url) as one, watching(one.http, "/sessions/s/events?wait=1") as events:
        seconds, _ = await one.bus.redis.time()
        began = 1_000 * int(seconds)
        used = {"input_tokens": 100, "output_audio_tokens": 20}
        limits: dict[str, Any] = {"began_at_ms": began, "ends_at_ms": began + 600_000, "requests_percent": 85}
        await Store(one.bus.redis, one.settings).observe([record(1, Slot.IDLE, usage=used, **limits)])
        (listed,) = (await one.http.get("/sessions")).json()["sessions"]
        for told in (await events.until(Slot.IDLE), listed, (await one.http.get("/sessions/s")).json()):
            assert used.items() <= told["usage"].items()
            assert limits.items() <= told.items()
            assert 0 < told["ends_in_ms"] == began + 600_000 - told["at_ms"]


async def test_a_session_that_is_not_known_yet_is_waited_for(broker_url: str) -> None:
    async with process(broker_url) as one, watching(one.http, "/sessions/s/events?wait=1") as events:
        await Store(one.bus.redis, one.settings).observe([record(1, Slot.IDLE)])
        assert (await events.until(Slot.IDLE))["session"] == "s"


@pytest.mark.parametrize("path", ["/events", "/sessions/s/events"])
async def test_one_more_watcher_hears_what_others_hear_and_one_that_comes_when_they_have_gone(
    broker_url: str, path: str
) -> None:
    async with process(broker_url) as one:
        store = Store(one.bus.redis, one.settings)
        await store.observe([record(1, Slot.IDLE)])
        async with watching(one.http, path) as first, watching(one.http, path) as second:
            await store.observe([record(2, Slot.ACTIVE)])
            assert [(await events.until(Slot.ACTIVE))["version"] for events in (first, second)] == [2, 2]
        async with watching(one.http, path) as third:
            await store.observe([record(3, Slot.CANCELLING)])
            assert (await third.until(Slot.CANCELLING))["version"] == 3


async def test_a_watcher_of_one_session_hears_nothing_of_others(broker_url: str) -> None:
    async with process(broker_url) as one:
        store = Store(one.bus.redis, one.settings)
        await store.observe([record(1, Slot.IDLE), record(1, Slot.IDLE, "other")])
        async with watching(one.http, "/sessions/s/events") as events:
            assert (await events.next())[1]["session"] == "s"
            await store.observe([record(2, Slot.ACTIVE, "other"), record(2, Slot.ACTIVE)])
            assert (await events.next())[1]["session"] == "s"


async def test_nothing_is_subscribed_to_when_nobody_watches(broker_url: str) -> None:
    async with process(broker_url) as one, Redis.from_url(broker_url) as redis:
        await Store(one.bus.redis, one.settings).observe([record(1, Slot.IDLE)])

        async def channels() -> set[bytes | str]:
            return set(await redis.pubsub_channels())

        async def are(*names: str) -> bool:
            return await channels() == {name.encode() for name in names}

        async with watching(one.http, "/events"):
            async with watching(one.http, "/sessions/s/events"):
                assert await are(WATCH_CHANNEL, f"{WATCH_CHANNEL}:s")
            await until(lambda: are(WATCH_CHANNEL))
        await until(are)


async def test_the_process_stops_at_once_although_somebody_watches(broker_url: str) -> None:
    async with process(broker_url) as one, watching(one.http, "/events") as events:
        # uvicorn would wait for five seconds.
        async with asyncio.timeout(4):
            await one.stop()
        with pytest.raises(StopAsyncIteration):
            await events.next()


async def test_a_watcher_is_told_of_a_lost_connection_to_redis_and_hears_of_what_comes_later(broker_url: str) -> None:
    async with process(broker_url) as one, Redis.from_url(broker_url) as redis:
        store = Store(one.bus.redis, one.settings)
        async with watching(one.http, "/events") as events:
            await redis.client_kill_filter(_type="pubsub")
            assert await events.next() == ("lost", {"events": None})

            async def listened_to() -> bool:
                return bool((await redis.pubsub_numsub(WATCH_CHANNEL))[0][1])

            await until(listened_to)
            await store.observe([record(1, Slot.IDLE)])
            assert (await events.until(Slot.IDLE))["session"] == "s"


async def test_something_is_sent_when_nothing_happens(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_SECONDS", 0.01)
    async with process(broker_url) as one, one.http.stream("GET", "/events") as answer:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert ": heartbeat" in [line async for line in _some(answer.aiter_lines(), 6)]


async def _some(lines: AsyncIterator[str], number: int) -> AsyncIterator[str]:
    for _ in range(number):
        yield await anext(lines)


async def test_too_many_watchers_and_unknown_sessions_are_refused_in_json(broker_url: str) -> None:
    async with process(broker_url, watchers_max=1) as one, watching(one.http, "/events"):
        refused = await one.http.get("/events")
        assert (refused.status_code, "TURNGATE_WATCHERS_MAX" in refused.json()["error"]) == (503, True)
        unknown = await one.http.get("/sessions/nobody/events")
        assert (unknown.status_code, unknown.json()) == (404, {"error": "no live session nobody"})


async def test_what_waits_on_the_streams_is_told(broker_url: str) -> None:
    async with process(broker_url) as one, Redis.from_url(broker_url) as redis:
        await redis.xgroup_create(CLIENT_EVENTS, "translator", id="0", mkstream=True)
        for number in range(3):
            await redis.xadd(CLIENT_EVENTS, {"x": number})
        await redis.xreadgroup("translator", "t", {CLIENT_EVENTS: ">"}, count=2)
        letter: dict[Any, Any] = {
            "stream": TURNS,
            "group": "g",
            "entry": "1-1",
            "deliveries": 3,
            "reason": "why",
            "body": "words",
        }
        await redis.xadd(DEAD_LETTERS, letter, id="1700000000000-7")
        told = (await one.http.get("/streams")).json()
        streams = {told["stream"]: told for told in told["streams"]}
        waiting = streams[CLIENT_EVENTS]
        assert [waiting[name] for name in ("entries", "lag", "pending")] == [3, 1, 2]
        ((name, pending),) = [(reader["name"], reader["pending"]) for reader in waiting["readers"]]
        assert (name, pending) == ("t", 2)
        assert waiting["bytes"] > 0
        assert streams[RELEASES] == {"stream": RELEASES, "entries": 0, "bytes": 0, "server": "redis"}
        assert list(streams) == [CLIENT_EVENTS, TURNS, RELEASES, DEAD_LETTERS]
        known = {"id": "1700000000000-7", "at_ms": 1_700_000_000_000}
        shown = {"stream": TURNS, "group": "g", "deliveries": "3", "reason": "why", "server": "redis"}
        assert told["dead_letters"] == [known | shown], "without the words in it"


async def test_with_an_admin_key_only_who_has_it_sees_sessions_and_anybody_sees_the_metrics(broker_url: str) -> None:
    async with process(broker_url, admin_key=SecretStr(KEY)) as one:
        for page in ("/events", "/sessions", "/sessions/s", "/sessions/s/events", "/sessions/s/journal", "/streams"):
            assert (await one.http.get(page)).status_code == 401
        assert (await one.http.get("/metrics")).status_code == 200
        async with watching(one.http, "/events", Authorization=f"Bearer {KEY}"):
            pass


async def test_the_journal_of_a_session_is_told_and_one_that_has_none_says_so(broker_url: str) -> None:
    async with process(broker_url) as one:
        await Store(one.bus.redis, one.settings).observe([record(1, Slot.IDLE), record(1, Slot.IDLE, "other")])
        without = await one.http.get("/sessions/other/journal")
        assert (without.status_code, without.json()) == (200, {"session": "other", "journal": None})
        content = [{"type": "input_text", "text": "<b>Hi</b>"}]
        message = {"type": "message", "role": "user", "content": content}
        parts = {
            "about": {"version": 1, "began_at": 1.5, "dialect": "agent"},
            "config": {"confirmed": {"model": "m"}},
            "reply": None,
            "unheard": {},
            "calls": [],
            "settings": {"agent": {"think": {"endpoint": {"headers": {"authorization": "SECRET"}}}}},
            "item:a": {"id": "a", "place": 1, "kind": "given", "item": message},
        }
        written = JournalEntry(
            "s", "g", 0, 1, True, ("key",), {name: orjson.dumps(part) for name, part in parts.items()}
        )
        await OwnersClient(one.bus.redis, one.settings, 60_000).write([written])
        told = await one.http.get("/sessions/s/journal")
        assert told.headers["Cache-Control"] == "no-store"
        journal = told.json()["journal"]
        assert [(said["role"], said["text"]) for said in journal["items"]] == [("user", "<b>Hi</b>")]
        assert (journal["began_at_ms"], journal["configuration"]["model"]) == (1_500, "m")
        assert "SECRET" not in told.text


async def test_a_journal_that_cannot_be_read_says_why_and_one_of_nobody_is_not_found(broker_url: str) -> None:
    async with process(broker_url) as one:
        await one.bus.redis.hset(JOURNAL_KEY + "s", "about", '{"version":2}')
        await one.bus.redis.set(JOURNAL_KEY + "string", "what")
        for name in ("s", "string"):
            found = await one.http.get(f"/sessions/{name}/journal")
            assert (found.status_code, list(found.json()["journal"])) == (200, ["unreadable"])
        unknown = await one.http.get("/sessions/nobody/journal")
        assert (unknown.status_code, unknown.json()) == (404, {"error": "no live session nobody"})
