"""A peer that stops reading, on real sockets of both engines: the gateway's memory, the end of the session, and the
effect on other sessions. One session is slow, and the others send audio in real time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from picows import WSMsgType, WSTransport

from benchmarks.environment import settings, turngate
from benchmarks.load.frames import UPSTREAM_RATE, noise
from benchmarks.load.generator import Generator
from benchmarks.load.pacing import Pacer
from benchmarks.load.session import LoadSession
from benchmarks.machine import Cores
from benchmarks.metrics import metric
from benchmarks.parts.frame_latency import download, drained, upload
from benchmarks.processes import resident_bytes
from gateway.sockets.engines import ENGINES
from tests.certificates import self_signed
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Timeout of every wait in these tests.
PATIENCE_SECONDS = 30
NEIGHBOURS = 3
#: Minimum number of frames that each other session sends and receives, one second of audio.
HEARD = 50
#: Bytes sent to a peer that does not read, and the maximum growth of the gateway's memory.
OFFERED = 64 << 20
MAY_COST = 3 << 20


_KINDS = [(engine, tls) for engine in sorted(ENGINES) for tls in ("tls", "plain")]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=_KINDS)
async def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Generator, Stack]]:
    """An upstream, and a gateway with this engine and a stall limit of two seconds."""
    engine, tls = request.param
    certificate = self_signed(tmp_path_factory.mktemp("tls"), "localhost")
    # Without another connection to the upstream: the sockets are what is tested here.
    env = {
        "TURNGATE_SOCKET_ENGINE": engine,
        "SSL_CERT_FILE": str(certificate[0]),
        "TURNGATE_CLIENT_STALL_MS": "2000",
        "TURNGATE_UPSTREAM_RECONNECT_MS": "0",
    }
    here = frozenset(os.sched_getaffinity(0))
    async with Generator(certificate) as generator:
        url = generator.tls_url if tls == "tls" else generator.url
        async with turngate(url, Cores(here, here), translators=1, env=env) as stack:
            yield generator, stack


class Slow:
    """The slow session, and the gateway's memory."""

    def __init__(self, session: LoadSession, stack: Stack) -> None:
        self.session = session
        self.told: list[str] = []
        #: The maximum growth of the gateway's memory so far, in bytes.
        self.cost = 0
        self._stack = stack
        self._before = resident_bytes(self._pid)
        session.on_message = self._hear

    @property
    def client(self) -> WSTransport:
        assert self.session.client is not None
        return self.session.client

    @property
    def upstream(self) -> WSTransport:
        assert self.session.upstream is not None
        return self.session.upstream

    async def look(self) -> None:
        """Let some time pass, and measure the gateway's memory."""
        self.cost = max(self.cost, resident_bytes(self._pid) - self._before)
        await asyncio.sleep(0.02)

    async def until_no_more_is_taken_of(self, sender: WSTransport) -> None:
        """Wait until the sender's socket accepts no more data."""
        left, still = -1, 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while still < 10:
                await self.look()
                now = sender.underlying_transport.get_write_buffer_size()
                left, still = now, still + 1 if now == left else 0

    async def cuts(self, peer: str) -> float:
        return await metric(
            self._stack.internal_url("gateway"), "turngate_peers_cut_total", peer=peer, reason="stalled"
        )

    @property
    def _pid(self) -> int:
        pid = self._stack.processes["gateway-1"].pid
        assert pid is not None
        return pid

    def _hear(self, message: dict[str, Any], now: float) -> None:
        self.told.append(message.get("code", message["type"]))


@asynccontextmanager
async def slow_among_neighbours(generator: Generator, stack: Stack) -> AsyncIterator[Slow]:
    """Send audio in all sessions; at the end the other sessions must not have lost a frame."""
    async with generator.open(1 + NEIGHBOURS, stack.gateway_url, settings()) as (session, *neighbours):
        pacer = Pacer(
            [send for one in neighbours for send in (upload(one, UPSTREAM_RATE), download(one, UPSTREAM_RATE))]
        )
        slow = Slow(session, stack)
        pacer.start()
        try:
            yield slow
            async with asyncio.timeout(PATIENCE_SECONDS):
                while min(min(one.up.sent, one.down.sent) for one in neighbours) < HEARD:
                    await slow.look()
        finally:
            pacer.stop()
        print(f"memory: {slow.cost / 1024:+.0f} KiB")
        assert await drained(neighbours) == 0
        assert all(one.client and one.upstream for one in neighbours)


async def test_a_client_that_stops_reading(scene: tuple[Generator, Stack]) -> None:
    """It is disconnected after the stall limit; until then its upstream is not read."""
    async with slow_among_neighbours(*scene) as slow:
        before = await slow.cuts("client")
        slow.client.underlying_transport.pause_reading()
        frame, upstream = slow.session.begin_reply(), slow.upstream
        for _ in range(OFFERED // len(frame)):
            upstream.send(WSMsgType.TEXT, frame)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await slow.cuts("client") == before:
                await slow.look()
        assert upstream.underlying_transport.get_write_buffer_size() > OFFERED / 2, "the gateway took it all"
        assert slow.cost < MAY_COST
        slow.client.underlying_transport.resume_reading()
        upstream.underlying_transport.abort()


async def test_an_upstream_that_stops_reading(scene: tuple[Generator, Stack]) -> None:
    """It is disconnected after the stall limit, and the client gets an error; until then the client is not read."""
    async with slow_among_neighbours(*scene) as slow:
        before = await slow.cuts("upstream")
        upstream, client, frame = slow.upstream, slow.client, noise(UPSTREAM_RATE)
        upstream.underlying_transport.pause_reading()
        for _ in range(OFFERED // len(frame)):
            client.send(WSMsgType.BINARY, frame)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await slow.cuts("upstream") == before:
                await slow.look()
            assert client.underlying_transport.get_write_buffer_size() > OFFERED / 2, "the gateway took it all"
            while "upstream_stalled" not in slow.told:
                await slow.look()
        assert slow.cost < MAY_COST
        upstream.underlying_transport.resume_reading()


async def test_an_upstream_that_is_faster_than_its_client(scene: tuple[Generator, Stack]) -> None:
    """It is throttled, and the client receives every frame when it reads again."""
    async with slow_among_neighbours(*scene) as slow:
        before = await slow.cuts("client")
        slow.client.underlying_transport.pause_reading()
        frame, upstream = slow.session.begin_reply(), slow.upstream
        for _ in range(OFFERED // len(frame)):
            slow.session.down.send(0.0)
            upstream.send(WSMsgType.TEXT, frame)
        await slow.until_no_more_is_taken_of(upstream)
        assert upstream.underlying_transport.get_write_buffer_size() > OFFERED / 2
        slow.client.underlying_transport.resume_reading()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while slow.session.down.missing:
                await slow.look()
        assert slow.cost < MAY_COST
        slow.session.end_reply()
        assert await slow.cuts("client") == before
