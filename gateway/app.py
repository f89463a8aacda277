"""The service: wires a gateway process, starts it, and stops it in order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import log_events, metrics
from gateway.admission.authentication import Authentication
from gateway.admission.keys import read_keys, warn_if_open
from gateway.admission.origins import Origins
from gateway.admission.tallies import Tallies
from gateway.admission.token_secrets import read_tokens
from gateway.config import GatewaySettings
from gateway.drain import Drain
from gateway.on_server import OnServer
from gateway.redis_servers import RedisServers
from gateway.server import GatewayServer
from gateway.session.dialler import Dialler, with_model
from gateway.sockets.engines import ENGINES
from gateway.sockets.interface import Engine
from turngate import kernel
from turngate.bus.bus import Bus
from turngate.bus.buses import Buses, Work, background
from turngate.process import garbage, logging
from turngate.process import log_events as process_events
from turngate.process.http import HttpServer, Readiness, application, json_response, listen
from turngate.process.model_ends import announced_ends, warn_of_ends
from turngate.process.settings import SettingsError
from turngate.process.supervisor import Supervisor, run_supervised
from turngate.process.urls import without_secrets
from turngate.tracing.setup import traces

#: Seconds that clients get to be told good-bye, and last records to be published.
_FAREWELL = 3.0
#: Seconds that the upstream may take to answer a ping, at least.
_PING_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a gateway process serves. Each of the two functions makes a socket, for clients and for operators, and
    raises `SettingsError`."""

    public: Callable[[], socket.socket]
    internal: Callable[[], socket.socket]
    #: The number of this process, if it is one of several (`gateway.workers`), and what they count together.
    worker: int | None = None
    tallies: Tallies | None = None


def own_seat(settings: GatewaySettings) -> Seat:
    """That of a gateway which is one process."""
    public = (settings.gateway_host, settings.gateway_port, "TURNGATE_GATEWAY_PORT")
    internal = (settings.gateway_internal_host, settings.gateway_internal_port, "TURNGATE_GATEWAY_INTERNAL_PORT")
    return Seat(lambda: listen(*public), lambda: listen(*internal))


def run(settings: GatewaySettings, seat: Seat | None = None) -> None:
    """Run a gateway process until SIGTERM or SIGINT. Raises `SettingsError` when it cannot start, and exits the process
    with code 1 when one of its tasks ended."""
    seat = seat or own_seat(settings)
    named = {} if seat.worker is None else {"worker": str(seat.worker)}
    logging.configure(settings, "gateway", gateway=settings.gateway_id, **named)
    check_kernel()

    async def wired(supervisor: Supervisor) -> None:
        buses = Bus.connect_all(settings, tracer)
        await Gateway(settings, supervisor, buses, ENGINES[settings.socket_engine], seat).serve()

    with traces("gateway", settings.gateway_id) as tracer:
        run_supervised(wired)


def check_kernel() -> None:
    """Log it if the compiled kernel is not built. Raises `SettingsError` if nothing can take its place."""
    try:
        if kernel.implementation() != "compiled":
            log_events.kernel_not_compiled()
    except kernel.NoKernelError as error:
        raise SettingsError(str(error)) from None


async def _warn_of_ends(settings: GatewaySettings) -> None:
    """Tell the operator when the model ends. What the upstream says of it is asked once, and may be missing."""
    announced = {}
    if settings.openai_api_key is not None and not settings.simulated:
        announced = await announced_ends(settings.upstream, settings.openai_api_key.get_secret_value())
    if not settings.simulated:
        warn_of_ends([settings.upstream_model], announced)


def dialler(settings: GatewaySettings, engine: Engine) -> Dialler:
    """What opens the upstream connections that these settings ask for."""
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key is not None else "none"
    return Dialler(
        engine,
        with_model(settings.upstream, settings.upstream_model),
        # No other header: OpenAI ends a connection that carries the beta's.
        {"Authorization": f"Bearer {key}"},
        ping_timeout=max(_PING_TIMEOUT, settings.client_stall_ms / 1000),
        receive_buffer=settings.socket_unread_max_bytes,
    )


