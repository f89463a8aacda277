"""Several Redis servers: real ones, one of which is stopped, killed, added and taken out while people talk."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.end_to_end.client import PATIENCE_SECONDS, get, settings
from tests.end_to_end.line import Line
from tests.integration.test_watching import Events
from turngate.bus.placement import preferred
from turngate.local.broker import find_server, server_command
from turngate.local.child import Child
from turngate.local.ports import free_port
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE, TWO = "redis-1", "redis-2"
#: More than are likely to be all on one of two servers.
MANY = 12


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two() -> AsyncIterator[Stack]:
    """Two servers, and two gateways, which wait long enough for each other on a busy machine."""
    env = {"TURNGATE_CLAIM_WAIT_MS": "10000", "TURNGATE_RETRANSMIT_AFTER_MS": "1000"}
    async with Stack(redis_servers=2, gateways=2, translators=1, pace=0.0, env=env) as stack:
        yield stack


class Talk:
    """A conversation whose client can return, to any gateway."""

    def __init__(self, stack: Stack, urls: tuple[str, ...] | None = None) -> None:
        self._stack = stack
        self._urls = urls or stack.gateway_urls
        self._name = str(uuid4())
        self._lines = AsyncExitStack()
        self.line: Line
        self.welcome: dict[str, Any]

    async def connect(self, gateway: int = 1) -> Talk:
        """Connect to this gateway; the connection before is lost."""
        if hasattr(self, "line"):
            self.line.cut()
        headers = {"x-deepgram-session-id": self._name}
        url = f"{self._urls[gateway - 1]}/v1/agent/converse"
        socket = await self._lines.enter_async_context(connect(url, max_size=None, additional_headers=headers))
        self.line = Line(socket)
        self.welcome = await self.line.until("Welcome")
        return self

    async def configure(self) -> Talk:
        await self.line.say(**settings())
        await self.line.until("SettingsApplied")
        return self

    async def update(self, prompt: str) -> None:
        await self.line.say(type="UpdatePrompt", prompt=prompt)

    @property
    def id(self) -> str:
        return str(self.welcome["request_id"])

    async def server(self) -> str:
        """The Redis server that it belongs to."""
        return str((await self._described())["server"])

    async def gateway(self) -> str:
        """The gateway that owns it."""
        return str((await self._described())["gateway"])

    async def _described(self) -> dict[str, Any]:
        """The session as session-state knows it, once it does."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "server" not in (found := await get(f"{self._stack.session_state_url}/sessions/{self.id}")):
                await asyncio.sleep(0.02)
        return dict(found)

    async def close(self) -> None:
        await self._lines.aclose()


@asynccontextmanager
async def talks(stack: Stack, number: int = MANY, urls: tuple[str, ...] | None = None) -> AsyncIterator[list[Talk]]:
    """So many conversations, configured."""
    begun = [Talk(stack, urls) for _ in range(number)]
    try:
        await asyncio.gather(*(talk.connect() for talk in begun))
        await asyncio.gather(*(talk.configure() for talk in begun))
        yield begun
    finally:
        await asyncio.gather(*(talk.close() for talk in begun))


async def servers(begun: list[Talk]) -> dict[str, list[Talk]]:
    """The conversations by their servers."""
    found: dict[str, list[Talk]] = {}
    for talk in begun:
        found.setdefault(await talk.server(), []).append(talk)
    return found


async def listed(stack: Stack, query: str = "") -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
        found: dict[str, Any] = (await http.get(f"{stack.session_state_url}/sessions{query}")).json()
    return found


async def until_it_works(url: str, server: str, works: bool) -> None:
    """Wait until this gateway says so of a server; ``url`` is where its metrics are."""
    sample = re.compile(rf'^turngate_redis_works{{server="{server}"}} {float(works)}$', re.MULTILINE)
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(PATIENCE_SECONDS):
        while not sample.search((await http.get(f"{url}/metrics")).text):
            await asyncio.sleep(0.05)


