"""One service process behind the broker: consumers, supervised tasks, and HTTP for health and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from turngate.bus.bus import Bus
from turngate.bus.server import require_server
from turngate.process import garbage, log_events
from turngate.process.http import HttpServer, Readiness, application, listen
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
