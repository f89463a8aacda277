"""A small asynchronous client for the gateway's WebSocket. When the connection is lost, it makes another one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Literal

import typer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from turngate.cli.errors import MISUSED, CommandError, refusal
from turngate.cli.messages import KEEP_ALIVE, Message
from turngate.cli.resumption import Over, Resumption, Unsent
from turngate.process.urls import is_local, without_secrets

#: Seconds between `KeepAlive` messages. The protocol requires one every 8 s while no audio is sent.
KEEP_ALIVE_S = 5.0
OPEN_TIMEOUT_S = 10.0

#: The option of every command that connects to a gateway.
ApiKey = Annotated[str | None, typer.Option(envvar="TURNGATE_API_KEY", help="An API key, if the gateway requires one.")]

#: Called with every message and audio frame, when it is sent or received.
Observer = Callable[[Literal["sent", "received"], Message | bytes], None]


#: Told in a line what becomes of a connection that is lost.
Notice = Callable[[str], None]


class DisconnectedError(CommandError):
    """The server has closed the connection; the text contains the close code and reason."""

    def __init__(self, closed: ConnectionClosed) -> None:
        frame = closed.rcvd
        why = f"code {frame.code}{': ' + frame.reason if frame.reason else ''}" if frame else "no close frame"
        super().__init__(f"the server closed the connection ({why})")


class _UnreachableError(CommandError):
    """The connection failed; another attempt may not."""


class AgentClient:
    """A conversation. Text frames are messages, binary frames are audio. Created by `open_agent`.

    When the connection is lost, `receive` makes another one; what is sent meanwhile is kept and goes there. If the
    server does not find the conversation, a new one is begun with the first `Settings`.
    """

    def __init__(self, dial: Callable[[str], Awaitable[ClientConnection]], observe: Observer, notice: Notice) -> None:
        """``dial`` connects, with this query in the URL."""
        self._dial = dial
        self._observe = observe
        self._notice = notice
        self._resumption = Resumption(random.random)
        self._connection: ClientConnection | None = None
        #: What is sent goes out at once: on a connection that returns, after its Welcome.
        self._open = True
        self._unsent = Unsent()
        self._settings: Message | None = None
        #: A new conversation was begun, since the first one was not found.
        self.began_anew = False

    async def connect(self) -> None:
        """Open the first connection. Raises `CommandError`."""
        self._connection = await self._dial(self._resumption.query)

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def send(self, message: Message) -> None:
        """Send one control message, now or on the next connection."""
        self._observe("sent", message)
        if message["type"] == "Settings" and self._settings is None:
            self._settings = message
        await self._transmit(json.dumps(message))

    async def send_audio(self, pcm: bytes) -> None:
        """Send audio in the format declared in `Settings`, usually 20 ms."""
        await self._transmit(pcm)

    async def keep_alive(self) -> None:
        """Send `KeepAlive` messages, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            if self._connection is not None:
                with suppress(ConnectionClosed):
                    await self._connection.send(json.dumps(KEEP_ALIVE))

    async def receive(self) -> Message | bytes:
        """Wait for the next message or frame of the agent's audio.

        Raises `CommandError` when the conversation is over (`DisconnectedError` if the server has ended it), and for a
        text frame that is not JSON.
        """
        frame = await self._frame()
        try:
            message: Message | bytes = frame if isinstance(frame, bytes) else json.loads(frame)
        except ValueError:
            raise CommandError("the server sent a text frame that is not JSON") from None
        self._observe("received", message)
        if not isinstance(message, bytes):
            goes_on = self._resumption.message(message)
            if goes_on is not None:
                await self._returned(goes_on=goes_on)
        return message

    async def _frame(self) -> str | bytes:
        while True:
            assert self._connection is not None
            try:
                return await self._connection.recv()
            except ConnectionClosed as closed:
                await self._return(closed)

    async def _return(self, closed: ConnectionClosed) -> None:
        """Make another connection.

        Raises `DisconnectedError` if the server has ended the conversation, and `CommandError` if it refuses the
        connection, or cannot be reached any more.
        """
        self._connection, self._open = None, False
        clock = asyncio.get_running_loop().time
        known = self._resumption.away
        failure: CommandError = DisconnectedError(closed)
        after = self._resumption.lost(closed.rcvd.code if closed.rcvd else None, clock())
        if after is Over.ENDED:
            raise failure
        if not known:
            self._notice("the connection is lost; connecting again ...")
        while not isinstance(after, Over):
            await asyncio.sleep(after)
            try:
                self._connection = await self._dial(self._resumption.query)
                return
            except _UnreachableError as unreachable:
                failure = unreachable
                after = self._resumption.failed(clock())
        raise CommandError(f"the connection was lost, and the server keeps the conversation no longer: {failure}")

    async def _returned(self, *, goes_on: bool) -> None:
        """The next connection is welcomed: send what was kept."""
        if goes_on:
            self._notice("the conversation goes on")
        else:
            self._notice("the conversation was lost with the connection; a new one begins")
            self.began_anew = True
            if self._settings is not None:
                self._unsent.put_back(json.dumps(self._settings))
        while (frame := self._unsent.take()) is not None:
            if not await self._sent(frame):
                self._unsent.put_back(frame)
                return
        self._open = True

    async def _transmit(self, frame: str | bytes) -> None:
        if not self._open or not await self._sent(frame):
            self._unsent.add(frame)

    async def _sent(self, frame: str | bytes) -> bool:
        """Send this; False if the connection is closed, which `receive` notices."""
        if self._connection is None:
            return False
        try:
            await self._connection.send(frame)
        except ConnectionClosed:
            return False
        return True


