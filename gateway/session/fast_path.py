"""Fast path for audio: forwards a frame in the receive callback when nothing is queued ahead of it.

Nearly every frame is audio, and nothing is queued before it. Waking a task for such a frame would cost more than
handling it. If something is queued, or the peer cannot be written to, or the library has no `DirectSocket`, the frame
is queued and handled in order by the reader.

This module takes no decisions. It runs for every frame, so it avoids calls and allocations, and does not log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized

from pybase64 import b64encode

from gateway.allowance import Allowance
from gateway.conversation.conversation import Conversation
from gateway.sockets.interface import DirectSocket
from turngate.protocol.openai.client_events import APPEND_BEGINS, APPEND_ENDS
from turngate.protocol.openai.server_events import read_audio_delta

#: What a client may send per second to pass directly, in bytes, of which every frame costs some; no conversation needs
#: more. What is beyond it is queued, and handled in turn with the frames of other sessions.
_BYTES_PER_SECOND = 262_144
_FRAME_COSTS = 256
#: Seconds of that which may come at once: not so many small frames that the audio of others waits for long.
_BURST_SECONDS = 0.25


class FastPath:
    """Forwards the audio of one session between its two connections."""

    __slots__ = (
        "_client",
        "_clock",
        "_connected",
        "_conversation",
        "_fail",
        "_hand_over",
        "_share",
        "_upstream",
        "_waiting",
        "open",
    )

    #: The connections, from when there are both: only they call the methods below.
    _client: DirectSocket
    _upstream: DirectSocket

    def __init__(
        self,
        conversation: Conversation,
        clock: Callable[[], float],
        hand_over: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """``hand_over`` queues the conversation's effects; ``fail`` ends the session after an unexpected exception.
        Both return at once."""
        self._conversation = conversation
        self._clock = clock
        self._share = Allowance(_BYTES_PER_SECOND, clock(), burst=_BURST_SECONDS)
        #: Those that call the methods below.
        self._connected: Sequence[DirectSocket] = ()
        #: What is queued for the client.
        self._waiting: Sized = ()
        self._hand_over = hand_over
        self._fail = fail
        #: The session is configured and has not ended.
        self.open = False

    def connect(self, client: DirectSocket | None, upstream: DirectSocket | None, waiting: Sized = ()) -> None:
        """Forward between these two connections, and no longer between those before. While something is ``waiting``
        for the client, the agent's audio goes behind it."""
        for before in self._connected:
            before.on_message = None
        self._connected, self._waiting = (), waiting
        if client is not None and upstream is not None:
            self._connected = self._client, self._upstream = client, upstream
            client.on_message, upstream.on_message = self._from_client, self._from_upstream

    def _from_client(self, frame: bytes) -> bool:
        """Handle a binary message of the client. Returns False to queue it."""
        upstream = self._upstream
        if not self.open or upstream.blocked or not self._client.idle:
            return False
        now = self._clock()
        share, size = self._share, _FRAME_COSTS + len(frame)
        if share.left >= size:
            share.left -= size
        elif not share.spend(size, now):
            return False
        try:
            audio = self._conversation.client_audio(frame, now)
        except Exception as error:
            self._fail(error)
            return True
        if audio:
            upstream.post_audio(APPEND_BEGINS + b64encode(audio) + APPEND_ENDS)
        elif audio is None:
            self._hand_over()
        return True

    def _from_upstream(self, frame: bytes) -> bool:
        """Handle a text message of the upstream. Returns False to queue it."""
        client = self._client
        if not self.open or client.blocked or self._waiting or not self._upstream.idle:
            return False
        delta = read_audio_delta(frame)
        if delta is None:
            return False
        response_id, item_id, pcm = delta
        try:
            audio = self._conversation.agent_audio(response_id, item_id, pcm, self._clock())
        except Exception as error:
            self._fail(error)
            return True
        if audio:
            client.post_audio(audio)
        elif audio is None:
            self._hand_over()
        return True
