"""Handles the timers of one conversation, and watches since when the slot is free.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.conversation.context import Context
from gateway.conversation.effects import UpstreamProblem
from gateway.conversation.failed_replies import FailedReplies
from gateway.conversation.lifetime import Lifetime
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.on_error import UPDATE_TIMEOUT, ErrorHandler
from gateway.conversation.on_upstream import UpstreamHandler
from gateway.conversation.roll_over import RollOver
from gateway.conversation.slow_reply import SlowReply
from gateway.conversation.upstream_legs import UpstreamLegs
from gateway.conversation.user_turns import UserTurns
from gateway.timers import Timer
from turngate.protocol.messages import Slot

#: The upstream neither ends a response nor answers the cancel of it.
SICK = UpstreamProblem("upstream_stalled", "The upstream neither ended a response nor answered its cancellation.", 1011)

#: The number of moments in the time between two heartbeats at which heartbeats are due.
_HEARTBEAT_MOMENTS = 40


class TimerHandler:
    """Call `due` for each timer that is due, and `note_change` after everything that happens."""

    def __init__(
        self,
        context: Context,
        client: ClientHandler,
        turns: UserTurns,
        failed_replies: FailedReplies,
        errors: ErrorHandler,
        upstream: UpstreamHandler,
        legs: UpstreamLegs,
        roll_over: RollOver,
        lifetime: Lifetime,
        upstream_closed: Callable[[UpstreamProblem, float], None],
        now: float,
    ) -> None:
        """``upstream_closed`` is called when the upstream's connection is given up."""
        self._context = context
        self._client = client
        self._turns = turns
        self._upstream = upstream
        self._legs = legs
        self._lifetime = lifetime
        self._upstream_closed = upstream_closed
        self._slow_reply = SlowReply(context.limits.slow_think if context.dialect.sends_progress else 0)
        #: Since when a configuration could be sent and nobody speaks; None while that is not so.
        self.free_since: float | None = now
        audio = client.user_audio
        self._handlers: Mapping[Timer, Callable[[float], None]] = {
            Timer.SLOT: self._slot_due,
            Timer.CREATE: errors.create_is_unanswered,
            Timer.UPDATE: lambda now: errors.update_failed(
                UPDATE_TIMEOUT, "the upstream did not answer session.update", None, now
            ),
            Timer.TRANSCRIPTS: lambda now: context.tell(*context.downlink.user.due(now)),
            Timer.RETRY: failed_replies.due,
            Timer.CALLS: client.function_results.due,
            Timer.LIFETIME: self._lifetime_due,
            Timer.SLOW_REPLY: self._slow_reply_due,
            Timer.MANUAL_TURN: audio.manual_turn_due,
            Timer.AUDIO_GAP: audio.gap_due,
            Timer.GREETING: client.greeting_played,
            Timer.REQUESTS: self._requests_due,
            Timer.RECONNECT: self._reconnect_due,
            Timer.RESTORE: lambda now: upstream_closed(legs.unanswered(), now),
            Timer.ROLLOVER: roll_over.due,
            Timer.RESUMED_SPEECH: audio.resumed_speech_due,
            Timer.HEARTBEAT: self._heartbeat_due,
        }
        self.lifetime_changed()
        self._set_heartbeat(now)

    def due(self, timer: Timer, now: float) -> None:
        """This timer is due."""
        self._handlers[timer](now)

    def lifetime_changed(self) -> None:
        """The lifetime ends at another time, or will not end."""
        self._context.timers.set(Timer.LIFETIME, self._lifetime.deadline())

    def note_change(self, now: float) -> None:
        """Something has happened."""
        context = self._context
        turn, update = context.turn, context.upstream_config.update
        free = turn.free_for_configuration and not turn.user_speaking and update is None
        self.free_since = (self.free_since if self.free_since is not None else now) if free else None
        self._slow_reply.watch(context.awaits_reply, now)
        context.timers.set(Timer.SLOW_REPLY, self._slow_reply.deadline())
        context.timers.set(Timer.REQUESTS, self._requests_at())

    def give_up_overdue(self, now: float) -> None:
        """Report requests that could not be executed in time, including those that a timer has just returned."""
        context, requests = self._context, self._context.requests
        for request in requests.settle(requests.overdue(now)):
            context.counters.given_up += 1
            problem = f"{request.name} could not be carried out in time."
            self._client.refused(request, "REQUEST_TIMED_OUT", problem, now)

    # --- one method per timer that takes a decision

    def _slot_due(self, now: float) -> None:
        context, turn = self._context, self._context.turn
        match turn.slot:
            case Slot.PROMISED:
                turn.promise_expired(now)
                self._turns.promise_broken(now)
            case Slot.ACTIVE:
                if turn.silence_due(now):
                    self._upstream.response_is_silent(now)
            case _:
                response_id = turn.response_id
                if turn.cancel_expired(now):
                    context.tell(*context.downlink.end())
                    self._turns.answer_lost(response_id, now)
                else:
                    self._upstream_closed(SICK, now)

    def _lifetime_due(self, now: float) -> None:
        if (up := self._lifetime.due(now)) is not None:
            self._client.time_is_up(up, now)
        self.lifetime_changed()

    def _slow_reply_due(self, now: float) -> None:
        # Audio may have arrived since the last event, which is no change.
        self._slow_reply.watch(self._context.awaits_reply, now)
        if (waited := self._slow_reply.due(now)) is not None:
            self._client.reply_is_slow(waited)

    def _requests_due(self, now: float) -> None:
        context = self._context
        if context.publishes:
            due = context.requests.due(now, self.free_since)
            context.counters.republished += len(due)
            context.publish(due, now)

    def _reconnect_due(self, now: float) -> None:
        if (problem := self._legs.due(now)) is not None:
            self._upstream_closed(problem, now)

    def _heartbeat_due(self, now: float) -> None:
        self._context.out.turn_changed = self._context.out.journal_due = True
        self._set_heartbeat(now)

    def _set_heartbeat(self, now: float) -> None:
        # At a moment that is the same for many sessions: they go in one message, and cost less one after the other.
        heartbeat = self._context.limits.heartbeat
        moment = heartbeat / _HEARTBEAT_MOMENTS
        self._context.timers.set(Timer.HEARTBEAT, (now + heartbeat) // moment * moment)

    def _requests_at(self) -> float:
        requests = self._context.requests
        overdue = requests.overdue_at()
        return min(overdue, requests.due_at(self.free_since)) if self._context.publishes else overdue
