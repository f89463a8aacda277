"""One session as the generator sees it: the client's end and the upstream's, in one process and on one clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest

from benchmarks.load.flow import Flow
from benchmarks.load.frames import appended_bytes, delta, event

clock = time.monotonic

_MARK = re.compile(rb"line-(\d+)")
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


class Line:
    """One session. Its ends find each other by its mark, in the path or in the instructions."""

    def __init__(self, number: int, up: Flow, down: Flow) -> None:
        self.mark = f"line-{number}"
        self.up = up
        self.down = down
        self._replies = 0
        self._reply: dict[str, Any] = {}
        self.client: WSTransport | None = None
        self.upstream: WSTransport | None = None
        #: Set once both ends are there and, where there is configuration, it is in force.
        self.ready = asyncio.Event()
        #: The client has gone; a handshake of its that is still under way comes to nothing.
        self.over = False
        #: Called with what the client is told, and with what reaches the upstream; audio goes to the flows.
        self.on_message: Callable[[dict[str, Any], float], None] = lambda message, now: None
        self.on_event: Callable[[dict[str, Any], float], None] = lambda event, now: None

    def tell(self, kind: str, **fields: object) -> None:
        """An event from the upstream."""
        assert self.upstream is not None
        self.upstream.send(WSMsgType.TEXT, event(kind, **fields))

    def begin_reply(self) -> bytes:
        """The upstream begins a response that goes on until `end_reply`; returns the frame for each 20 ms of it."""
        self._replies += 1
        response_id, item_id = f"resp_C9G8{self.mark}_{self._replies}", f"item_C9G8{self.mark}_{self._replies}"
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        self._reply = {"object": "realtime.response", "id": response_id, "conversation_id": "conv_C9G8", "output": []}
        self.tell("response.created", response={**self._reply, "status": "in_progress"})
        self.tell("response.output_item.added", response_id=response_id, output_index=0, item=item)
        self.tell("conversation.item.added", previous_item_id=None, item=item)
        return delta(response_id, item_id)

    def end_reply(self) -> None:
        """That response is complete."""
        self.tell("response.done", response={**self._reply, "status": "completed"})

    def say(self, message: Mapping[str, object]) -> None:
        """A message from the client."""
        assert self.client is not None
        self.client.send(WSMsgType.TEXT, orjson.dumps(message))


class ClientEnd(WSListener):
    """The client's socket."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._line.over:
            transport.underlying_transport.abort()
        else:
            self._line.client = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = clock()
        if frame.msg_type is WSMsgType.BINARY:
            self._line.down.arrive(frame.payload_size, now)
        elif frame.msg_type is WSMsgType.TEXT:
            message = orjson.loads(frame.get_payload_as_bytes())
            if message["type"] == "SettingsApplied":
                self._line.ready.set()
            self._line.on_message(message, now)
        elif frame.msg_type is WSMsgType.CLOSE:
            _end(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._line.client = None


class UpstreamEnd(WSListener):
    """The upstream's socket: says and confirms what a Realtime server does, or, at a plain path, only moves frames."""

    def __init__(self, lines: Mapping[str, Line], request: WSUpgradeRequest) -> None:
        self._lines = lines
        self._path = request.path
        self._line: Line | None = None
        self._session = dict(_SESSION)

    def on_ws_connected(self, transport: WSTransport) -> None:
        if (marked := _MARK.search(self._path)) is not None:
            self._join(marked, transport)
            if self._line is not None:
                self._line.ready.set()
        else:
            transport.send(WSMsgType.TEXT, event("session.created", session=self._session))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        now = clock()
        if frame.msg_type is WSMsgType.BINARY and self._line is not None:
            self._line.up.arrive(frame.payload_size, now)
        elif frame.msg_type is WSMsgType.TEXT:
            payload = frame.get_payload_as_bytes()
            size = appended_bytes(payload)
            if size < 0:
                self._control(payload, transport, now)
            elif self._line is not None:
                self._line.up.arrive(size, now)
        elif frame.msg_type is WSMsgType.CLOSE:
            _end(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._line is not None:
            self._line.upstream = None

    def _control(self, payload: bytes, transport: WSTransport, now: float) -> None:
        if self._line is None and (marked := _MARK.search(payload)) is not None:
            self._join(marked, transport)
        data = orjson.loads(payload)
        if self._line is not None:
            self._line.on_event(data, now)
        if data["type"] == "session.update":
            self._session |= data["session"]
            transport.send(WSMsgType.TEXT, event("session.updated", session=self._session))

    def _join(self, marked: re.Match[bytes], transport: WSTransport) -> None:
        # None for a client that went before its upstream came.
        self._line = self._lines.get(marked[0].decode())
        if self._line is not None:
            self._line.upstream = transport


def _end(transport: WSTransport) -> None:
    """Answer a Close, if it is not the answer to ours."""
    if not transport.is_close_frame_sent:
        transport.send_close(WSCloseCode.OK)
    transport.disconnect()
