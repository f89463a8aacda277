"""One service process behind the broker: consumers, background work, and HTTP for health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
import uvicorn
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from turngate.bus.broker import Consumers, require_redis
from turngate.process import garbage
from turngate.process.settings import BrokerSettings, SettingsError
from turngate.process.tasks import end

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """What one process consists of; the wiring functions of the services return this."""

    name: str
    settings: BrokerSettings
    redis: Redis
    consumers: Consumers
    host: str
    port: int
    #: The name of the setting that ``port`` comes from, for the one who finds it taken.
    port_setting: str
    routes: Sequence[Route] = ()
    #: Work that goes on from start to stop; each is cancelled at the end.
    background: Sequence[Callable[[], Awaitable[None]]] = ()


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON reply; ``value`` is anything that orjson takes."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. Raises `SettingsError` when the address is taken or not ours, naming the setting."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise SettingsError(f"{setting}: cannot listen on {host}:{port} ({error.strerror})") from None


def run(wire: Callable[[], Service]) -> None:
    """Run a service until SIGTERM or SIGINT, then stop it in order. Raises `SettingsError` when it cannot start.

    ``wire`` is called inside the event loop.
    """
    uvloop.run(_run(wire))


async def _run(wire: Callable[[], Service]) -> None:
    service = wire()
    listener = listen(service.host, service.port, service.port_setting)
    with contextlib.closing(listener):
        try:
            await require_redis(service.redis, service.settings)
            config = uvicorn.Config(
                _application(service), log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5
            )
            await uvicorn.Server(config).serve(sockets=[listener])
        finally:
            await service.redis.aclose()


def _application(service: Service) -> Starlette:
    async def health(_: Request) -> Response:
        alive = service.consumers.alive()
        return json_response({"service": service.name, "consumers": alive}, 200 if alive else 503)

    async def ready(_: Request) -> Response:
        is_ready = await service.consumers.ready()
        return json_response({"service": service.name, "ready": is_ready}, 200 if is_ready else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await service.consumers.start()
        tasks = [asyncio.ensure_future(work()) for work in service.background]
        garbage.settle()
        log.info("started", host=service.host, port=service.port)
        try:
            yield
        finally:
            await end(tasks)
            await service.consumers.stop()
            log.info("stopped")

    own = [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
    return Starlette(routes=[*own, *service.routes], lifespan=lifespan)
