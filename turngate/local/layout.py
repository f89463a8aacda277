"""Determines the processes of a stack, their settings, and their start order. No I/O."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from turngate.local.broker import server_command
from turngate.local.child import Program
from turngate.local.health import check
from turngate.local.ports import free_port
from turngate.process.redis_servers import ONLY

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Layout:
    """Programs by stage. All start at the same time, since each waits for what it needs. They are stopped stage by
    stage, the last one first."""

    stages: tuple[tuple[Program, ...], ...]
    #: The URLs of the Redis servers by name.
    redis_urls: Mapping[str, str]
    #: ``host:port`` by kind of service, in order of number.
    addresses: Mapping[str, tuple[str, ...]]
    #: The same of their probes and metrics.
    internal_addresses: Mapping[str, tuple[str, ...]]

    @property
    def redis_url(self) -> str:
        """The URL of the Redis server, or of the first of several."""
        return next(iter(self.redis_urls.values()))


def lay_out(
    counts: Mapping[str, int],
    ports: Mapping[str, int],
    *,
    redis_url: str | None = None,
    redis_urls: Mapping[str, str] | None = None,
    server: Path | None = None,
    brokers: int = 1,
    simulator: bool = True,
    pace: float | None = None,
    gateway_host: str = _HOST,
    env: Mapping[str, str] | None = None,
    faults_socket: Path | None = None,
    pick_port: Callable[[], int] = free_port,
) -> Layout:
    """Determine the programs of a stack.

    counts: the numbers of ``translator``, ``gateway`` and ``session-state`` processes.
    ports: the port of the first process of each kind; the others get one from ``pick_port``.
    faults_socket: where session-state asks for parts to be cut (`turngate.local.faults`).
    server: the broker's binary; None if the broker at ``redis_url``, or those of ``redis_urls``, are already running.
    brokers: how many of them are started; several are called ``redis-1``, ``redis-2``, and so on.
    """
    first: list[Program] = []
    if server is not None:
        picked = [ports.get("broker") or pick_port(), *(pick_port() for _ in range(1, brokers))]
        names = [ONLY] if brokers == 1 else [f"{ONLY}-{number}" for number in range(1, brokers + 1)]
        redis_urls = {name: f"redis://{_HOST}:{port}/0" for name, port in zip(names, picked, strict=True)}
        first += [_broker(server, port, name.replace(ONLY, "broker")) for name, port in zip(names, picked, strict=True)]
    elif redis_urls is None:
        if redis_url is None:
            raise ValueError("a stack needs a redis_url or a server")
        redis_urls = {ONLY: redis_url}
    shared = {**(env or {}), **_redis_variables(redis_urls), "TURNGATE_LOG_FORMAT": "json"}

    def services(
        kind: str, count: int, extra: Mapping[str, str] | None = None, host: str = _HOST
    ) -> tuple[Program, ...]:
        given = ports.get(kind) or pick_port()
        internal = (ports.get("gateway-internal") or pick_port()) if kind == "gateway" else 0
        return tuple(
            _service(
                kind,
                number,
                host,
                given if number == 1 else pick_port(),
                {**shared, **(extra or {})},
                internal_port=(internal if number == 1 else pick_port()) if kind == "gateway" else None,
            )
            for number in range(1, count + 1)
        )

    simulators: tuple[Program, ...] = ()
    upstream: dict[str, str] = {}
    if simulator:
        simulators = services("simulator", 1, {} if pace is None else {"TURNGATE_SIMULATOR_PACE": str(pace)})
        upstream = {
            "TURNGATE_UPSTREAM_URL": f"ws://{simulators[0].address}/v1/realtime",
            # Takes precedence over an OPENAI_API_KEY in the environment, which must not be sent to the simulator.
            "TURNGATE_OPENAI_API_KEY": shared.get("TURNGATE_SIMULATOR_API_KEY", "simulator"),
        }
    translators = services("translator", counts["translator"])
    # Whoever stops a stack on this machine does not wait for its conversations.
    at_once = {"TURNGATE_DRAIN_GRACE_MS": "0", "TURNGATE_DRAIN_MS": "0"}
    gateways = services("gateway", counts["gateway"], {**at_once, **shared, **upstream}, gateway_host)
    console = {"TURNGATE_CONSOLE_GATEWAY_URL": f"ws://{gateways[0].address}", **shared}
    if faults_socket is not None:
        console["TURNGATE_CONSOLE_FAULTS_SOCKET"] = str(faults_socket)
    session_states = services("session-state", counts["session-state"], console)
    kinds = {
        "simulator": simulators,
        "session-state": session_states,
        "translator": translators,
        "gateway": gateways,
    }
    return Layout(
        stages=(tuple(first), simulators + session_states, translators, gateways),
        redis_urls=redis_urls,
        addresses={
            kind: tuple(program.address for program in programs) for kind, programs in kinds.items() if programs
        },
        internal_addresses={
            kind: tuple(program.internal_address for program in programs)
            for kind, programs in kinds.items()
            if programs
        },
    )


def _redis_variables(urls: Mapping[str, str]) -> dict[str, str]:
    """The settings of services that lead to these servers. An empty variable counts as unset."""
    if list(urls) == [ONLY]:
        return {"TURNGATE_REDIS_URL": urls[ONLY], "TURNGATE_REDIS_URLS": ""}
    entries = " ".join(f"{name}={url}" for name, url in urls.items())
    return {"TURNGATE_REDIS_URL": "", "TURNGATE_REDIS_URLS": entries}


def _broker(server: Path, port: int, name: str) -> Program:
    async def unanswered() -> str | None:
        # Not with redis-py, which takes longer to import than the server to start.
        try:
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection(_HOST, port)
                writer.write(b"PING\r\n")
                answer = await reader.readline()
                writer.close()
        except OSError as error:
            return str(error)
        return None if answer == b"+PONG\r\n" else answer.decode(errors="replace").strip()

    command = tuple(server_command(server, port))
    return Program(name, command, unanswered, address=f"{_HOST}:{port}", shows_warnings=False, kind="broker")


def _service(
    kind: str, number: int, host: str, port: int, env: Mapping[str, str], *, internal_port: int | None
) -> Program:
    """One process of a service. ``internal_port`` is that of its probes, if it is not ``port``."""
    reached = {"0.0.0.0": _HOST, "::": "::1"}.get(host, host)
    address = f"[{reached}]:{port}" if ":" in reached else f"{reached}:{port}"
    variable = f"TURNGATE_{kind.replace('-', '_').upper()}"
    internal_address = address if internal_port is None else f"{_HOST}:{internal_port}"
    internal = {} if internal_port is None else {f"{variable}_INTERNAL_PORT": str(internal_port)}
    return Program(
        name="simulator" if kind == "simulator" else f"{kind}-{number}",
        command=(sys.executable, "-m", "turngate.local.service", kind),
        # The simulator depends on nothing, so it is ready when it is alive.
        check=answers(internal_address, "/health" if kind == "simulator" else "/ready"),
        address=address,
        internal_address=internal_address,
        env={**env, f"{variable}_HOST": host, f"{variable}_PORT": str(port), **internal},
        kind=kind,
    )


def answers(address: str, path: str) -> Callable[[], Awaitable[str | None]]:
    """A readiness check that requests this path of the service."""
    url = f"http://{address}{path}"
    host, _, port = address.rpartition(":")

    async def unanswered() -> str | None:
        # Asked often while a process starts: connecting costs a tenth of a request.
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError as error:
            return f"{url} does not answer: {error}"
        writer.close()
        return await asyncio.to_thread(check, url)

    return unanswered