async def test_sessions_are_spread_by_their_ids_and_all_are_listed_page_by_page(two: Stack) -> None:
    async with talks(two) as begun:
        by_server = await servers(begun)
        assert set(by_server) == {ONE, TWO}
        for server, own in by_server.items():
            assert {preferred(talk.id, [ONE, TWO])[0] for talk in own} == {server}
        for talk in begun:
            assert "Ada" in await talk.line.turn("My name is Ada.")
        everything = await listed(two)
        ids = [one["session"] for one in everything["sessions"]]
        assert {talk.id for talk in begun} <= set(ids)
        assert everything.keys() == {"sessions"}
        pages: list[str] = []
        query = "?limit=5"
        while query:
            page = await listed(two, query)
            pages += [one["session"] for one in page["sessions"]]
            query = f"?limit=5&cursor={page['next']}" if "next" in page else ""
        assert pages == ids
        (found,) = (await listed(two, f"?search={begun[0].id}%20idle"))["sessions"]
        assert found["session"] == begun[0].id
        assert (await listed(two, "?only=parked"))["sessions"] == []
        assert "limit" in (await listed(two, "?limit=0"))["error"]
        assert "held" in (await listed(two, "?only=others"))["error"]


async def test_a_client_that_comes_to_another_gateway_finds_its_session_on_its_server(two: Stack) -> None:
    async with talks(two) as begun:
        for server, (talk, other, *_) in (await servers(begun)).items():
            session, first = talk.id, await other.gateway()
            for gateway in (2, 1):
                await talk.connect(gateway)
                assert (talk.welcome["resumed"], talk.id) == (True, session)
                await talk.update("Mind the cat.")
                await talk.line.until("PromptUpdated")
                assert await talk.server() == server
                assert (await talk.gateway() == first) == (gateway == 1)


async def test_a_server_that_hangs_costs_its_sessions_a_delay_and_no_others_anything(two: Stack) -> None:
    async with talks(two) as begun:
        by_server = await servers(begun)
        (here, moving, *_), (there, *_) = by_server[ONE], by_server[TWO]
        two.processes["broker-2"].pause()
        try:
            await there.update("After.")
            await undisturbed(two, here)
            # At another gateway, which asks the server that hangs too.
            await moving.connect(2)
            assert moving.welcome["resumed"] is True
            await until_it_works(two.internal_url("gateway"), TWO, False)
            await begun_on(two, ONE)
            assert (await listed(two))["unreachable"] == [TWO]
            assert await heard(two, here) == [TWO]
        finally:
            two.processes["broker-2"].resume()
        await there.line.until("PromptUpdated")
        assert "After." in await there.line.turn("What are your instructions?")
        await until_it_works(two.internal_url("gateway"), TWO, True)
        assert "unreachable" not in await listed(two)
        assert await heard(two, there) == []


async def heard(stack: Stack, talk: Talk) -> list[str]:
    """Watch all sessions until this one is told to have changed. Returns the servers that are not heard."""
    async with (
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http,
        http.stream("GET", f"{stack.session_state_url}/events") as answer,
    ):
        events = Events(answer)
        name, began = await events.next()
        assert name == "watching"
        await talk.update("Watched.")
        await talk.line.until("PromptUpdated")
        while (told := await events.next())[1].get("session") != talk.id:
            pass
        assert told[1]["server"] == await talk.server()
        return list(began.get("unreachable", []))


async def test_a_server_that_is_killed_and_comes_back_empty(two: Stack) -> None:
    async with talks(two) as begun:
        by_server = await servers(begun)
        (here, *_), (there, *_) = by_server[ONE], by_server[TWO]
        two.processes["broker-2"].kill_permanently()
        await there.update("After.")
        await until_it_works(two.internal_url("gateway"), TWO, False)
        await undisturbed(two, here)
        await begun_on(two, ONE)
        found = await listed(two)
        assert found["unreachable"] == [TWO]
        assert {one["server"] for one in found["sessions"]} == {ONE}
        assert (await get(f"{two.session_state_url}/sessions/{there.id}"))["unreachable"] == [TWO]
        broker = Child(two.processes["broker-2"].program, lambda *_: None)
        await broker.start()
        two.processes["broker-2"] = broker
        await there.line.until("PromptUpdated")
        assert "After." in await there.line.turn("What are your instructions?")
        assert await there.server() == TWO


