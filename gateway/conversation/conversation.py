"""One conversation: everything a gateway decides, and nothing it does.

Feed it what happens (`client_text`, `upstream_event`, `command`, `tick`, `upstream_closed`), then `drain` what is to
be done, at once and in order: the fence is only as good as the order of the socket behind it.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from typing import Any

from gateway.conversation.context import State
from gateway.conversation.counters import Counters
from gateway.conversation.effects import Ending, Outputs, UpstreamProblem
from gateway.conversation.lifetime import Lifetime
from gateway.conversation.limits import Limits
from gateway.conversation.on_client import ClientSide
from gateway.conversation.on_command import TranslatorSide
from gateway.conversation.on_upstream import UpstreamSide
from gateway.conversation.slow_reply import Slowness
from gateway.conversation.user_turns import UserTurns
from gateway.dialect import Dialect
from gateway.turn.requests import Kind
from turngate.protocol.messages import ClientEvent, Command, Slot, TurnRecord
from turngate.protocol.openai import realtime
from turngate.protocol.openai.unused_events import UNUSED_EVENTS

__all__ = ["Conversation", "Ending", "Outputs", "UpstreamProblem"]

NEVER = float("inf")


class Conversation:
    """One session, from the client's upgrade to the end."""

    def __init__(
        self,
        session: str,
        gateway: str,
        dialect: Dialect,
        limits: Limits,
        now: float,
        counters: Counters | None = None,
    ) -> None:
        """``counters`` may be shared by all conversations of a process."""
        self.session = session
        self.gateway = gateway
        self.state = state = State(session, dialect, limits, now, counters)
        # What the shell needs of it, past the rules here.
        self.downlink, self.counters = state.downlink, state.counters
        self.tell, self.tell_once, self.tell_error, self.end = state.tell, state.tell_once, state.tell_error, state.end
        self._turns = UserTurns(state)
        self._client = ClientSide(state, self._turns, self._observed)
        self._translators = TranslatorSide(state, self._client)
        self._upstream = UpstreamSide(state, self._client, self._translators, self._turns)
        self._lifetime = Lifetime(
            now,
            silence=limits.silence if dialect.ends_on_silence else 0,
            longest=limits.session,
            notice=limits.session_notice,
        )
        self._slowness = Slowness(limits.slow_think if dialect.sends_progress else 0)
        self._free_since: float | None = now
        self._version = 0
        self._snapshot: tuple[Any, ...] = ()
        #: As much of it as decides what may go.
        self._permission: tuple[Any, ...] = ()
        self._recorded_at = now

    @property
    def connected(self) -> bool:
        return self.state.connected

    @property
    def configured(self) -> bool:
        return self.state.configured

    # --- what happens

    def client_text(self, frame: bytes, now: float) -> None:
        """A text frame of the client, of whatever content."""
        self._lifetime.heard(now)
        self._client.text(frame, now)
        self._changed(now)

    def client_audio(self, chunk: bytes, now: float) -> bytes | None:
        """A binary frame of the client, in its declared format; returns it as the upstream wants it. None when there is
        something else to `drain`: an error, or audio that goes among the events since its turns are made here."""
        self._lifetime.heard(now)
        audio = self._client.audio(chunk, now)
        if audio is None:
            self._changed(now)
        return audio

    def upstream_event(self, data: dict[str, Any], now: float) -> None:
        """A server event, audio deltas excepted. A malformed or unknown one is counted and otherwise ignored."""
        try:
            event = realtime.parse_server_event(data)
        except realtime.UpstreamProtocolError:
            self.counters.malformed_events += 1
            return
        if event is not None:
            self._upstream.event(event, now)
            self._changed(now)
        elif (kind := str(data.get("type"))[:64]) not in UNUSED_EVENTS:
            self.counters.unknown_event(kind)

    def command(self, command: Command, now: float) -> None:
        """What a translator wants done; twice, late and for settled requests is fine."""
        self._translators.command(command, now)
        self._changed(now)

    def upstream_closed(self, problem: UpstreamProblem, now: float) -> None:
        """The upstream's socket is gone, or never came: the client hears why, and the session ends."""
        self.state.turn.disconnected(now)
        if self.state.out.ending is None:
            code = problem.code if self.configured or not problem.early else "upstream_closed_before_session_ready"
            self.tell(*self.downlink.last_words(code, now))
            self.tell_error(code, problem.description)
            self.end(problem.close_code, problem.code)
        self._changed(now)

    def closed(self, now: float) -> None:
        """The client is gone: the session is over, and nothing of it matters any more."""
        self.state.turn.disconnected(now)
        self._changed(now)

    def tick(self, now: float) -> None:
        """Let time pass; to be called at `deadline`, or often enough."""
        state = self.state
        turn, ledger, limits = state.turn, state.ledger, state.limits
        if turn.slot is Slot.CLOSED:
            return
        if turn.slot is Slot.PROMISED and turn.since + limits.promise <= now:
            turn.promise_expired(now)
            self._turns.promise_broken(now)
        if turn.slot is Slot.CANCELLING and turn.since + limits.reply <= now:
            turn.cancel_expired(now)
        if turn.request is not None and turn.request.sent_at + limits.reply <= now:
            ledger.return_(turn.request.responds)
            turn.request_expired(now)
        update = state.configuration.update
        if update is not None and update.sent_at + limits.reply <= now:
            self._upstream.update_failed("upstream_timeout", "the upstream did not answer session.update", None, now)
        self._client.tick(now)
        # Audio may have come since the last event: it does not pass here.
        self._slowness.watch(state.awaits_reply, now)
        if (waited := self._slowness.due(now)) is not None:
            self._client.reply_is_slow(waited)
        if (up := self._lifetime.due(now)) is not None:
            self._client.time_is_up(up, now)
        if state.connected:
            due = ledger.due(now, self._free_since)
            state.counters.republished += len(due)
            state.publish(due, now)
        for request in ledger.settle(ledger.overdue(now, self._free_since)):
            state.counters.given_up += 1
            problem = f"{request.message['type']} could not be carried out in time."
            self._client.refused(request, "REQUEST_TIMED_OUT", problem)
        self._translators.advance(now)
        if self._recorded_at + limits.heartbeat <= now:
            state.out.turn_changed = True
            self._recorded_at = now
        self._changed(now)

    def deadline(self) -> float:
        """When `tick` has something to do next."""
        state, limits = self.state, self.state.limits
        turn, update = state.turn, state.configuration.update
        if turn.slot is Slot.CLOSED:
            return NEVER
        return min(
            self._recorded_at + limits.heartbeat,
            turn.since + limits.promise if turn.slot is Slot.PROMISED else NEVER,
            turn.since + limits.reply if turn.slot is Slot.CANCELLING else NEVER,
            turn.request.sent_at + limits.reply if turn.request is not None else NEVER,
            update.sent_at + limits.reply if update is not None else NEVER,
            self._lifetime.deadline() if state.out.ending is None else NEVER,
            self._client.deadline(),
            self._slowness.deadline(),
            state.ledger.deadline(self._free_since),
        )

    # --- what is to be done

    def drain(self) -> Outputs:
        """Everything to be done since the last call. The caller does it, in order."""
        out, self.state.out = self.state.out, Outputs()
        return out

    def client_event(self, seq: int) -> ClientEvent | None:
        """The event to publish for this request, with the record as it is now; None when it is settled."""
        request = self.state.ledger.get(seq)
        if request is None:
            return None
        return ClientEvent(
            session=self.session,
            gateway=self.gateway,
            seq=seq,
            attempt=request.attempts,
            dialect=self.state.dialect.name,
            message=request.message,
            repeated=request.repeated,
            turn=self.record(),
        )

    def record(self) -> TurnRecord:
        """The turn as it is now."""
        state = self.state
        turn, update = state.turn, state.configuration.update
        return TurnRecord(
            session=self.session,
            gateway=self.gateway,
            version=self._version,
            slot=turn.slot,
            response_id=turn.response_id,
            user_speaking=turn.user_speaking,
            open_calls=self.state.calls.open,
            configuring_seq=max(update.configures) if update is not None else None,
            last_seq=self.state.ledger.last_seq,
            open_configuration=self.state.ledger.open(Kind.CONFIGURATION),
            open_responses=self.state.ledger.open(Kind.RESPONSE),
            decided_release=self._translators.decided_release,
        )

    # --- inside

    def _observed(self, event: realtime.ServerEvent, now: float) -> None:
        self._upstream.event(event, now)

    def _changed(self, now: float) -> None:
        """Note whether the turn record changed, and since when the turn is free."""
        state = self.state
        turn, update = state.turn, state.configuration.update
        free = turn.free_for_configuration and not turn.user_speaking and update is None
        self._free_since = (self._free_since if self._free_since is not None else now) if free else None
        self._slowness.watch(state.awaits_reply, now)
        snapshot = (
            turn.slot,
            turn.response_id,
            turn.user_speaking,
            self.state.calls.open,
            update.configures if update is not None else (),
            self.state.ledger.last_seq,
            self.state.ledger.open(Kind.CONFIGURATION),
            self.state.ledger.open(Kind.RESPONSE),
            self._translators.decided_release,
        )
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._version += 1
            self.state.out.turn_changed = True
            self._note_urgency()

    def _note_urgency(self) -> None:
        """Whether what changed may be what an intent waits for at session-state. A request that has just been accepted
        takes the record along by itself."""
        state = self.state
        turn = state.turn
        permission = (
            turn.free_for_configuration,
            turn.free_for_response,
            state.configuration.update is None,
            state.calls.open,
            state.ledger.settled,
            self._translators.decided_release,
        )
        if permission != self._permission:
            self._permission = permission
            if turn.free_for_configuration and state.ledger.some_wait:
                state.out.turn_urgent = True