@asynccontextmanager
async def open_agent(
    url: str, path: str, observe: Observer, *, api_key: str | None = None, notice: Notice = lambda line: None
) -> AsyncIterator[AgentClient]:
    """Connect to ``url`` + ``path``, send `KeepAlive` messages until the block ends, then close the connection.

    ``api_key`` is sent if given. The caller sends `Settings` next. Raises `CommandError` if the connection fails or is
    refused.
    """

    async def dial(query: str) -> ClientConnection:
        return await _dial(url, path, query, api_key)

    client = AgentClient(dial, observe, notice)
    await client.connect()
    keeping_alive = asyncio.create_task(client.keep_alive())
    try:
        yield client
    finally:
        keeping_alive.cancel()
        await asyncio.wait({keeping_alive})
        await client.close()


async def _dial(url: str, path: str, query: str, api_key: str | None) -> ClientConnection:
    address = url.rstrip("/") + path
    shown = without_secrets(address)
    try:
        return await connect(
            f"{address}{'&' if '?' in path else '?'}{query}",
            additional_headers=None if api_key is None else {"Authorization": f"Token {api_key}"},
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            # Do not use a proxy from the environment for a server on this machine.
            proxy=None if is_local(address) else True,
        )
    except InvalidURI:
        raise CommandError(f"--url {without_secrets(url)}: not a WebSocket address (ws://host:port)", MISUSED) from None
    except InvalidStatus as refused:
        status = refused.response.status_code
        words = refusal(status, refused.response.body)
        remedy = " (--api-key, or TURNGATE_API_KEY)" if status == HTTPStatus.UNAUTHORIZED else ""
        kind = _UnreachableError if status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS else CommandError
        raise kind(f"{shown} refused the connection: {words}{remedy}") from None
    except (OSError, InvalidHandshake, EOFError) as failure:
        raise _UnreachableError(f"cannot connect to {shown}: {_reason(failure)}; is `turngate run` running?") from None


def _reason(failure: Exception) -> str:
    """A short description; asyncio's own ``Connect call failed ('127.0.0.1', 8080)`` is less clear."""
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failure, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT_S:g} s"
    return str(failure) or type(failure).__name__
