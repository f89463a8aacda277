"""What a session keeps of the gateway's memory after bursts of audio from its upstream, by TLS."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from picows import WSMsgType

from benchmarks.environment import settings, turngate
from benchmarks.load.generator import Generator
from benchmarks.load.session import LoadSession
from benchmarks.machine import Cores
from benchmarks.processes import resident_bytes
from tests.certificates import self_signed

PATIENCE_SECONDS = 60
SESSIONS = 30
#: Frames of a burst: 20 s of audio, 1.3 MB as the upstream sends it.
BURST = 1_000
KEPT_MAX = 150 << 10


async def test_a_burst_leaves_little_behind(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "localhost")
    here = frozenset(os.sched_getaffinity(0))
    async with Generator(certificate) as generator:
        env = {"SSL_CERT_FILE": str(certificate[0])}
        async with turngate(generator.tls_url, Cores(here, here), translators=1, env=env) as stack:
            # What a process allocates once is not a session's.
            async with generator.open(SESSIONS, stack.gateway_url, settings()) as first:
                await talk(first[0])
            async with generator.open(SESSIONS, stack.gateway_url, settings()) as sessions:
                pid = stack.processes["gateway-1"].pid
                assert pid is not None
                before = resident_bytes(pid)
                for session in sessions:
                    await talk(session)
                kept = (resident_bytes(pid) - before) / SESSIONS
                print(f"{kept / 1024:.0f} KiB")
                assert kept < KEPT_MAX


async def talk(session: LoadSession) -> None:
    """Three replies, each as fast as it is taken."""
    assert session.upstream is not None
    for _ in range(3):
        frame = session.begin_reply()
        for _ in range(BURST):
            session.down.send(0.0)
            session.upstream.send(WSMsgType.TEXT, frame)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while session.down.missing:
                await asyncio.sleep(0.001)
        session.end_reply()