async def undisturbed(stack: Stack, talk: Talk) -> None:
    """A conversation goes on, and every service says that it lives and is ready."""
    await talk.update("Meanwhile.")
    await talk.line.until("PromptUpdated")
    assert "Meanwhile." in await talk.line.turn("What are your instructions?")
    assert "Error" not in talk.line.types()
    for url in (stack.internal_url("gateway"), stack.session_state_url, *stack.translator_urls):
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
            for page in ("/health", "/ready"):
                assert (await http.get(url + page)).status_code == 200, url + page


async def begun_on(stack: Stack, server: str) -> None:
    """New sessions begin on this server only."""
    async with talks(stack) as begun:
        assert set(await servers(begun)) == {server}


@asynccontextmanager
async def another_gateway(stack: Stack, **env: str) -> AsyncIterator[tuple[str, str]]:
    """A gateway process more, with these settings; its URL for clients, and that of its metrics."""
    first = stack.processes["gateway-1"].program
    ports = {name: free_port() for name in ("TURNGATE_GATEWAY_PORT", "TURNGATE_GATEWAY_INTERNAL_PORT")}
    public, internal = (f"127.0.0.1:{port}" for port in ports.values())
    given = {**first.env, **{name: str(port) for name, port in ports.items()}, **env}
    ready = f"http://{internal}/ready"

    async def check() -> str | None:
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.get(ready)
        except httpx.TransportError as error:
            return str(error)
        return None if answer.status_code == 200 else answer.text

    child = Child(replace(first, name=f"gateway-{public}", env=given, check=check), lambda *_: None)
    await child.start()
    try:
        yield f"ws://{public}", f"http://{internal}"
    finally:
        await child.stop()


async def test_a_server_is_added_and_one_is_taken_out_while_people_talk(two: Stack) -> None:
    """By gateways that know the first server only, both, and both of which the first one leaves."""
    async with AsyncExitStack() as stack:
        short = {"TURNGATE_REDIS_URLS": f"{ONE}={two.redis_urls[ONE]}"}
        before, _ = await stack.enter_async_context(another_gateway(two, **short))
        after, metrics = await stack.enter_async_context(another_gateway(two, TURNGATE_REDIS_LEAVING=ONE))
        urls = (before, two.gateway_url, after)
        old = await stack.enter_async_context(talks(two, MANY, urls))
        assert set(await servers(old)) == {ONE}
        both = await stack.enter_async_context(talks(two))
        assert set(await servers(both)) == {ONE, TWO}
        await until_it_works(metrics, TWO, True)
        new = await stack.enter_async_context(talks(two, MANY, (after,)))
        assert set(await servers(new)) == {TWO}
        for gateway in (2, 3):
            session = old[0].id
            await old[0].connect(gateway)
            assert (old[0].welcome["resumed"], old[0].id) == (True, session)
            await old[0].update("On.")
            await old[0].line.until("PromptUpdated")
            assert await old[0].server() == ONE, "it stays where it began"


@contextmanager
def broker(port: int, folder: Path) -> Iterator[None]:
    command = [*server_command(find_server(), port), "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def test_what_answers_is_enough_to_start_and_the_other_is_used_when_it_comes(tmp_path: Path) -> None:
    ports = {ONE: free_port(), TWO: free_port()}
    urls = {name: f"redis://127.0.0.1:{port}/0" for name, port in ports.items()}
    with broker(ports[ONE], tmp_path):
        async with Stack(redis_urls=urls, translators=1, pace=0.0, restarts=False) as stack:
            await begun_on(stack, ONE)
            with broker(ports[TWO], tmp_path):
                await until_it_works(stack.internal_url("gateway"), TWO, True)
                async with talks(stack) as begun:
                    assert set(await servers(begun)) == {ONE, TWO}
