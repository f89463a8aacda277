"""The upstream's connections ("legs") of one conversation: what becomes of everything under way when one is lost, and
how the conversation is restored on the next.

What was under way                            | on the next connection
first ``Settings`` not confirmed              | waits again
``session.update`` in flight                  | its requests wait again; what was confirmed is restored
items sent, not acknowledged                  | sent again, with the transcript
``response.create`` without a response        | the request waits again
a response, nothing of it heard               | asked for again
a response, a part of it heard                | what was heard is in the transcript; another response goes on from there
a response that has called functions          | the calls are in the transcript, and stay open
a committed turn that waits for its answer    | a response is requested
the user speaks                               | the audio is sent again; the client is not told a second time

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from gateway.continuity.restore import Restore
from gateway.conversation.context import Context
from gateway.conversation.effects import SESSION_OVER, UpstreamProblem
from gateway.conversation.failed_replies import FailedReplies
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.user_turns import UserTurns
from gateway.timers import Timer
from gateway.turn.requests import Kind
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Slot
from turngate.protocol.openai.server_events import Response

#: A client hears of a connection that is not restored after so many seconds.
_TOLD_AFTER = 1.0
#: Connections that may be lost within a minute without a completed response between them: what is replayed may be what
#: ends them.
_LOST_MAX = 6
_MINUTE = 60.0
_DO_NOT_RETRY = 1000
#: Reasons that are counted by name; others as ``other``.
_REASONS_MAX = 32
_UNANSWERED = UpstreamProblem("upstream_stalled", "The upstream did not take the conversation up again.", 1011)


class UpstreamLegs:
    """The connections of one conversation. Call `lost` when one is lost, and `connected`, `configured` and
    `acknowledged` for the events of the next one."""

    def __init__(
        self, context: Context, client: ClientHandler, turns: UserTurns, failed_replies: FailedReplies
    ) -> None:
        self._context = context
        self._client = client
        self._turns = turns
        self._failed_replies = failed_replies
        #: The number of connections so far that have begun a session.
        self.count = 0
        #: When the last connection was lost that was where the conversation is; None if none was.
        self.lost_at: float | None = None
        self._told = False
        #: When connections were lost since the last completed response.
        self._losses: deque[float] = deque(maxlen=_LOST_MAX)
        self._problem = _UNANSWERED

    def lost(self, problem: UpstreamProblem, now: float) -> bool:
        """The connection is lost. Returns False if no other one may be opened: the session ends."""
        context = self._context
        reconnecting = context.turn.slot is Slot.RECONNECTING
        if not self._may_renew(problem, now):
            return False
        reasons = context.counters.legs_lost
        reason = problem.code if problem.code in reasons or len(reasons) < _REASONS_MAX else "other"
        reasons[reason] = reasons.get(reason, 0) + 1
        if context.connected:
            self._losses.append(now)
        self._problem = problem
        context.connected, context.restore = False, None
        context.timers.clear(Timer.RESTORE)
        context.out.to_upstream.clear()
        context.out.renew_upstream = True
        if not reconnecting:
            self.lost_at, self._told = now, False
            context.timers.set(Timer.RECONNECT, now + min(_TOLD_AFTER, context.limits.reconnect))
            self._leave(now)
        return True

    @property
    def _since(self) -> float:
        """When the connection was lost that is being replaced."""
        assert self.lost_at is not None
        return self.lost_at

    def _may_renew(self, problem: UpstreamProblem, now: float) -> bool:
        context, reconnecting = self._context, self._context.turn.slot is Slot.RECONNECTING
        if context.ending is not None or context.turn.slot is Slot.CLOSED or not context.limits.reconnect:
            return False
        if not context.connected and not reconnecting:
            # The first connection has not begun a session.
            return False
        if problem.close_code == _DO_NOT_RETRY and problem is not SESSION_OVER:
            return False
        if reconnecting and now >= self._since + context.limits.reconnect:
            return False
        return len(self._losses) < _LOST_MAX or now - self._losses[0] > _MINUTE

    def _leave(self, now: float) -> None:
        """Everything that was under way waits again, or is noted as it was."""
        context = self._context
        turn = context.turn
        if (update := context.upstream_config.lost()) is not None:
            context.requests.return_(update.configures)
        if (create := turn.pending_create) is not None:
            if turn.cancel_next:
                context.requests.settle(create.responds)
            else:
                context.requests.return_(create.responds)
        wanted = turn.slot is Slot.ACTIVE
        turn.lost(now)
        reply, messages = context.downlink.lost(now)
        context.tell(*messages)
        if reply is not None:
            # The rest of a piece that was converted to the client's rate.
            context.send_audio(context.downlink.audio_tail(reply.id))
            for item_id in context.transcript.messages_of(reply.id):
                context.transcript.cut(item_id, reply.heard.get(item_id, ""))
        self._turns.lost(now)
        self._client.user_audio.lost()
        if reply is not None:
            self._failed_replies.lost(reply, now, wanted=wanted)
        elif not turn.user_speaking and any(request.kind is Kind.RESPONSE for request in context.requests):
            # A reply is due of which nothing has arrived.
            context.downlink.silence.begins(context.downlink.playout.ends_at(now))

    def take_up(self, count: int, now: float) -> None:
        """Go on for another gateway, which had so many connections: the first one of this gateway is the next."""
        context = self._context
        self.count = count
        self.lost_at, self._told = now, False
        context.turn.lost(now)
        context.timers.set(Timer.RECONNECT, now + min(_TOLD_AFTER, context.limits.reconnect))

    # --- the next one

    def connected(self, now: float) -> None:
        """The next connection has begun a session."""
        context = self._context
        self.count += 1
        if context.turn.slot is not Slot.RECONNECTING:
            return
        if not context.configured:
            self._restored(now)
            return
        context.restore = restore = Restore(context.next_event_id("restore"))
        context.out.to_upstream.append(restore.begin(context.upstream_config.restoring()))
        context.timers.set(Timer.RESTORE, now + context.limits.reply)

    def configured(self, session: dict[str, Any], now: float) -> None:
        """The configuration is restored."""
        context = self._context
        assert context.restore is not None
        if session:
            context.upstream_config.learn(session)
        context.out.to_upstream += context.restore.configured(context.replayed())
        self._finish(now)

    def acknowledged(self, item_id: str | None, now: float) -> None:
        """The upstream has added an item."""
        assert self._context.restore is not None
        self._context.restore.acknowledged(item_id)

    def settle(self, now: float) -> UpstreamProblem | None:
        """Call after every event: the restoration may be complete. Returns why the connection is to be given up, if
        that is so: it refuses the configuration that the one before had confirmed."""
        restore = self._context.restore
        if restore is not None and restore.refusal is not None:
            return UpstreamProblem("upstream_refused", f"The configuration was refused: {restore.refusal}", 1011)
        self._finish(now)
        return None

    def _finish(self, now: float) -> None:
        context = self._context
        if context.restore is not None and context.restore.done:
            context.has_restored(context.restore.items)
            context.restore = None
            context.timers.clear(Timer.RESTORE)
            self._restored(now)

    def _restored(self, now: float) -> None:
        context = self._context
        context.timers.clear(Timer.RECONNECT)
        context.requests.restored()
        context.turn.restored(now)
        context.counters.restored += 1
        context.counters.restore_time(now - self._since)
        self._client.user_audio.restored(now)
        if self._told:
            took = now - self._since
            context.tell(
                events.warning("UPSTREAM_RECONNECTED", f"The connection to the model was renewed in {took:.1f} s.")
            )

    # --- time

    def due(self, now: float) -> UpstreamProblem | None:
        """The client is told that this takes a while. Returns why the session ends if it takes too long."""
        context = self._context
        until = self._since + context.limits.reconnect
        if now >= until:
            return self._problem
        self._told = True
        context.tell(
            events.warning("UPSTREAM_RECONNECTING", "The connection to the model was lost and is being renewed.")
        )
        context.timers.set(Timer.RECONNECT, until)
        return None

    def unanswered(self) -> UpstreamProblem:
        """The connection does not answer what restores the conversation: it counts as lost, for this reason."""
        return _UNANSWERED

    def ended(self, response: Response) -> None:
        """A response has ended. After one that is complete, connections may be lost again."""
        if response.is_complete:
            self._losses.clear()
