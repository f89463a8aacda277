"""Serves the simulator: the Realtime WebSocket at ``/v1/realtime``, and HTTP pages on the same port."""

from __future__ import annotations

import asyncio
import errno
import secrets
import time
from collections.abc import Sequence
from types import TracebackType
from typing import cast
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from turngate.process.settings import ENV_PREFIX, SettingsError
from turngate.simulator import log_events
from turngate.simulator.config import SimulatorSettings
from turngate.simulator.connection import Clock, Connection
from turngate.simulator.faults import Fault, Faults
from turngate.simulator.frames import Event
from turngate.simulator.handshake import SUBPROTOCOL, AccessPolicy, HandshakeError, no_credit, refused_key
from turngate.simulator.pages import page
from turngate.simulator.realtime_session import RealtimeSession
from turngate.simulator.sessions import Sessions
from turngate.simulator.sickness import Sickness

PATH = "/v1/realtime"
#: Maximum frame size in bytes: an append of 15 MiB of audio as base64 in JSON.
_MAX_FRAME = 21 * 1024 * 1024
#: Seconds between pings, about the live service's interval.
_PING_INTERVAL = 20.3
#: Timeout of one closing handshake, and of all of them together in `Simulator.stop`, in seconds.
_CLOSE_TIMEOUT, _STOP_TIMEOUT = 1.0, 1.5

#: HTTP status and headers of faults that refuse the upgrade.
_REFUSED_UPGRADES: dict[Fault | None, tuple[int, dict[str, str]]] = {
    Fault.HTTP_302: (302, {"Location": "https://example.com/"}),
    Fault.HTTP_429: (429, {"Retry-After": "1"}),
    Fault.HTTP_503: (503, {}),
}


class Simulator:
    """A running simulator. Use it as an asynchronous context manager, or call `start` and `stop`."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.faults = Faults(settings.simulator_fault, settings.simulator_fault_times)
        self.sessions = Sessions(settings.simulator_record_sessions)
        self._settings = settings
        self._behaviour = settings.behaviour()
        self._access = AccessPolicy(settings.simulator_api_key, settings.models())
        self._server: Server | None = None
        self._sockets: set[ServerConnection] = set()
        self._clock = Clock(time.monotonic, 0.0)

    @property
    def port(self) -> int:
        """The port it listens on; available once started."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """The WebSocket URL; clients add ``?model=``."""
        return f"ws://{self._settings.simulator_host}:{self.port}{PATH}"

    @property
    def http_url(self) -> str:
        """The base URL of the HTTP pages."""
        return f"http://{self._settings.simulator_host}:{self.port}"

    async def start(self) -> None:
        """Start to listen. Raises `SettingsError`, naming the setting, if the address cannot be bound."""
        host, port = self._settings.simulator_host, self._settings.simulator_port
        self._clock = Clock(loop_time := asyncio.get_running_loop().time, time.time() - loop_time())
        try:
            self._server = await serve(
                self._connected,
                host,
                port,
                process_request=self._process_request,
                select_subprotocol=_select_subprotocol,
                compression=None,
                max_size=_MAX_FRAME,
                ping_interval=_PING_INTERVAL,
                close_timeout=_CLOSE_TIMEOUT,
            )
        except OSError as error:
            setting = "SIMULATOR_PORT" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "SIMULATOR_HOST"
            reason = "already in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
            raise SettingsError(f"{ENV_PREFIX}{setting}: cannot listen on {host}:{port} ({reason})") from None

    async def stop(self) -> None:
        """Close every connection with 1001 and stop listening. Takes at most 2 s."""
        if self._server is None:
            return
        self._server.close()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._server.wait_closed()
        except TimeoutError:
            # A close frame cannot be written to a client that does not read.
            for socket in self._sockets:
                socket.transport.abort()
            await self._server.wait_closed()

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if urlsplit(request.path).path.rstrip("/") == PATH:
            refusal = _REFUSED_UPGRADES.get(self.faults.next())
            if refusal is None:
                return None
            self.faults.take()
            status, headers = refusal
            body = cast(Event, {"error": {"message": "The upgrade is refused.", "code": None}})
        else:
            (status, body), headers = page(request.path, self.sessions, self.faults), {}
        response = connection.respond(status, orjson.dumps(body).decode())
        response.headers.update(headers)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    async def _connected(self, socket: ServerConnection) -> None:
        self._sockets.add(socket)
        try:
            await self._serve(socket, Sickness(self.faults.take(), self.faults.times))
        except ConnectionClosed:
            pass
        finally:
            self._sockets.discard(socket)

    async def _serve(self, socket: ServerConnection, sickness: Sickness) -> None:
        request = socket.request
        assert request is not None
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        try:
            model = self._access.admit(request.path, request.headers, [name.strip() for name in offered.split(",")])
            if sickness.fault is Fault.REFUSE_KEY:
                raise refused_key()
            if sickness.fault is Fault.INSUFFICIENT_QUOTA:
                raise no_credit()
        except HandshakeError as refused:
            await _refuse(socket, refused)
            return
        session = RealtimeSession(self._behaviour, seed=secrets.randbits(48), model=model)
        entry = self.sessions.begin(session, model, self._clock.now(), socket.transport.abort)
        try:
            await Connection(socket, session, sickness, self._clock).run()
        finally:
            entry.end(self._clock.now(), socket.close_code)
            log_events.simulated_session_ended(simulated=entry.id, close_code=socket.close_code)


async def _refuse(socket: ServerConnection, refused: HandshakeError) -> None:
    log_events.simulated_session_refused(reason=refused.close.reason)
    event = {"type": "error", "event_id": f"event_{secrets.token_hex(8)}", "error": refused.error}
    await socket.send(orjson.dumps(event), text=True)
    await socket.close(refused.close.code, refused.close.reason)


def _select_subprotocol(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None
