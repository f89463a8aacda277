"""One service process behind the broker: consumers, supervised tasks, and HTTP for health and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from turngate.bus.bus import Bus
from turngate.bus.buses import Buses
from turngate.process import garbage, log_events
from turngate.process.http import HttpServer, Readiness, application, listen
from turngate.process.supervisor import Supervisor, run_supervised


@dataclass(frozen=True, slots=True)
class Service:
    """What one process consists of; the wiring functions of the services return this."""

    name: str
    #: One on each Redis server.
    buses: Sequence[Bus]
    host: str
    port: int
    #: The name of the setting that ``port`` comes from, for the one who finds it taken.
    port_setting: str
    routes: Sequence[Route] = ()
    #: Called when the process is to stop, before its HTTP ends: end the replies that have no end.
    on_stop: Callable[[], None] = lambda: None
    #: Its supervised tasks, by name.
    background: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)

    @property
    def bus(self) -> Bus:
        """The bus, or the first of several."""
        return self.buses[0]


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
    buses = Buses(service.buses)
    try:
        await buses.start(supervisor)
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
        await buses.stop()
        log_events.stopped()
    finally:
        listener.close()
        await buses.close()


def service_application(service: Service, supervisor: Supervisor) -> Starlette:
    """The HTTP of this service."""
    buses = Buses(service.buses)

    async def readiness() -> Readiness:
        return Readiness(supervisor.healthy and await buses.ready())

    return application(service.name, lambda: supervisor.healthy and buses.alive(), readiness, service.routes)
