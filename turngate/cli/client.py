"""A small asynchronous client for the gateway's WebSocket."""

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
from turngate.process.urls import without_secrets

#: Seconds between `KeepAlive` messages. The protocol requires one every 8 s while no audio is sent.
KEEP_ALIVE_S = 5.0
OPEN_TIMEOUT_S = 10.0

#: The option of every command that connects to a gateway.
ApiKey = Annotated[str | None, typer.Option(envvar="TURNGATE_API_KEY", help="An API key, if the gateway requires one.")]

#: Called with every message and audio frame, when it is sent or received.
Observer = Callable[[Literal["sent", "received"], Message | bytes], None]


class DisconnectedError(CommandError):
    """The server has closed the connection; the text contains the close code and reason."""

    def __init__(self, closed: ConnectionClosed) -> None:
        frame = closed.rcvd
        why = f"code {frame.code}{': ' + frame.reason if frame.reason else ''}" if frame else "no close frame"
        super().__init__(f"the server closed the connection ({why})")


class AgentClient:
    """An open connection. Text frames are messages, binary frames are audio. Created by `open_agent`."""

    def __init__(self, connection: ClientConnection, observe: Observer) -> None:
        self._connection = connection
        self._observe = observe

    async def send(self, message: Message) -> None:
        """Send one control message. Raises `DisconnectedError`."""
        self._observe("sent", message)
        await self._transmit(json.dumps(message))

    async def send_audio(self, pcm: bytes) -> None:
        """Send audio in the format declared in `Settings`, usually 20 ms. Raises `DisconnectedError`."""
        await self._transmit(pcm)

    async def receive(self) -> Message | bytes:
        """Wait for the next message or frame of the agent's audio.

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
    """Connect to ``url`` + ``path``, send `KeepAlive` messages until the block ends, then close the connection.

    ``api_key`` is sent if given. The caller sends `Settings` next. Raises `CommandError` if the connection fails or is
    refused.
    """
    address = url.rstrip("/") + path
    shown = without_secrets(address)
    try:
        connection = await connect(
            address,
            additional_headers=None if api_key is None else {"Authorization": f"Token {api_key}"},
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            # Do not use a proxy from the environment for a server on this machine.
            proxy=None if _is_loopback(address) else True,
        )
    except InvalidURI:
        raise CommandError(f"--url {without_secrets(url)}: not a WebSocket address (ws://host:port)", MISUSED) from None
    except InvalidStatus as refused:
        words = refusal(refused.response.status_code, refused.response.body)
        remedy = " (--api-key, or TURNGATE_API_KEY)" if refused.response.status_code == HTTPStatus.UNAUTHORIZED else ""
        raise CommandError(f"{shown} refused the connection: {words}{remedy}") from None
    except (OSError, InvalidHandshake, EOFError) as failure:
        raise CommandError(f"cannot connect to {shown}: {_reason(failure)}; is `turngate run` running?") from None
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
        pass  # `AgentClient.receive` reports it.


def _is_loopback(address: str) -> bool:
    return urlsplit(address).hostname in {"127.0.0.1", "localhost", "::1"}


def _reason(failure: Exception) -> str:
    """A short description; asyncio's own ``Connect call failed ('127.0.0.1', 8080)`` is less clear."""
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failure, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT_S:g} s"
    return str(failure) or type(failure).__name__
