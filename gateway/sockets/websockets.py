"""The engine on `websockets`, the reference implementation."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, cast

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response

from gateway.sockets.interface import (
    CLIENT_QUEUE,
    CLOSE_TIMEOUT,
    NAME,
    OPEN_TIMEOUT,
    Listening,
    Refused,
    Request,
    Server,
    Socket,
    Wire,
    bound,
    name,
)


class Websockets:
    """See `gateway.sockets.interface.Engine`."""

    async def listen(self, listener: socket.socket, how: Listening) -> Server:
        def process_request(_: object, request: Upgrade) -> Response | None:
            answer = how.answer(Request(request.path, request.headers.get_all))
            if answer is None:
                return None
            fields = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
            headers = Headers({**fields, "Connection": "close", **answer.headers})
            return Response(answer.status.value, answer.status.phrase, headers, answer.body)

        async def converse(peer: ServerConnection) -> None:
            assert peer.request is not None
            assert peer.response is not None
            await how.serve(peer, peer.request.path, peer.response.headers[NAME])

        bound(listener, how.unread)
        return await serve(
            converse,
            sock=listener,
            process_request=process_request,
            process_response=name,
            select_subprotocol=lambda _, names: cast(Any, how.subprotocol(list(names))),
            compression=None,
            max_size=how.largest,
            max_queue=CLIENT_QUEUE,
            ping_interval=how.ping,
            ping_timeout=how.ping,
            close_timeout=CLOSE_TIMEOUT,
            server_header="turngate",
        )

    async def connect(
        self, url: str, headers: Mapping[str, str], *, largest: int, ping_timeout: float, unread: int
    ) -> Socket:
        try:
            peer = await connect(
                url,
                additional_headers=headers,
                compression=None,
                max_size=largest,
                open_timeout=OPEN_TIMEOUT,
                ping_timeout=ping_timeout,
                close_timeout=CLOSE_TIMEOUT,
            )
        except InvalidStatus as refused:
            raise Refused(refused.response.status_code) from None
        except InvalidHandshake as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        bound(peer.transport.get_extra_info("socket"), unread)
        return peer

    def wire(self, peer: Socket) -> Wire | None:
        return None

    async def cut(self, peer: Socket) -> None:
        cast(ServerConnection, peer).transport.abort()