class Gateway:
    """Every part of a gateway process, connected."""

    def __init__(
        self,
        settings: GatewaySettings,
        supervisor: Supervisor,
        buses: Sequence[Bus],
        engine: Engine,
        seat: Seat | None = None,
    ) -> None:
        """``buses``: one on each Redis server. Raises `SettingsError` for keys, secrets or names that cannot be read,
        and keys that are missing where they are needed."""
        self._settings = settings
        self._seat = seat = seat or own_seat(settings)
        self._supervisor = supervisor
        self._buses = Buses(buses)
        self._all = [OnServer(settings, bus) for bus in buses]
        self._redis = RedisServers([one.server for one in self._all])
        self._keys = read_keys(settings)
        self._server = GatewayServer(
            settings,
            engine,
            dialler(settings, engine),
            self._redis,
            self._alive,
            Authentication(self._keys, read_tokens(settings, open_to_anybody=self._keys is None)),
            Origins(settings.origins, open_to_anybody=self._keys is None),
            tracer=buses[0].tracer,
            tallies=seat.tallies,
        )
        self._drain = Drain(
            lambda: self._server.sessions,
            self._server.stop_listening,
            self._server.hand_over,
            settings.drain_grace_ms / 1000,
            settings.drain_ms / 1000,
        )
        metrics.draining(lambda: self._drain.begun)
        for one in self._all:
            one.consume(self._server.command)

    def _alive(self) -> bool:
        return self._supervisor.healthy and self._buses.alive()

    async def _readiness(self) -> Readiness:
        ready = self._supervisor.healthy and not self._drain.begun and self._redis.ready
        missing = dict.fromkeys(service for one in self._all for service in one.bus.missing)
        return Readiness(ready, () if self._redis.ready else tuple(missing))

    async def _on_drain(self, request: Request) -> Response:
        """``GET /drain``: drain, and answer when it is done. For a hook that runs before the process is stopped.
        ``?grace=0``: nobody sends clients to this gateway any more, so that it need not wait for that."""
        if request.query_params.get("grace") == "0":
            self._drain.grace = 0.0
        await asyncio.shield(self._supervisor.request_drain())
        return json_response({"service": "gateway", "sessions": len(self._server.sessions)})

    async def serve(self) -> None:
        """Accept clients until the process should stop. Raises `SettingsError`."""
        settings, supervisor = self._settings, self._supervisor
        routes = [Route("/drain", self._on_drain)]
        internal = HttpServer(application("gateway", self._alive, self._readiness, routes))
        try:
            with (
                contextlib.closing(self._seat.public()) as listener,
                contextlib.closing(self._seat.internal()) as internal_listener,
            ):
                await self._buses.start(supervisor)
                await asyncio.gather(*(one.probe.ask() for one in self._all))
                for name, work in background([one.bus for one in self._all], self._of_one_server).items():
                    supervisor.start(name, work)
                supervisor.start("stall watcher", self._server.watch)
                serving = supervisor.start("http", lambda: internal.serve(sockets=[internal_listener]))
                await self._server.start(listener)
                asking = asyncio.create_task(self._advise())
                garbage.settle()
                supervisor.drain = self._drain
                log_events.gateway_started(
                    address=f"{settings.gateway_host}:{settings.gateway_port}",
                    upstream=without_secrets(settings.upstream),
                    simulated=settings.simulated,
                    resampling=kernel.implementation(),
                )
                await supervisor.wait()
                asking.cancel()
                await self._stop()
                internal.should_exit = True
                await asyncio.wait([serving])
                await supervisor.end()
                await self._buses.stop()
                process_events.stopped()
        finally:
            await self._buses.close()

    def _of_one_server(self, bus: Bus) -> Mapping[str, Work]:
        return next(one.background for one in self._all if one.bus is bus)

    async def _advise(self) -> None:
        """Tell the operator what is to be thought of, which the first of several workers does for all."""
        if self._seat.worker in (None, 1):
            warn_if_open(self._keys, self._settings)
            await _warn_of_ends(self._settings)

    async def _stop(self) -> None:
        """Say good-bye to every client, and publish the last records."""
        await self._server.stop(_FAREWELL)
        await asyncio.gather(*(one.drain(_FAREWELL) for one in self._all))
