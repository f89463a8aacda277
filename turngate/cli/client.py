"""A small asynchronous client for the gateway's public socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from turngate.cli.errors import MISUSED, CommandError, refusal
from turngate.cli.messages import KEEP_ALIVE, Message

#: Seconds between `KeepAlive` messages; the protocol asks for one every 8 s while no audio is sent.
KEEP_ALIVE_S = 5.0
OPEN_TIMEOUT_S = 10.0

#: The option of every command that connects to a gateway.
ApiKey = Annotated[
    str | None, typer.Option(envvar="TURNGATE_API_KEY", help="A key of the gateway's, if it asks for one.")
]

#: Called with everything that is sent and received, in order, as it happens.
Observer = Callable[[Literal["sent", "received"], Message | bytes], None]


class DisconnectedError(CommandError):
    """The server has closed the socket; the text says with which code and reason."""

    def __init__(self, closed: ConnectionClosed) -> None:
        frame = closed.rcvd
        why = f"code {frame.code}{': ' + frame.reason if frame.reason else ''}" if frame else "no close frame"
        super().__init__(f"the server closed the connection ({why})")


class AgentClient:
    """One open socket. Text frames are messages, binary frames are audio. Made by `open_agent`."""

    def __init__(self, connection: ClientConnection, observe: Observer) -> None:
        self._connection = connection
        self._observe = observe

    async def send(self, message: Message) -> None:
        """Send one control message. Raises `DisconnectedError`."""
        self._observe("sent", message)
        await self._transmit(json.dumps(message))

    async def send_audio(self, pcm: bytes) -> None:
        """Send audio in the format that `Settings` declared; any size, 20 ms is usual. Raises `DisconnectedError`."""
        await self._transmit(pcm)

    async def receive(self) -> Message | bytes:
        """The next message, or the next piece of the agent's audio.

        Raises `DisconnectedError`, and `CommandError` for a text frame that is not JSON.
        """
        try:
            frame = await self._connection.recv()
        except ConnectionClosed as closed:
            raise DisconnectedError(closed) from None
        try:
            message: Message | bytes = frame if isinstance(frame, bytes) else json.loads(frame)
        except ValueError:
            raise CommandError("the server sent a text frame that is not JSON") from None
        self._observe("received", message)
        return message

    async def _transmit(self, frame: str | bytes) -> None:
        try:
            await self._connection.send(frame)
        except ConnectionClosed as closed:
            raise DisconnectedError(closed) from None


@asynccontextmanager
async def open_agent(
    url: str, path: str, observe: Observer, *, api_key: str | None = None
) -> AsyncIterator[AgentClient]:
    """Connect to ``url`` + ``path`` and keep the session alive until the block ends, then close it in order.

    ``api_key`` is for a gateway that asks for one.
    The caller sends `Settings` next. Raises `CommandError` when nothing answers there, or it refuses.
    """
    address = url.rstrip("/") + path
    try:
        connection = await connect(
            address,
            additional_headers=None if api_key is None else {"Authorization": f"Token {api_key}"},
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            # A proxy in the environment is not meant for a server on this machine.
            proxy=None if _is_loopback(address) else True,
        )
    except InvalidURI:
        raise CommandError(f"--url {url}: not a WebSocket address (ws://host:port)", MISUSED) from None
    except InvalidStatus as refused:
        words = refusal(refused.response.status_code, refused.response.body)
        remedy = " (--api-key, or TURNGATE_API_KEY)" if refused.response.status_code == HTTPStatus.UNAUTHORIZED else ""
        raise CommandError(f"{address} refused the connection: {words}{remedy}") from None
    except (OSError, InvalidHandshake, EOFError) as failure:
        raise CommandError(f"cannot connect to {address}: {_reason(failure)}; is `turngate run` running?") from None
    keeping_alive = asyncio.create_task(_keep_alive(connection))
    try:
        async with connection:
            yield AgentClient(connection, observe)
    finally:
        keeping_alive.cancel()
        await asyncio.wait({keeping_alive})


async def _keep_alive(connection: ClientConnection) -> None:
    frame = json.dumps(KEEP_ALIVE)
    try:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            await connection.send(frame)
    except ConnectionClosed:
        pass  # Whoever receives learns it.


def _is_loopback(address: str) -> bool:
    return urlsplit(address).hostname in {"127.0.0.1", "localhost", "::1"}


def _reason(failure: Exception) -> str:
    """The shortest true description: ``Connect call failed ('127.0.0.1', 8080)`` helps nobody."""
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failure, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT_S:g} s"
    return str(failure) or type(failure).__name__
