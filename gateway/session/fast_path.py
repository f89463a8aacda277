"""Audio past the queues: a frame that nothing waits for is carried on in the very call that brings it.

Nearly every frame is audio in the middle of speech. For such a one the way over a queue, a wake-up and a task is most
of what it costs, and changes nothing: what was read before it has been dealt with, and its peer takes what it is sent.
Wherever that is not so (or the library has no `Wire`), the frame is left to the queue, whose reader does the same in
order.

Nothing here decides anything. It is on the way of every frame: no allocation that can be avoided, no logging.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import orjson
import pybase64

from gateway.conversation.conversation import Conversation
from gateway.sockets.interface import Wire
from turngate.protocol.openai.client_events import append_audio

#: How the frames begin that are taken here, as OpenAI writes them; otherwise written ones go over the queue.
_DELTA = b'{"type":"response.output_audio.delta"'


class FastPath:
    """One session's. Its readers say what they have dealt with, its session when audio may flow."""

    __slots__ = ("_client", "_conversation", "_fail", "_upstream", "_wake", "client_read", "open", "upstream_read")

    def __init__(
        self,
        conversation: Conversation,
        client: Wire | None,
        wake: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """``wake`` has what the conversation put out sent, ``fail`` ends the session for a defect; both return at
        once."""
        self._conversation = conversation
        self._client = client
        self._upstream: Wire | None = None
        self._wake = wake
        self._fail = fail
        #: The session is configured and goes on, and no audio waits that came earlier.
        self.open = False
        #: Messages that the readers got from the queues and have dealt with.
        self.client_read = 0
        self.upstream_read = 0

    def connect(self, upstream: Wire | None) -> None:
        """There is an upstream."""
        self._upstream, self.upstream_read = upstream, 0
        if self._client is not None and upstream is not None:
            self._client.carry, upstream.carry = self._up, self._down

    def _up(self, frame: bytes) -> bool:
        """A binary frame of the client."""
        client, upstream = self._client, self._upstream
        if not self.open or client is None or upstream is None:
            return False
        if upstream.blocked or client.queued != self.client_read:
            return False
        try:
            audio = self._conversation.client_audio(frame, monotonic())
        except Exception as error:
            self._fail(error)
            return True
        if audio is None:
            self._wake()
        elif audio:
            upstream.post(append_audio(audio), text=True)
        return True

    def _down(self, frame: bytes) -> bool:
        """A text frame of the upstream."""
        client, upstream = self._client, self._upstream
        if not frame.startswith(_DELTA) or not self.open or client is None or upstream is None:
            return False
        if client.blocked or upstream.queued != self.upstream_read:
            return False
        try:
            data = orjson.loads(frame)
            response_id, item_id = data["response_id"], data["item_id"]
            downlink = self._conversation.downlink
            if not downlink.flows(response_id, item_id):
                return False
            audio = pybase64.b64decode(data["delta"], validate=True)
        except (ValueError, TypeError, KeyError):
            # The reader counts it.
            return False
        try:
            voice = downlink.voice
            piece = voice.feed(response_id, audio)
            downlink.playout.forwarded(item_id, voice.milliseconds(audio), monotonic())
        except Exception as error:
            self._fail(error)
            return True
        if piece:
            client.post(piece, text=False)
        return True
