"""One service process behind the broker: consumers, supervised tasks, and HTTP for health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from turngate.bus.bus import Bus
from turngate.bus.server import require_server
from turngate.process import garbage, log_events
from turngate.process.settings import SettingsError
from turngate.process.supervisor import Supervisor, run_supervised


@dataclass(frozen=True, slots=True)
class Service:
    """What one process consists of; the wiring functions of the services return this."""

    name: str
    bus: Bus
    host: str
    port: int
    #: The name of the setting that ``port`` comes from, for the one who finds it taken.
    port_setting: str
    routes: Sequence[Route] = ()
    #: Called when the process is to stop, before its HTTP ends: end the replies that have no end.
    on_stop: Callable[[], None] = lambda: None
    #: Its supervised tasks, by name.
    background: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON reply; ``value`` is anything that orjson takes."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. Raises `SettingsError` when the address is taken or not ours, naming the setting."""
    ipv6 = ":" in host
    try:
        return socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ipv6 else socket.AF_INET,
            backlog=1024,
            # `::` means every address of the machine, of either version.
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise _not_listening(host, port, setting, error) from None


def _not_listening(host: str, port: int, setting: str, error: OSError) -> SettingsError:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return SettingsError(f"{setting}: cannot listen on {address} ({error.strerror})")


def bind_shared(host: str, port: int, setting: str) -> socket.socket:
    """A socket at an address that several processes of this user share (``SO_REUSEPORT``); the kernel gives each new
    connection to one of those that listen. This one does not yet. Raises `SettingsError` as `listen`."""
    ipv6 = ":" in host
    shared = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
    try:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if ipv6:
            shared.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        shared.bind((host, port))
    except OSError as error:
        shared.close()
        raise _not_listening(host, port, setting, error) from None
    return shared


class HttpServer(uvicorn.Server):
    """Serves an application; leaves signals to the supervisor. Set ``should_exit`` to end `serve`."""

    def __init__(self, application: Starlette) -> None:
        super().__init__(
            uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5)
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def run(wire: Callable[[], Service]) -> None:
    """Run a service until SIGTERM or SIGINT, then stop it in order. Raises `SettingsError` when it cannot start, and
    exits the process with code 1 when one of its tasks ended.

    ``wire`` is called inside the event loop.
    """

    async def wired(supervisor: Supervisor) -> None:
        await serve(wire(), supervisor)

    run_supervised(wired)


async def serve(service: Service, supervisor: Supervisor) -> None:
    """Start the service and its HTTP, wait until it should stop, and stop it. Raises `SettingsError`."""
    http = HttpServer(service_application(service, supervisor))
    listener = listen(service.host, service.port, service.port_setting)
    try:
        await require_server(service.bus.redis, service.bus.settings)
        await service.bus.start()
        supervisor.start("consumer watch", service.bus.watch)
        for name, work in service.background.items():
            supervisor.start(name, work)
        serving = supervisor.start("http", lambda: http.serve(sockets=[listener]))
        garbage.settle()
        log_events.started(host=service.host, port=service.port)
        await supervisor.wait()
        service.on_stop()
        http.should_exit = True
        await asyncio.wait([serving])
        await supervisor.end()
        await service.bus.stop()
        log_events.stopped()
    finally:
        listener.close()
        await service.bus.close()


def service_application(service: Service, supervisor: Supervisor) -> Starlette:
    """The HTTP of this service."""

    async def readiness() -> Readiness:
        return Readiness(supervisor.healthy and await service.bus.ready())

    return application(service.name, lambda: supervisor.healthy and service.bus.alive(), readiness, service.routes)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process can do its work now, and which services it needs and does not see."""

    ready: bool
    missing: Sequence[str] = ()


def application(
    name: str,
    alive: Callable[[], bool],
    readiness: Callable[[], Awaitable[Readiness]],
    routes: Sequence[Route] = (),
) -> Starlette:
    """The HTTP of a process for operators: health, readiness, metrics, and its own routes."""

    async def health(_: Request) -> Response:
        lives = alive()
        return json_response({"service": name, "consumers": lives}, 200 if lives else 503)

    async def ready(_: Request) -> Response:
        found = await readiness()
        told = {"service": name, "ready": found.ready, **({"missing": found.missing} if found.missing else {})}
        return json_response(told, 200 if found.ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    own = [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *routes])
