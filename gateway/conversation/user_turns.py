"""The user's audio turns: how each ends, which response answers it, and which requests that response includes.

With ``create_response`` the upstream answers a turn by itself, unless something else holds the conversation when the
turn is committed; a turn that was committed by hand it never answers. The wire does not say which commit a response
belongs to, nor does a response that the upstream could not make leave a trace on every upstream. So this counts what a
response of the upstream's own *surely* answers, and asks again for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.conversation.context import Context
from gateway.turn.requests import Kind, Request, TooManyRequests
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import commit_audio
from turngate.protocol.openai.server_events import AudioCommitted

USER_TURN_ENDED = "UserTurnEnded"


class UserTurns:
    """The audio turns of one session. Call its methods for the upstream's events, in the order of arrival."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: The ``event_id`` of our commit, until it is answered.
        self._forced: str | None = None
        #: The item of the newest ``speech_stopped``.
        self._stopped_item: str | None = None
        #: The upstream may have committed that turn by itself before our commit arrived.
        self._crossed = False
        #: The item of silence that the upstream commits after its idle timeout, and always answers automatically.
        self._idle_item: str | None = None
        #: The requests that the next automatic response certainly includes: their items were in the conversation when
        #: its audio turn was committed. None if no audio turn waits for an answer.
        self._known_at_commit: set[int] | None = None
        #: The same for the commit before, if that was not answered either.
        self._known_before: set[int] | None = None
        #: An audio turn was committed, and the upstream has not begun its automatic response.
        self._owes_answer = False
        #: Commits since our last create for which the upstream tries to begin an automatic response, and has not begun
        #: one.
        self._attempts = 0
        #: The newest automatic response, until the user speaks again.
        self._own_answer: str | None = None
        #: The newest turn was committed while the one before still waited for an answer.
        self._overtaken = False
        #: The newest turn has ended, and was not committed yet.
        self._uncommitted = False
        #: The user was speaking when the connection was lost, and the new one has not heard that.
        self.resumes = False

    # --- ending a turn

    def speech_started(self) -> None:
        self._context.turn.user_speaking, self.resumes = True, False
        self._own_answer = None

    def speech_stopped(self, item_id: str | None) -> None:
        self._context.turn.user_speaking = False
        self._stopped_item, self._uncommitted = item_id, True

    def idle(self, item_id: str | None) -> None:
        """The upstream's idle timeout: it is about to commit silence. Every commit of ours has been answered."""
        self._idle_item, self._crossed = item_id, False

    def force_commit(self) -> None:
        """Commit the user's turn although the upstream has not ended it. No effect if the user is not speaking."""
        if self._context.turn.user_speaking:
            self._forced = self._forced or self._context.send(commit_audio, "commit")

    def force_end(self, now: float) -> None:
        """The upstream does not answer the commit: end the user's turn here, and request a response."""
        self._forced = None
        self._context.turn.user_speaking = self._uncommitted = self.resumes = False
        self.ask(None, now)

    def force_refused(self, event_id: str | None) -> bool:
        """Whether this is our commit, which the upstream refused; the turn continues."""
        forced = event_id is not None and event_id == self._forced
        if forced:
            self._forced = None
        return forced

    def committed(self, event: AudioCommitted, now: float) -> None:
        """A turn was committed: the upstream answers it automatically, or a response is requested."""
        turn, requests = self._context.turn, self._context.requests
        turn.user_speaking = self._uncommitted = self.resumes = False
        idle = event.item_id is not None and event.item_id == self._idle_item
        by_itself = self._context.upstream_config.server_responds or idle
        if self._by_hand(event) or not by_itself:
            # The upstream does not answer our commits automatically.
            known = set(requests.answerable())
            if (request := self.ask(event.item_id, now)) is not None and self._crossed:
                self._known_at_commit = known | {request.seq}
            return
        self._attempts += 1
        could_answer = turn.free_for_configuration or turn.slot is Slot.PROMISED
        turn.committed(now)
        self._known_before, self._overtaken = self._known_at_commit, self._known_at_commit is not None
        self._known_at_commit = set(requests.answerable())
        if could_answer:
            self._owes_answer = True
        elif (request := self.ask(event.item_id, now)) is not None:
            self._known_at_commit.add(request.seq)

    # --- another connection

    def lost(self, now: float) -> None:
        """The upstream's connection is lost. A turn that is not committed goes on, with the same audio on the next
        connection; one that was promised an answer gets a response."""
        owed = self._owes_answer
        turn = self._context.turn
        turn.user_speaking = self.resumes = turn.user_speaking or self._uncommitted
        self.moved()
        self._owes_answer = self._uncommitted = False
        if owed:
            self.ask(None, now)

    @property
    def waits(self) -> bool:
        """Whether the upstream owes something about the user's turn: a commit, or an answer."""
        return self._forced is not None or self._uncommitted or self._owes_answer

    def moved(self) -> None:
        """Another connection takes the place of this one, at a moment in which nothing `waits`."""
        self._stopped_item = self._idle_item = self._own_answer = None
        self._known_at_commit = self._known_before = None
        self._crossed = self._overtaken = False
        self._attempts = 0

    def restored(self) -> None:
        """The audio that was not committed was sent again. A turn that was to be committed still is."""
        if self._forced is not None:
            self._forced = None
            self.force_commit()

    # --- another gateway

    def journaled(self) -> dict[str, Any]:
        """What is under way, for `take_up`."""
        speaking = self._context.turn.user_speaking or self._uncommitted
        return {"owed": self._owes_answer, "speaking": speaking, "forced": self._forced is not None}

    def take_up(self, journaled: Mapping[str, Any], now: float, *, has_audio: bool) -> None:
        """Go on for another gateway. The turn that was open goes on if its audio is there; one that waited for an
        answer gets a response."""
        if has_audio and journaled["speaking"]:
            self._context.turn.user_speaking = self.resumes = True
            self._forced = "" if journaled["forced"] else None
        if journaled["owed"]:
            self.ask(None, now)

    def _by_hand(self, event: AudioCommitted) -> bool:
        """Whether this may be the answer to our commit. If ours crosses the upstream's own there are two, and only the
        first was announced by ``speech_stopped``."""
        announced = event.item_id is not None and event.item_id == self._stopped_item
        if self._forced is not None:
            by_both = announced and self._context.upstream_config.server_responds
            self._forced, self._crossed = None, by_both
            return True
        crossed, self._crossed = self._crossed, False
        return crossed and not announced

    # --- answering it

    def ask(self, item_id: str | None, now: float) -> Request | None:
        """Request a response to a turn that the upstream will not answer automatically. The turn is in the conversation
        once ``item_id`` is. Returns the request, or None if too many are waiting."""
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
        """An automatic response has begun. Returns the requests that it certainly answers.

        It began at the upstream a little before this gateway hears of it. An item that got there in between looks the
        same from here but is not known to it; so only what surely is counts. Rather asked again than left unanswered.
        """
        self._own_answer, self._owes_answer = response_id, False
        self._attempts = max(self._attempts - 1, 0)
        known, self._known_at_commit, self._known_before = self._known_at_commit, None, None
        answerable = frozenset(self._context.requests.answerable())
        return answerable if known is None else answerable & known

    def answer_gave_way(self) -> None:
        """A response that began while the user speaks is being cancelled. What it was to answer is answered with the
        user's turn."""
        self._own_answer, self._owes_answer = None, False
        self._known_at_commit = self._known_before = None

    def answer_ended(self, response_id: str, now: float, *, interrupted: bool) -> None:
        """A response of the default conversation has ended. Call after the slot has changed."""
        if interrupted and response_id == self._own_answer:
            # Interrupted by speech that had ended before the response was announced, so it answered an earlier turn.
            turn = self._context.turn
            turn.committed(now)
            self._owes_answer = turn.slot is Slot.PROMISED
            if not self._owes_answer:
                # Our create is out, so an automatic response to the later turn may have collided with it.
                self.ask(None, now)
            self._known_at_commit = set(self._context.requests.answerable())

    def answer_lost(self, response_id: str | None, now: float) -> None:
        """The end of this response was lost, and the slot is free. If it was automatic and began after two turns, it
        may have answered the first of them, and have been interrupted by the second."""
        if response_id == self._own_answer and self._overtaken:
            self._overtaken = False
            self.ask(None, now)

    def create_sent(self) -> None:
        """Our ``response.create`` is sent. Its response knows all turns that were committed."""
        self._attempts, self._overtaken = 0, False

    def attempt_failed(self) -> bool:
        """A response collided with another, and the error does not say which. Returns True if it may have been an
        automatic one."""
        failed = self._attempts > 0
        self._attempts = max(self._attempts - 1, 0)
        return failed

    def answer_refused(self, now: float) -> None:
        """An automatic response could not begin because another one was active. The next one answers the turn
        before."""
        if self._known_before is not None:
            self._known_at_commit, self._known_before = self._known_before, None
        self.promise_broken(now)

    def promise_broken(self, now: float) -> None:
        """The automatic response did not begin: request one."""
        if self._owes_answer:
            self._owes_answer = False
            self.ask(None, now)
