"""Limits and origins on real sockets, on both engines."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.sockets.engines import ENGINES
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")
AGENT = "/v1/agent/converse"
PATIENCE_SECONDS = 60


async def attempt(url: str, **options: Any) -> ClientConnection | int:
    """A connection, or the status with which it was refused."""
    try:
        return await connect(url, **options)
    except InvalidStatus as refused:
        told = "Retry-After" in refused.response.headers
        return refused.response.status_code if told or refused.response.status_code != 429 else 0


@pytest.mark.parametrize("engine", sorted(ENGINES))
async def test_sixty_clients_at_once_do_not_exceed_a_limit_of_five(own_redis_url: str, engine: str) -> None:
    env = {"TURNGATE_SESSIONS_MAX": "5", "TURNGATE_SOCKET_ENGINE": engine}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack:
        results = await asyncio.gather(*(attempt(stack.gateway_url + AGENT) for _ in range(60)))
        admitted = [result for result in results if isinstance(result, ClientConnection)]
        assert len(admitted) == 5
        assert {result for result in results if not isinstance(result, ClientConnection)} == {429}
        for client in admitted:
            await client.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while isinstance(again := await attempt(stack.gateway_url + AGENT), int):
                await asyncio.sleep(0.05)
        await again.close()


@pytest.mark.parametrize("engine", sorted(ENGINES))
async def test_one_address_cannot_take_all_sessions(own_redis_url: str, engine: str) -> None:
    env = {"TURNGATE_ADDRESS_SESSIONS_MAX": "3", "TURNGATE_SOCKET_ENGINE": engine}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack:

        async def refused() -> bool:
            client = await attempt(stack.gateway_url + AGENT)
            if isinstance(client, int):
                return client == 429
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await client.recv()
            except ConnectionClosed as closed:
                return closed.rcvd is not None and closed.rcvd.code == 1013
            return False

        assert sum(await asyncio.gather(*(refused() for _ in range(20)))) == 17


async def test_a_web_page_of_elsewhere_cannot_use_an_open_gateway(stack: Stack) -> None:
    assert await attempt(stack.gateway_url + AGENT, origin="https://evil.example") == 403
    client = await attempt(stack.gateway_url + AGENT, origin="http://localhost:5173")
    assert isinstance(client, ClientConnection)
    await client.close()


async def test_a_path_that_cannot_be_read_is_a_bad_request(stack: Stack) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(stack.gateway_url.rpartition(":")[2]))
    writer.write(b"GET //[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert b" 400 " in await reader.readline()
    writer.close()


async def test_a_request_without_an_upgrade_says_what_is_missing_and_takes_no_place(own_redis_url: str) -> None:
    env = {"TURNGATE_SESSIONS_MAX": "1"}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack:
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(5):
                response = await http.get(stack.gateway_url.replace("ws://", "http://") + AGENT)
                assert response.status_code == 426
        client = await attempt(stack.gateway_url + AGENT)
        assert isinstance(client, ClientConnection)
        await client.close()
