"""The client's connections ("legs") of one conversation: what is kept while there is none, and what one that returns
gets.

While there is no client the session is *parked*: its upstream connection stays, a reply that runs goes on and is
queued, nothing counts as played, function calls stay open, and a turn of the user that was open is ended.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.continuity.sent import Sent
from gateway.conversation.context import Context
from gateway.conversation.lifetime import Lifetime
from gateway.conversation.on_client import ClientHandler

#: Messages that are kept for a client that says how many it has received.
_SENT_MAX = 128


class ClientLegs:
    """The connections of one conversation's client."""

    def __init__(
        self, context: Context, client: ClientHandler, lifetime: Lifetime, unix_offset: float, *, resumable: bool
    ) -> None:
        """``unix_offset`` is what to add to ``now`` for seconds since 1970. ``resumable``: the client may return, so
        that what is sent to it is kept until it has arrived."""
        self._context = context
        self._client = client
        self._lifetime = lifetime
        self.sent = Sent(_SENT_MAX) if resumable else None
        #: The number of connections so far.
        self.count = 1
        self._unix_offset = unix_offset
        #: Since when there is no client, in milliseconds since 1970; None while there is one.
        self.parked_since_ms: int | None = None
        #: While nothing is sent: how many messages were, and the items whose text was told before.
        self._sent: int | None = None
        self._told: frozenset[str] = frozenset()

    @property
    def parked(self) -> bool:
        """Whether there is no client."""
        return self._lifetime.parked

    def told(self, messages: list[dict[str, Any]]) -> None:
        """These messages go to the client."""
        assert self.sent is not None
        for message in messages:
            self.sent.add(message)

    def mark(self) -> bytes | None:
        """What to ask the client for now, to learn what has arrived; None if there is nothing to ask."""
        return None if self.sent is None or self.parked else self.sent.mark()

    def proven(self, mark: bytes) -> None:
        """The client has answered this."""
        assert self.sent is not None
        self.sent.proven(mark)

    def lost(self, now: float, unsent: int = 0, unrepeated: int = 0) -> None:
        """The client is gone, and may return. The last ``unsent`` messages are still queued, and the last
        ``unrepeated`` ones of those that it got when it returned."""
        self.leave(unsent, unrepeated)
        self._lifetime.parked = True
        self.parked_since_ms = int((now + self._unix_offset) * 1000)
        self._context.downlink.playout.pause(now)
        self._client.user_audio.end_turn(now)

    def returned(self, received: int | None, unsent: int, now: float) -> list[dict[str, Any]]:
        """The client is back, and says that it has ``received`` so many messages, if it says so; the last ``unsent``
        ones are still queued. Returns the messages to send before those."""
        assert self.sent is not None
        self.count += 1
        self._lifetime.parked, self.parked_since_ms, self._sent = False, None, None
        self._lifetime.heard_at = now
        self._context.downlink.playout.resume(now)
        self._client.returned()
        return self.sent.missed(received, unsent, self._is_open)

    def leave(self, unsent: int, unrepeated: int = 0) -> None:
        """Nothing more is sent on this connection, not even what is queued there (`lost`)."""
        if self._sent is None:
            assert self.sent is not None
            self._sent, self._told = self.sent.lost(unsent, unrepeated), self._context.downlink.replies.told

    @property
    def has_reply(self) -> bool:
        """Whether the client is known to have the newest reply that has ended, with all of its audio."""
        return self.sent is not None and self.sent.has_reply

    @property
    def last_sent(self) -> int:
        """The number of the last message that was sent to the client, and does not wait for it to return."""
        assert self.sent is not None
        return self.sent.count if self._sent is None else self._sent

    def has_told(self, item_id: str) -> bool:
        """Whether the text of this item was sent to the client, and does not wait for it to return."""
        return self._context.downlink.replies.was_told(item_id) if self._sent is None else item_id in self._told

    def journaled(self) -> dict[str, Any]:
        """The number of connections, and what has arrived of the messages, for `take_up`."""
        assert self.sent is not None
        messages, proven = self.sent.count, self.sent.proven_count
        return {"legs": self.count, "messages": messages, "proven": proven, "sent": self.last_sent}

    def take_up(self, journaled: Mapping[str, Any], messages: Iterable[tuple[int, dict[str, Any]]], now: float) -> None:
        """Go on for another gateway, whose messages these are: the client is gone, and may return."""
        assert self.sent is not None
        self.count, self._sent = journaled["legs"], journaled["sent"]
        self.sent.take_up(journaled["messages"], journaled["proven"], journaled["sent"], messages)
        self._lifetime.parked = True
        self.parked_since_ms = int((now + self._unix_offset) * 1000)
        self._context.downlink.playout.pause(now)

    def _is_open(self, call_id: str) -> bool:
        call = self._context.calls.get(call_id)
        return call is not None and not call.answered
