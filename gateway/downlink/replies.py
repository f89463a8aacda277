"""The replies of one session, as far as the client has had them. All of it is bounded.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from gateway.downlink.reply import LostReply, Reply
from gateway.recent import Recent
from turngate.protocol.openai.server_events import Response


class Replies:
    """Asked about a response that is not known, or not known any more, it says that the client has had nothing."""

    def __init__(self, remembered: int) -> None:
        """``remembered`` bounds the number of replies, and of items."""
        self._replies: Recent[str, Reply] = Recent(remembered)
        #: The newest reply; None if there was none.
        self.newest: Reply | None = None
        #: The response that an item belongs to.
        self._owners: Recent[str, str] = Recent(remembered)
        #: Items whose text was sent.
        self._told: Recent[str, None] = Recent(remembered)

    def __contains__(self, response_id: str) -> bool:
        return response_id in self._replies

    def get(self, response_id: str) -> Reply | None:
        """This response's reply; None if it is not known."""
        return self._replies.get(response_id)

    def begun(self, response_id: str, now: float, response: Response | None = None) -> Reply:
        """This response's reply, which begins now if it is not known."""
        reply = self._replies.get(response_id)
        if reply is None:
            reply = Reply(response_id, now, default=response is None or response.is_default)
            self._replies[response_id] = reply
            if reply.default:
                self.newest = reply
        return reply

    def owns(self, response_id: str, item_id: str) -> None:
        """This item belongs to this response."""
        self._owners[item_id] = response_id

    def owner(self, item_id: str | None) -> Reply | None:
        """The reply that this item belongs to; None if it is not known."""
        return self._replies.get(self._owners.get(item_id or "", ""))

    def note_told(self, item_id: str) -> None:
        """The text of this item is sent."""
        self._told[item_id] = None

    @property
    def told(self) -> frozenset[str]:
        """The items whose text was sent."""
        return frozenset(self._told)

    def was_told(self, item_id: str | None) -> bool:
        """Whether the text of this item was sent."""
        return item_id in self._told

    # --- what the client has had of a response

    def mutes(self, response_id: str) -> bool:
        """Whether nothing more of this response is sent."""
        reply = self._replies.get(response_id)
        return reply is not None and reply.muted

    def has_delivered(self, response_id: str, item_id: str) -> bool:
        """Whether the client has had this item: its text, or some of its audio."""
        reply = self._replies.get(response_id)
        return item_id in self._told or (reply is not None and item_id in reply.sounded_items)

    def has_sounded(self, response_id: str) -> bool:
        """Whether audio of this response was forwarded to the client."""
        reply = self._replies.get(response_id)
        return reply is not None and reply.sounded

    def has_begun(self, response_id: str) -> bool:
        """Whether the client has heard anything of this response, or was asked for a function call."""
        reply = self._replies.get(response_id)
        return reply is not None and (reply.started or bool(reply.calls) or reply.cut)

    def calls_of(self, response_id: str) -> list[str]:
        """The ids of this response's function calls that were requested from the client."""
        reply = self._replies.get(response_id)
        return reply.calls if reply is not None else []

    @property
    def silent(self) -> bool:
        """Whether nothing of the newest reply has arrived yet."""
        reply = self.newest
        return reply is not None and reply.running and not (reply.started or reply.words or reply.calls)

    # --- their ends

    def is_over(self, response_id: str, now: float) -> None:
        """This response, of which nothing is known, is over: nothing of it will be sent."""
        self._replies[response_id] = Reply(response_id, now, closed=True)

    def cut(self) -> None:
        """The newest reply is cancelled or interrupted: nothing more of it will be sent."""
        if self.newest is not None:
            self.newest.cut = True

    def cut_all(self) -> None:
        """The user speaks: nothing more of any reply will be sent."""
        for reply in self._replies.values():
            reply.cut = True

    def go_on(self, response_id: str, now: float) -> None:
        """This response goes on with the reply that was lost: for the client it is the same one. Call before the
        downlink handles its ``response.created``."""
        before = self.newest
        if before is not None and before.lost:
            before.lost, before.closed = False, True
            self.newest = self._replies[response_id] = Reply(response_id, now, started=before.started)

    def take_up(self, reply: LostReply, now: float) -> None:
        """Go on for another gateway, which was in the middle of this reply."""
        self.newest = self._replies[reply.id] = Reply(reply.id, now, started=reply.started, lost=True, over=True)
