"""What an operator relies on: probes that mean something, numbers, and a gateway that says good-bye."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from websockets.asyncio.client import connect

from tests.end_to_end.client import PATIENCE_SECONDS, Client, get
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


def http_of(stack: Stack) -> dict[str, str]:
    return {
        "gateway": stack.internal_url("gateway"),
        "session-state": stack.session_state_url,
        "translator": stack.translator_urls[0],
    }


async def fetch(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(url, timeout=PATIENCE_SECONDS)


async def test_every_service_says_that_it_lives_and_is_ready(stack: Stack) -> None:
    for service, url in http_of(stack).items():
        for page in ("/health", "/ready", "/metrics"):
            assert (await fetch(url + page)).status_code == 200, f"{service}{page}"


async def test_a_gateway_without_translators_is_not_ready_and_says_so(own_redis_url: str) -> None:
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, restarts=False) as stack:
        ready, translator = f"{stack.internal_url('gateway')}/ready", stack.processes["translator-1"].pid
        assert translator is not None
        os.kill(translator, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (answer := await fetch(ready)).status_code == 200:
                await asyncio.sleep(0.05)
        assert (answer.status_code, answer.json()["missing"]) == (503, ["translator"])
        assert (await fetch(f"{stack.internal_url('gateway')}/health")).status_code == 200


async def test_a_gateway_that_stops_says_so_and_leaves_nothing_behind(own_redis_url: str) -> None:
    """Rows "agent: shutdown", "agent: Error `SERVER_GOING_AWAY`": then a close that lets clients connect again."""
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, restarts=False) as stack, Client(stack) as client:
        session = (await client.until("Welcome"))["request_id"]
        await client.configured()
        pid = stack.processes["gateway-1"].pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        assert (await client.until("Error"))["code"] == "SERVER_GOING_AWAY"
        assert await client.until_closed() == 1012
        with redis.Redis.from_url(own_redis_url) as broker:
            async with asyncio.timeout(30):
                while broker.keys("turngate.gateway.*") or broker.zscore("turngate:sessions", session) is not None:
                    await asyncio.sleep(0.01)


async def until_ready_is(stack: Stack, status: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await fetch(f"{stack.internal_url('gateway')}/ready")).status_code != status:
            await asyncio.sleep(0.05)


async def accepts(stack: Stack) -> bool:
    """Whether the gateway takes one more client."""
    try:
        client = await connect(f"{stack.gateway_url}/openai")
    except OSError:
        return False
    await client.close()
    return True


def drains(redis_url: str, longest_ms: int) -> Stack:
    env = {"TURNGATE_DRAIN_MS": str(longest_ms)}
    return Stack(redis_url=redis_url, translators=1, pace=0.1, restarts=False, env=env)


async def test_a_gateway_that_is_asked_to_stop_lets_its_sessions_end(own_redis_url: str) -> None:
    async with drains(own_redis_url, 60_000) as stack, Client(stack) as client:
        await client.configured()
        gateway = stack.processes["gateway-1"]
        assert gateway.pid is not None
        os.kill(gateway.pid, signal.SIGTERM)
        await until_ready_is(stack, 503)
        assert (await fetch(f"{stack.internal_url('gateway')}/health")).status_code == 200
        assert "Still there" in await client.turn("Still there?"), "it goes on"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await accepts(stack):
                await asyncio.sleep(0.05)
        assert "And now" in await client.turn("And now?")
        await client.socket.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await gateway.given_up.wait()
        assert client.of_type("Error") == []


async def test_a_reply_may_end_when_the_time_for_draining_is_over(own_redis_url: str) -> None:
    async with drains(own_redis_url, 1_000) as stack, Client(stack) as client:
        await client.configured()
        await client.say(type="InjectUserMessage", content="[say 200 words]")
        await client.until("AgentStartedSpeaking")
        pid = stack.processes["gateway-1"].pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        assert (await client.until("Error"))["code"] == "SERVER_GOING_AWAY"
        assert len(client.of_type("AgentAudioDone")) == 1, "before that, the reply came to its end"
        assert await client.until_closed() == 1012


async def test_who_asks_twice_is_not_kept_waiting(own_redis_url: str) -> None:
    async with drains(own_redis_url, 600_000) as stack, Client(stack) as client:
        await client.configured()
        pid = stack.processes["gateway-1"].pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        await until_ready_is(stack, 503)
        os.kill(pid, signal.SIGTERM)
        assert (await client.until("Error"))["code"] == "SERVER_GOING_AWAY"
        assert await client.until_closed() == 1012


async def test_a_hook_can_drain_before_the_process_is_stopped(own_redis_url: str) -> None:
    async with drains(own_redis_url, 600_000) as stack, Client(stack) as client:
        await client.configured()
        hook = asyncio.create_task(fetch(f"{stack.internal_url('gateway')}/drain"))
        await until_ready_is(stack, 503)
        assert not hook.done()
        await client.socket.close()
        assert (await hook).json() == {"service": "gateway", "sessions": 0}


async def test_a_gateway_whose_task_ends_says_good_bye_and_is_started_again(own_redis_url: str) -> None:
    env = {"PYTHONPATH": str(Path(__file__).parents[1] / "killable"), "KILL_TASK": "publisher"}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack:
        gateway = stack.processes["gateway-1"]
        async with Client(stack) as client:
            await client.configured()
            assert gateway.pid is not None
            os.kill(gateway.pid, signal.SIGUSR1)
            assert (await client.until("Error"))["code"] == "SERVER_GOING_AWAY"
            assert await client.until_closed() == 1012
        async with asyncio.timeout(PATIENCE_SECONDS):
            while gateway.restarts == 0 or await gateway.program.check() is not None:
                await asyncio.sleep(0.05)
        async with Client(stack) as client:
            await client.configured()
            assert "Hello" in await client.turn("Hello?")


async def test_two_installations_share_a_redis_and_answer_their_own_clients(own_redis_url: str) -> None:
    stacks = [
        Stack(redis_url=own_redis_url, translators=1, pace=0, env={"TURNGATE_REDIS_PREFIX": prefix})
        for prefix in ("blue:", "green:")
    ]
    async with stacks[0] as blue, stacks[1] as green:
        for stack in (blue, green):
            async with Client(stack) as client:
                session = (await client.until("Welcome"))["request_id"]
                await client.configured()
                assert "Hello" in await client.turn("Hello?")
                shown = [str(await get(f"{other.session_state_url}/sessions")) for other in (blue, green)]
                assert [session in sessions for sessions in shown] == [stack is blue, stack is green]
        with redis.Redis.from_url(own_redis_url) as broker:
            keys: Any = broker.keys("*")
        assert all(key.startswith((b"blue:", b"green:")) for key in keys), keys


async def test_a_client_that_stops_reading_is_cut_and_its_neighbour_notices_nothing(own_redis_url: str) -> None:
    env = {"TURNGATE_CLIENT_STALL_MS": "500"}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack, Client(stack) as neighbour:
        await neighbour.configured()
        async with Client(stack) as deaf:
            session = (await deaf.until("Welcome"))["request_id"]
            await deaf.configured()
            await deaf.say(type="InjectUserMessage", content="[say 3000 words]")
            # It reads no more: the library's queue fills, then the kernel's buffers, then the gateway's.
            async with asyncio.timeout(60):
                while session in str(await get(f"{stack.session_state_url}/sessions")):
                    assert "Hello" in await neighbour.turn("Hello?")
