"""A session of the load generator: the client's end and the upstream's end, in one process with one clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest

from benchmarks.load.flow import Flow
from benchmarks.load.frames import BURST, appended_bytes, delta, delta_bytes, event

clock = time.monotonic

_MARK = re.compile(rb"load-session-(\d+)")
_SESSION: dict[str, Any] = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_C9G8ppBCdEfGhIjKlMnOp",
    "model": "gpt-realtime-2.1",
    "instructions": "",
    "output_modalities": ["audio"],
    "tools": [],
    "tool_choice": "auto",
}


class LoadSession:
    """One session. Its ends are matched by a mark in the path or in the instructions."""

    def __init__(self, number: int, up: Flow, down: Flow) -> None:
        self.mark = f"load-session-{number}"
        self.up = up
        self.down = down
        self._replies = 0
        self._reply: dict[str, Any] = {}
        self.client: WSTransport | None = None
        self.upstream: WSTransport | None = None
        #: Set when both ends are connected and the configuration, if any, is confirmed.
        self.ready = asyncio.Event()
        #: True when the client has left; a pending handshake is then aborted.
        self.over = False
        #: Called with messages to the client, and with events to the upstream. Audio is passed to the flows.
        self.on_message: Callable[[dict[str, Any], float], None] = lambda message, now: None
        self.on_event: Callable[[dict[str, Any], float], None] = lambda event, now: None

    def tell(self, kind: str, **fields: object) -> None:
        """Send an event from the upstream."""
        assert self.upstream is not None
        self.upstream.send(WSMsgType.TEXT, event(kind, **fields))

    @property
    def reply_ids(self) -> tuple[str, str]:
        """The ids of the response that `begin_reply` started, and of its item."""
        return f"resp_C9G8{self.mark}_{self._replies}", f"item_C9G8{self.mark}_{self._replies}"

    def begin_reply(self) -> bytes:
        """Start a response of the upstream, until `end_reply`; returns the frame to send every 20 ms."""
        self._replies += 1
        response_id, item_id = self.reply_ids
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        self._reply = {"object": "realtime.response", "id": response_id, "conversation_id": "conv_C9G8", "output": []}
        self.tell("response.created", response={**self._reply, "status": "in_progress"})
        self.tell("response.output_item.added", response_id=response_id, output_index=0, item=item)
        self.tell("conversation.item.added", previous_item_id=None, item=item)
        return delta(response_id, item_id)

    def burst(self) -> list[bytes]:
        """The deltas of a burst, in the response that `begin_reply` started."""
        return [delta(*self.reply_ids, frames) for frames in BURST]

    def end_reply(self) -> None:
        """End the response."""
        self.tell("response.done", response={**self._reply, "status": "completed"})

    def say(self, message: Mapping[str, object]) -> None:
        """Send a message from the client."""
        assert self.client is not None
        self.client.send(WSMsgType.TEXT, orjson.dumps(message))


class ClientEnd(WSListener):
    """The client's socket."""

    def __init__(self, session: LoadSession) -> None:
        self._session = session

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._session.over:
            transport.underlying_transport.abort()
        else:
            self._session.client = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = clock()
        if frame.msg_type is WSMsgType.BINARY:
            self._session.down.arrive(frame.payload_size, now)
        elif frame.msg_type is WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_bytes())
            if message["type"] == "SettingsApplied":
                self._session.ready.set()
            self._session.on_message(message, now)
        elif frame.msg_type is WSMsgType.CLOSE:
            _end(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._session.client = None


class RealtimeClientEnd(ClientEnd):
    """The socket of a client that speaks the protocol of the upstream."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            super().on_ws_frame(transport, frame)
            return
        now = clock()
        payload = frame.get_payload_as_bytes()
        size = delta_bytes(payload)
        if size >= 0:
            self._session.down.arrive(size, now)
            return
        kind = orjson.loads(payload)["type"]
        if kind == "session.updated":
            self._session.ready.set()
        elif kind == "error":
            raise RuntimeError(f"{self._session.mark}: {payload.decode()}")


class UpstreamEnd(WSListener):
    """The upstream's socket: a minimal Realtime server or, with a mark in the path, a receiver of binary frames."""

    def __init__(self, sessions: Mapping[str, LoadSession], request: WSUpgradeRequest) -> None:
        self._sessions = sessions
        self._path = request.path
        self._session: LoadSession | None = None
        self._configuration = dict(_SESSION)

    def on_ws_connected(self, transport: WSTransport) -> None:
        if (marked := _MARK.search(self._path)) is not None:
            self._join(marked, transport)
            if self._session is not None:
                self._session.ready.set()
        else:
            transport.send(WSMsgType.TEXT, event("session.created", session=self._configuration))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = clock()
        if frame.msg_type is WSMsgType.BINARY and self._session is not None:
            self._session.up.arrive(frame.payload_size, now)
        elif frame.msg_type is WSMsgType.TEXT:
            payload = frame.get_payload_as_bytes()
            size = appended_bytes(payload)
            if size < 0:
                self._control(payload, transport, now)
            elif self._session is not None:
                self._session.up.arrive(size, now)
        elif frame.msg_type is WSMsgType.CLOSE:
            _end(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._session is not None:
            self._session.upstream = None

    def _control(self, payload: bytes, transport: WSTransport, now: float) -> None:
        if self._session is None and (marked := _MARK.search(payload)) is not None:
            self._join(marked, transport)
        data = orjson.loads(payload)
        if self._session is not None:
            self._session.on_event(data, now)
        if data["type"] == "session.update":
            self._configuration |= data["session"]
            transport.send(WSMsgType.TEXT, event("session.updated", session=self._configuration))

    def _join(self, marked: re.Match[bytes], transport: WSTransport) -> None:
        # None if the client left before its upstream connection was accepted.
        self._session = self._sessions.get(marked[0].decode())
        if self._session is not None:
            self._session.upstream = transport


def _end(transport: WSTransport) -> None:
    """Answer a Close frame, unless it is the answer to ours."""
    if not transport.is_close_frame_sent:
        transport.send_close(WSCloseCode.OK)
    transport.disconnect()
