"""Clients that hold as much as they may, on both engines, and connections that never say anything."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from benchmarks.environment import settings, turngate
from benchmarks.load.generator import Generator
from benchmarks.machine import Cores
from gateway.sockets.engines import ENGINES

PATIENCE_SECONDS = 60
CORES = Cores(frozenset({0}), frozenset({0}))
TEXT = orjson.dumps({"type": "InjectUserMessage", "content": "x" * 200_000}).decode()


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def configured(url: str) -> ClientConnection:
    client = await connect(f"{url}/openai", max_size=None)
    await client.send(orjson.dumps(settings()).decode())
    await heard(client, "SettingsApplied")
    return client


async def heard(client: ClientConnection, what: str) -> dict[str, Any]:
    """The next message of this type, or with this code."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            message = orjson.loads(await client.recv())
            if what in (message["type"], message.get("code")):
                return dict(message)


async def status(url: str) -> int:
    """Of the upgrade of one more client; 0 if it was refused without saying when to come back."""
    try:
        client = await connect(f"{url}/openai")
    except InvalidStatus as refused:
        return refused.response.status_code if "Retry-After" in refused.response.headers else 0
    await client.close()
    return 101


async def test_requests_that_wait_are_bounded_in_bytes_and_the_process_takes_no_more_sessions(engine: str) -> None:
    """The upstream of the load generator answers no ``response.create``, so every request waits."""
    env = {
        "TURNGATE_SOCKET_ENGINE": engine,
        "TURNGATE_SESSIONS_MAX_BYTES": "2000000",
        "TURNGATE_CLIENT_TEXT_BYTES_PER_SECOND": "0",
    }
    async with Generator() as generator, turngate(generator.url, CORES, translators=1, env=env) as stack:
        url = stack.gateway_url
        async with generator.sessions(0), await configured(url) as client:
            for _ in range(30):
                await client.send(TEXT)
            warning = await heard(client, "TOO_MANY_REQUESTS")
            assert "this one was not accepted" in warning["description"]
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (refused := await status(url)) == 101:
                    await asyncio.sleep(0.05)
            assert refused == 503
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await status(url) != 101:
                await asyncio.sleep(0.05)


async def test_connections_that_say_nothing_keep_nobody_out(engine: str) -> None:
    env = {"TURNGATE_SOCKET_ENGINE": engine}
    async with Generator() as generator, turngate(generator.url, CORES, translators=1, env=env) as stack:
        host, port = stack.gateway_url.removeprefix("ws://").split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
        for _, writer in silent[::2]:
            writer.write(b"GET /openai HTTP/1.1\r\nHost: ")
        async with await configured(stack.gateway_url):
            pass
        # The gateway drops them by itself.
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True)
        for _, writer in silent:
            writer.close()
