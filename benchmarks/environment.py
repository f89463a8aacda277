"""Starts the systems under test on their cores: a direct connection, baseline A, and turngate."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.certificates import self_signed
from benchmarks.load.exchange import CALLED
from benchmarks.load.generator import Generator
from benchmarks.machine import Cores
from benchmarks.processes import pin
from turngate.local.child import Child, Program
from turngate.local.ports import free_port
from turngate.local.stack import Stack, translators_for
from turngate.process.cores import usable_cores

#: The names of the compared subjects.
DIRECT, RELAY, SAME_RATE, RESAMPLED = "direct", "relay (A)", "turngate, 24 kHz", "turngate, 16 kHz"
#: The number of translators, as in `turngate run`.
TRANSLATORS = translators_for(usable_cores())
#: Maximum number of warnings shown per process.
_SHOWN = 10


@dataclass(frozen=True)
class Subject:
    """A system under test: where clients connect, and its processes."""

    name: str
    url: str
    processes: Mapping[str, int]
    #: The client's sample rate in Hz; None if frames are only forwarded.
    rate: int | None = None
    #: Whether its clients speak the protocol of the upstream.
    realtime: bool = False

    @property
    def settings(self) -> dict[str, Any] | None:
        """The ``Settings`` or ``session.update`` that a client of this subject sends first; None if it sends none."""
        if self.realtime:
            session = {"type": "realtime", "instructions": "You are a benchmark."}
            return {"type": "session.update", "session": session}
        return None if self.rate is None else settings(self.rate)


def settings(rate: int = 24_000, **agent: Any) -> dict[str, Any]:
    """A ``Settings`` message."""
    think = {
        "provider": {"type": "open_ai", "model": "gpt-realtime-2.1"},
        "prompt": "You are a benchmark.",
        "functions": [{"name": CALLED, "description": "The time.", "parameters": {"type": "object"}}],
    }
    audio = {
        "input": {"encoding": "linear16", "sample_rate": rate},
        "output": {"encoding": "linear16", "sample_rate": 24_000},
    }
    return {"type": "Settings", "audio": audio, "agent": {"think": think, **agent}}


@dataclass(frozen=True)
class Environment:
    """The load generator and the systems under test."""

    cores: Cores
    generator: Generator
    baseline: Subject
    stack: Stack
    #: For programs that are built, and their configuration.
    folder: Path
    #: Variables that make a program trust the upstream's certificate.
    trust: Mapping[str, str]

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The subjects of the audio parts, in the order of the report."""
        processes = processes_of(self.stack)
        return (
            Subject(DIRECT, self.generator.url, {}),
            self.baseline,
            Subject(SAME_RATE, self.stack.gateway_url, processes, 24_000),
            Subject(RESAMPLED, self.stack.gateway_url, processes, 16_000),
        )


@asynccontextmanager
async def environment(cores: Cores) -> AsyncIterator[Environment]:
    """Start everything in new processes. The upstream is reached by TLS, as every real one is."""
    with TemporaryDirectory() as folder:
        certificate = self_signed(Path(folder), "localhost")
        trust = {"SSL_CERT_FILE": str(certificate[0])}
        async with (
            Generator(certificate) as generator,
            relay(generator.tls_url, cores, trust) as baseline,
            turngate(generator.tls_url, cores, env=trust) as stack,
        ):
            yield Environment(cores, generator, baseline, stack, Path(folder), trust)


@asynccontextmanager
async def relay(upstream_url: str, cores: Cores, env: Mapping[str, str] | None = None) -> AsyncIterator[Subject]:
    """Start baseline A."""
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.baselines.relay", str(port), upstream_url)
    async with listening("relay", command, port, cores, env) as pid:
        yield Subject(RELAY, f"ws://127.0.0.1:{port}", {"relay": pid})


@asynccontextmanager
async def listening(
    name: str,
    command: tuple[str, ...],
    port: int,
    cores: Cores,
    env: Mapping[str, str] | None = None,
    *,
    shows_warnings: bool = True,
) -> AsyncIterator[int]:
    """Start a program that listens at this port of 127.0.0.1; yields its process id. It runs on the cores under test
    from then on. Raises `ChildError` if it does not listen in time."""
    address = f"127.0.0.1:{port}"
    check = partial(_unconnectable, port)
    program = Program(name, command, check, address=address, env=env or {}, shows_warnings=shows_warnings)
    child = Child(program, _Reports(), restarts=False)
    await child.start()
    try:
        assert child.pid is not None
        pin(child.pid, cores.test)
        yield child.pid
    finally:
        await child.stop()


@asynccontextmanager
async def turngate(
    upstream_url: str,
    cores: Cores,
    *,
    translators: int = TRANSLATORS,
    redis_servers: int | None = None,
    gateways: int = 1,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Stack]:
    """Start turngate as ``turngate run`` does, with the generator as its upstream. ``redis_servers``: start so many,
    also if the environment names one."""
    stack = Stack(
        translators=translators,
        gateways=gateways,
        simulator=False,
        redis_url=os.environ.get("TURNGATE_REDIS_URL") if redis_servers is None else None,
        redis_servers=redis_servers or 1,
        env={
            "TURNGATE_UPSTREAM_URL": f"{upstream_url}/v1/realtime",
            "TURNGATE_OPENAI_API_KEY": "benchmark",
            "TURNGATE_SESSIONS_MAX": "100000",
            **(env or {}),
        },
        report=_Reports(),
    )
    async with under_test(stack, cores):
        yield stack


@asynccontextmanager
async def under_test(stack: Stack, cores: Cores) -> AsyncIterator[Stack]:
    """Start this stack on the cores under test."""
    try:
        with cores.under_test():
            await stack.__aenter__()
        yield stack
    finally:
        await stack.stop()


def processes_of(stack: Stack) -> dict[str, int]:
    """The process ids of the stack by name, including the broker if the stack started it."""
    return {name: child.pid for name, child in stack.processes.items() if child.pid is not None}


class _Reports:
    """Prints the reports of processes, except readiness, on standard error."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, name: str, text: str) -> None:
        if text.startswith("ready ") or "open_to_anybody" in text:
            return
        seen = self._seen[name] = self._seen.get(name, 0) + 1
        if seen <= _SHOWN:
            print(f"{name}: {text}" + ("; more is not shown" if seen == _SHOWN else ""), file=sys.stderr)


async def _unconnectable(port: int) -> str | None:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        return str(error)
    writer.close()
    await writer.wait_closed()
    return None
