"""The numbers that operators read: each is moved by what it counts, on the page of the service that it means something
on, and docs/metrics.md lists them all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
import redis.asyncio

from tests.end_to_end.client import PATIENCE_SECONDS, Client, get
from turngate.bus.entries import fields_of
from turngate.local.stack import Stack
from turngate.protocol.messages import CLIENT_EVENTS, SendRelease, commands_stream

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
#: Half a second at 24 kHz.
_LOUD = b"\x40\x1f" * 12_000
_QUIET = bytes(24_000)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(redis_url: str) -> AsyncIterator[Stack]:
    """One of everything, which takes over quickly what was left unfinished."""
    url = f"{redis_url.rpartition('/')[0]}/2"
    async with Stack(redis_url=url, translators=1, pace=0.2, env={"TURNGATE_RECLAIM_AFTER_MS": "100"}) as running:
        yield running


def pages(stack: Stack) -> dict[str, str]:
    return {
        "gateway": stack.internal_url("gateway"),
        "session-state": stack.session_state_url,
        "translator": stack.translator_urls[0],
    }


async def read(stack: Stack, service: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(f"{pages(stack)[service]}/metrics")).text


class Number:
    """One series (or the sum of those that begin so) of one service, against what it was when this was made."""

    def __init__(self, stack: Stack, service: str, name: str) -> None:
        self._stack, self._service, self._name = stack, service, f"turngate_{name}"
        self._before = 0.0

    async def now(self) -> float:
        lines = (await read(self._stack, self._service)).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(self._name))

    async def __aenter__(self) -> Number:
        self._before = await self.now()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to undo."""

    async def grown(self) -> float:
        return await self.now() - self._before

    async def grows(self) -> None:
        """Return once it has."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await self.grown():
                await asyncio.sleep(0.01)


async def test_every_number_is_on_its_page_and_in_the_manual(stack: Stack) -> None:
    listed: dict[str, set[tuple[str, str]]] = {service: set() for service in pages(stack)}
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]* \| ([^|]+) \|", _PAGE.read_text("utf-8"), re.MULTILINE)
    for name, kind, services in rows:
        # Those of the supervisor of several workers are on its page: test_workers.
        for service in () if name.startswith("turngate_gateway_workers_") else services.split(", "):
            listed[service].add((name, kind))
    for service, metrics in listed.items():
        shown = re.findall(r"^# TYPE (turngate_\w+) (\w+)", await read(stack, service), re.MULTILINE)
        assert {(name, kind) for name, kind in shown if not name.endswith("_created")} == metrics, service


async def test_what_is_held_and_released(stack: Stack) -> None:
    outstanding = Number(stack, "gateway", 'requests_outstanding{kind="configuration"}')
    oldest = Number(stack, "gateway", "oldest_request_seconds")
    async with (
        Number(stack, "translator", 'releases_granted_total{by="reservation"}') as granted,
        Number(stack, "session-state", 'releases_granted_total{by="turn"}') as woken,
        Number(stack, "gateway", "release_latency_seconds_count") as latency,
        Number(stack, "gateway", "reply_latency_seconds_count") as replies,
        Client(stack) as client,
    ):
        await client.configured()
        await client.say(type="InjectUserMessage", content="[say 120 words]")
        await client.until("AgentStartedSpeaking")
        assert await Number(stack, "gateway", 'sessions{slot="active"}').now() == 1
        assert await granted.grown() >= 2
        assert await replies.grown() == 1
        async with Number(stack, "translator", 'reservations_total{outcome="held"}') as held:
            await client.say(type="UpdatePrompt", prompt="x")
            await held.grows()
        assert await outstanding.now() == 1
        assert await oldest.now() > 0
        await client.until("PromptUpdated")
        assert await woken.grown() >= 1
        assert await latency.grown() == 1
        assert await outstanding.now() == await oldest.now() == 0


async def test_what_another_response_settles(stack: Stack) -> None:
    async with Number(stack, "gateway", "answered_by_another_total") as settled, Client(stack) as client:
        await client.configured()
        await client.socket.send(_LOUD)
        await client.until("UserStartedSpeaking")
        await client.say(type="InjectUserMessage", content="And this?")
        await client.until("ConversationText", lambda message: message["content"] == "And this?")
        # The server answers what was said by itself, and knows what was typed.
        await client.socket.send(_QUIET)
        await client.until("AgentAudioDone")
        assert await settled.grown() == 1


async def test_what_is_published_again(stack: Stack) -> None:
    async with Number(stack, "gateway", "republished_total") as republished, Client(stack) as client:
        await client.configured()
        translator = stack.processes["translator-1"]
        translator.pause()
        try:
            await client.say(type="InjectUserMessage", content="Hello?")
            await republished.grows()
        finally:
            translator.resume()
        await client.until("AgentAudioDone")


async def test_releases_that_come_too_late(stack: Stack) -> None:
    async with (
        Number(stack, "gateway", 'releases_dropped_total{reason="stale"}') as stale,
        Number(stack, "gateway", 'releases_dropped_total{reason="occupied"}') as occupied,
        Client(stack) as client,
        redis.asyncio.Redis.from_url(stack.redis_url) as broker,
    ):
        session = (await client.until("Welcome"))["request_id"]
        await client.configured()
        gateway = (await get(f"{stack.session_state_url}/sessions/{session}"))["gateway"]
        again = SendRelease(session=session, release="again", configuration=None, configures=(1,), response=None)
        await broker.xadd(commands_stream(gateway), fields_of(again))
        await stale.grows()
        await client.say(type="InjectUserMessage", content="[say 40 words]")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt="x")
        early = SendRelease(session=session, release="early", configuration=None, configures=(3,), response=None)
        await broker.xadd(commands_stream(gateway), fields_of(early))
        await occupied.grows()
        await client.until("PromptUpdated")


async def test_a_connection_to_the_upstream_that_is_lost_in_a_reply(stack: Stack) -> None:
    async with (
        Number(stack, "gateway", 'upstream_legs_lost_total{reason="upstream_closed"}') as lost,
        Number(stack, "gateway", "restored_total") as restored,
        Number(stack, "gateway", "restore_seconds_count") as restores,
        Number(stack, "gateway", "silence_heard_seconds_count") as silences,
        Client(stack) as client,
    ):
        await client.configured()
        await client.say(type="InjectUserMessage", content="[say 40 words]")
        await client.until("AgentStartedSpeaking")
        await get(f"{stack.simulator_url}/cut")
        await client.until("AgentAudioDone")
        assert [await number.grown() for number in (lost, restored, restores, silences)] == [1, 1, 1, 1]


async def test_a_client_that_is_lost_and_returns(stack: Stack) -> None:
    waiting = Number(stack, "gateway", "sessions_parked")
    async with (
        Number(stack, "gateway", "parked_total") as parked,
        Number(stack, "gateway", 'clients_returned_total{session="parked"}') as returned,
    ):
        async with Client(stack, "/openai?resumable=1") as client:
            handle = (await client.until("Welcome"))["resume"]
            await client.configured()
            client.socket.transport.abort()
            await parked.grows()
        assert await waiting.now() == 1
        async with Client(stack, f"/openai?resume={handle}") as again:
            assert (await again.until("Welcome"))["resumed"]
            assert await waiting.now() == 0
        assert (await parked.grown(), await returned.grown()) == (1, 1)


async def test_entries_that_nobody_can_handle(stack: Stack) -> None:
    async with (
        Number(stack, "translator", f'reclaimed_total{{stream="{CLIENT_EVENTS}"}}') as reclaimed,
        Number(stack, "translator", f'dead_letters_total{{stream="{CLIENT_EVENTS}"}}') as buried,
        redis.asyncio.Redis.from_url(stack.redis_url) as broker,
    ):
        await broker.xadd(CLIENT_EVENTS, {"__data__": b"not JSON"})
        await buried.grows()
        assert await buried.grown() == 1
        assert await reclaimed.grown() == 2, "it was delivered three times"
