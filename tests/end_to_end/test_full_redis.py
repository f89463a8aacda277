"""A Redis that is out of memory while people talk: audio goes on, nobody new comes in, and all of it ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import redis.asyncio

from tests.end_to_end.client import PATIENCE_SECONDS, Client
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Half a second at 24 kHz.
_LOUD = b"\x40\x1f" * 12_000
_QUIET = bytes(24_000)


@pytest_asyncio.fixture(loop_scope="session")
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """One of everything, with a Redis of its own."""
    async with Stack(translators=1, pace=0.2, log_folder=tmp_path) as running:
        yield running


async def status(stack: Stack, page: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(stack.internal_url("gateway") + page)).status_code


async def until_status(stack: Stack, page: str, code: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await status(stack, page) != code:
            await asyncio.sleep(0.05)


def count_refusals(logs: Path) -> dict[str, int]:
    """Lines about refusals in the log of each process."""
    return {log.name: log.read_text("utf-8").count("redis_refuses") for log in logs.glob("*.log")}


async def test_a_full_redis_costs_no_conversation_its_audio_and_no_request_its_answer(
    stack: Stack, tmp_path: Path
) -> None:
    async with Client(stack) as client, redis.asyncio.Redis.from_url(stack.redis_url) as admin:
        await client.configured()
        await client.turn("Hello?")
        configured: Any = await admin.config_get("maxmemory")
        await admin.config_set("maxmemory", 1)
        await until_status(stack, "/ready", 503)
        assert await status(stack, "/health") == 200, "a new process would not help"
        await client.say(type="UpdatePrompt", prompt="Be brief.")
        await client.socket.send(_LOUD)
        await client.until("UserStartedSpeaking")
        await client.socket.send(_QUIET)
        await client.until("AgentAudioDone")
        assert client.of_type("PromptUpdated") == []
        await admin.config_set("maxmemory", configured["maxmemory"])
        await client.until("PromptUpdated")
        await until_status(stack, "/ready", 200)
        assert "And now" in await client.turn("And now?")
        assert client.of_type("Error") == client.of_type("Warning") == []
    refusals = count_refusals(tmp_path)
    assert refusals["gateway-1.log"] > 0
    assert max(refusals.values()) <= 10, "once per kind and interval"
