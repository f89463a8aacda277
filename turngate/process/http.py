"""HTTP of a process for operators: health, readiness, metrics; and listening sockets."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from turngate.process.settings import SettingsError


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
