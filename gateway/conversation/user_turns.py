"""The user's audio turns: who ends each, who answers it, and what the answer knows.

With ``create_response`` the upstream answers a turn by itself, unless something else holds the conversation when the
turn is committed; a turn that was committed by hand it never answers. The wire does not say which commit a response
belongs to, nor does a response that the upstream could not make leave a trace on every upstream. So this counts what a
response of the upstream's own *surely* answers, and asks again for the rest.
"""

from __future__ import annotations

from gateway.conversation.context import Context
from gateway.turn.requests import Kind, Request, TooManyRequests
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import commit_audio
from turngate.protocol.openai.server_events import AudioCommitted

USER_TURN_ENDED = "UserTurnEnded"


class UserTurns:
    """The audio turns of one session. Tell it of the upstream's events, in the order of the wire."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: The commit that ends the user's turn because the client said so, until it is answered.
        self._forced: str | None = None
        #: The turn that the upstream last heard end.
        self._stopped_item: str | None = None
        #: The upstream may have ended that turn by itself, and our commit is still to come.
        self._crossed = False
        #: The silence that the upstream commits next, and answers by itself in any case.
        self._idle_item: str | None = None
        #: What a response that the upstream makes by itself surely knows: the requests whose items were there when the
        #: audio turn was committed which it answers. None when no audio turn waits for one.
        self._known_at_commit: set[int] | None = None
        #: The same of the commit before, while that was not answered either.
        self._known_before: set[int] | None = None
        #: An audio turn was committed that the upstream should answer by itself, and has not yet.
        self._owes_answer = False
        #: The response that it last made by itself, until the user speaks again.
        self._own_answer: str | None = None

    # --- ending a turn

    def speech_started(self) -> None:
        self._context.turn.user_speaking = True
        self._own_answer = None

    def speech_stopped(self, item_id: str | None) -> None:
        self._context.turn.user_speaking = False
        self._stopped_item = item_id

    def idle(self, item_id: str | None) -> None:
        """The upstream is about to commit silence. By now every commit of ours has been answered."""
        self._idle_item, self._crossed = item_id, False

    def force_commit(self) -> None:
        """End the user's turn, although the upstream still waits for more of it; nothing when nobody speaks."""
        if self._context.turn.user_speaking:
            self._forced = self._forced or self._context.send(commit_audio, "commit")

    def force_end(self, now: float) -> None:
        """The upstream answers no commit: the user's turn ends here, and somebody must ask for the answer."""
        self._forced = None
        self._context.turn.user_speaking = False
        self.ask(None, now)

    def force_refused(self, event_id: str | None) -> bool:
        """True when this is the commit that was forced: the upstream did not take it, and the turn goes on."""
        forced = event_id is not None and event_id == self._forced
        if forced:
            self._forced = None
        return forced

    def committed(self, event: AudioCommitted, now: float) -> None:
        """A turn is complete: either the upstream answers it now, or somebody must ask."""
        turn, requests = self._context.turn, self._context.requests
        turn.user_speaking = False
        idle = event.item_id is not None and event.item_id == self._idle_item
        by_itself = self._context.upstream_config.server_responds or idle
        if self._by_hand(event) or not by_itself:
            # A turn that was committed by hand is never answered by itself.
            known = set(requests.answerable())
            if (request := self.ask(event.item_id, now)) is not None and self._crossed:
                self._known_at_commit = known | {request.seq}
            return
        could_answer = turn.free_for_configuration or turn.slot is Slot.PROMISED
        turn.committed(now)
        self._known_before = self._known_at_commit
        self._known_at_commit = set(requests.answerable())
        if could_answer:
            self._owes_answer = True
        elif (request := self.ask(event.item_id, now)) is not None:
            self._known_at_commit.add(request.seq)

    def _by_hand(self, event: AudioCommitted) -> bool:
        """True when this may be our commit. One that crosses the upstream's own makes two, and only the first of them
        was announced by speech_stopped."""
        announced = event.item_id is not None and event.item_id == self._stopped_item
        if self._forced is not None:
            by_both = announced and self._context.upstream_config.server_responds
            self._forced, self._crossed = None, by_both
            return True
        crossed, self._crossed = self._crossed, False
        return crossed and not announced

    # --- answering it

    def ask(self, item_id: str | None, now: float) -> Request | None:
        """A turn is in the conversation (or will be, once ``item_id`` is) that the upstream will not answer by itself.
        Returns the request for an answer, None when too many are waiting."""
        try:
            request = self._context.accept(Kind.RESPONSE, {"type": USER_TURN_ENDED}, now, own=True)
        except TooManyRequests:
            self._context.tell(
                events.warning("TOO_MANY_REQUESTS", "Too many requests are waiting; the user's turn gets no reply.")
            )
            return None
        request.items_known = True
        if item_id is not None:
            request.unacknowledged.add(item_id)
        return request

    def answer_began(self, response_id: str) -> frozenset[int]:
        """A response of the upstream's own has begun. Returns the requests that it surely answers.

        It began at the upstream a little before this gateway hears of it. An item that got there in between looks the
        same from here but is not known to it; so only what surely is counts. Rather asked again than left unanswered.
        """
        self._own_answer, self._owes_answer = response_id, False
        known, self._known_at_commit, self._known_before = self._known_at_commit, None, None
        answerable = frozenset(self._context.requests.answerable())
        return answerable if known is None else answerable & known

    def answer_gave_way(self) -> None:
        """A response began while the user speaks, and is cancelled. The turn that ends next is answered with what it
        was to answer."""
        self._own_answer, self._owes_answer = None, False
        self._known_at_commit = self._known_before = None

    def answer_ended(self, response_id: str, now: float, *, interrupted: bool) -> None:
        """A response of the default conversation has ended, and the turn's slot was told."""
        if interrupted and response_id == self._own_answer:
            # By speech that had ended before this response was announced: it was for an earlier turn than we thought.
            self._owes_answer = True
            self._known_at_commit = set(self._context.requests.answerable())
            self._context.turn.committed(now)

    def answer_refused(self, now: float) -> None:
        """A response that the upstream wanted to make by itself met another one. What it begins next is for the turn
        before."""
        if self._known_before is not None:
            self._known_at_commit, self._known_before = self._known_before, None
        self.promise_broken(now)

    def promise_broken(self, now: float) -> None:
        """The upstream did not answer the user's turn by itself: somebody must ask."""
        if self._owes_answer:
            self._owes_answer = False
            self.ask(None, now)
