"""One conversation: every decision of a gateway, without I/O.

Feed it what happens (`client_text`, `upstream_event`, `command`, `tick`, `upstream_closed`), then `drain` what is to
be done, at once and in order: the fence is only as good as the order of the socket behind it.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.continuity.journal import Changes
from gateway.conversation.client_legs import ClientLegs
from gateway.conversation.client_limits import ClientLimits
from gateway.conversation.context import Context
from gateway.conversation.counters import Counters
from gateway.conversation.effects import SESSION_OVER, Effects, Ending, UpstreamProblem
from gateway.conversation.failed_replies import FailedReplies
from gateway.conversation.journal import ConversationJournal, Handlers
from gateway.conversation.lifetime import Lifetime
from gateway.conversation.limits import Limits
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.on_command import CommandHandler
from gateway.conversation.on_error import ErrorHandler
from gateway.conversation.on_time import TimerHandler
from gateway.conversation.on_upstream import UpstreamHandler
from gateway.conversation.roll_over import RollOver
from gateway.conversation.straight_audio import StraightAudio
from gateway.conversation.traces import Traces, Tracing
from gateway.conversation.turn_records import TurnRecords
from gateway.conversation.upstream_legs import UpstreamLegs
from gateway.conversation.user_turns import UserTurns
from gateway.dialect import Dialect
from gateway.timers import NEVER
from turngate.protocol.messages import ClientEvent, Slot, TurnCommand, TurnRecord
from turngate.protocol.openai.frames import read_frame
from turngate.protocol.openai.server_events import (
    OutputAudioDelta,
    ServerEvent,
    SessionCreated,
    UpstreamProtocolError,
    parse_server_event,
)
from turngate.protocol.openai.unused_events import UNUSED_EVENTS

__all__ = ["NEVER", "Conversation", "Effects", "Ending", "UpstreamProblem"]


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
        *,
        resumable: bool = False,
        unix_offset: float = 0.0,
        epoch: int = 0,
        age: float = 0.0,
        moves: bool = True,
        tracing: Tracing | None = None,
    ) -> None:
        """``counters`` may be shared by all conversations of a process. ``resumable``: the client may lose its
        connection and return; also to another gateway, if the session ``moves``. ``unix_offset``: what to add to
        ``now`` for seconds since 1970; 0 if unknown. ``epoch``: of the gateway that owns the session. ``age``: seconds
        since the session began, if that was at another gateway (`take_up`). ``tracing``, if it is traced."""
        self.session = session
        self.gateway = gateway
        self.epoch = epoch
        self.context = context = Context(session, dialect, limits, now, counters)
        # Used by the session directly.
        self.downlink, self.counters = context.downlink, context.counters
        self.tell, self.tell_once, self.tell_error, self.end = (
            context.tell,
            context.tell_once,
            context.tell_error,
            context.end,
        )
        self._client_limits = ClientLimits(context, now)
        self._turns = UserTurns(context)
        self._client = ClientHandler(context, self._turns, self._observed)
        self._translators = CommandHandler(context, self._client, self._turns)
        self._failed_replies = FailedReplies(context, self._turns, self._client.asked_again)
        self._errors = ErrorHandler(context, self._client, self._turns)
        self._legs = UpstreamLegs(context, self._client, self._turns, self._failed_replies)
        self._roll_over = RollOver(context, self._client, self._translators, self._turns, unix_offset)
        self._upstream = UpstreamHandler(
            context, self._client, self._translators, self._turns, self._errors, self._failed_replies, self._legs
        )
        self._lifetime = Lifetime(
            now - age,
            silence=limits.silence if dialect.sends_keep_alive else limits.component_silence,
            longest=limits.session,
            notice=limits.session_notice,
        )
        self._audio = audio = StraightAudio(context, self._lifetime, self._client.user_audio, self._changed)
        # Inputs like the methods below, without the call.
        self.client_audio, self.agent_audio = audio.from_client, audio.from_upstream
        #: The client's connections.
        self.client_legs = ClientLegs(context, self._client, self._lifetime, unix_offset, resumable=resumable)
        began_at = now + unix_offset - age
        #: What another gateway needs to go on; None if the session does not move.
        self.journal: ConversationJournal | None = None
        if resumable and moves:
            handlers = Handlers(
                self._client, self.client_legs, self._translators, self._turns, self._failed_replies, self._legs
            )
            self.journal = ConversationJournal(context, handlers, began_at)
        self._traces = Traces(session, context, self._roll_over, tracing) if tracing is not None else None
        self._records = TurnRecords(
            session, gateway, epoch, context, self._translators, self._legs, self.client_legs, began_at
        )
        self._time = TimerHandler(
            context,
            self._client,
            self._turns,
            self._failed_replies,
            self._errors,
            self._upstream,
            self._legs,
            self._roll_over,
            self._lifetime,
            self.upstream_closed,
            now,
        )

    @property
    def connected(self) -> bool:
        return self.context.connected

    @property
    def configured(self) -> bool:
        return self.context.configured

    @property
    def live(self) -> bool:
        """The session is configured, and its upstream's connection is where the conversation is."""
        return self.context.live

    @property
    def reconnecting(self) -> bool:
        """The upstream's connection was lost: open another one."""
        return self.context.turn.slot is Slot.RECONNECTING

    @property
    def lost_at(self) -> float | None:
        """When the last connection was lost that was where the conversation is; None if none was."""
        return self._legs.lost_at

    @property
    def ending(self) -> Ending | None:
        """Why the session ended; None while it runs."""
        return self.context.ending

    @property
    def refusal(self) -> tuple[str, str] | None:
        """Code and message of the last error that the upstream sent before the session began."""
        return self._upstream.refusal

    @property
    def held_bytes(self) -> int:
        """Bytes of open requests, of audio that is kept, and of the transcript."""
        context = self.context
        return context.requests.bytes + self._client.user_audio.kept_bytes + context.transcript.held_bytes

    # --- inputs

    def client_text(self, frame: bytes, now: float) -> None:
        """Handle a text frame of the client, with any content."""
        self._lifetime.heard_at = now
        if self._client_limits.admit_text(len(frame), now):
            self._client.text(frame, now)
        self._changed(now)

    def admits_audio(self, size: int, now: float) -> bool:
        """Whether a binary frame of the client of ``size`` bytes is to be handled (`client_audio`); otherwise `drain`
        what the client is told. For frames that did not pass directly: a client that sends too many always has such."""
        return self._client_limits.admit_audio(size, now)

    def upstream_frame(self, frame: bytes | str, now: float) -> None:
        """Handle a text frame of the upstream. One that is not an event is counted and ignored."""
        try:
            data = read_frame(frame)
        except ValueError:
            self.counters.malformed_events += 1
        else:
            self.upstream_event(data, now)

    def upstream_event(self, data: dict[str, Any], now: float) -> None:
        """Handle an event of the upstream. A malformed or unknown one is counted and ignored."""
        self._upstream.heard(data, now)
        try:
            event = parse_server_event(data)
        except UpstreamProtocolError:
            self.counters.malformed_events += 1
            return
        if isinstance(event, OutputAudioDelta):
            self.context.send_audio(self.agent_audio(*event, now) or b"")
        elif event is not None:
            if self._traces is not None:
                self._traces.note(event)
            self._upstream.event(event, now)
            if isinstance(event, SessionCreated):
                self._roll_over.began(event.session, now)
            if (problem := self._legs.settle(now)) is not None:
                self.upstream_closed(problem, now)
            if self._errors.session_expired and not self.context.replying:
                self.upstream_closed(SESSION_OVER, now)
            self._changed(now)
        elif (kind := str(data.get("type"))[:64]) not in UNUSED_EVENTS:
            self.counters.unknown_event(kind)

    def next_upstream_frame(self, frame: bytes | str, now: float) -> None:
        """Handle a text frame of the next connection to the upstream, opened for `Effects.prepare_upstream`."""
        try:
            event = parse_server_event(read_frame(frame))
        except (ValueError, UpstreamProtocolError):
            self.counters.malformed_events += 1
            return
        if not isinstance(event, OutputAudioDelta):
            self._roll_over.event(event, now)
            self._changed(now)

    def next_upstream_lost(self, now: float) -> None:
        """The next connection to the upstream could not be opened, or has ended."""
        self._roll_over.lost(now)
        self._changed(now)

    def command(self, command: TurnCommand, now: float) -> None:
        """Handle a translator's command. One that arrives twice, late or for a settled request has no effect, nor has
        one of another epoch."""
        if command.epoch != self.epoch:
            self.counters.commands_fenced += 1
            return
        if self._traces is not None:
            self._traces.note(command)
        self._translators.command(command, now)
        self._changed(now)

    def upstream_closed(self, problem: UpstreamProblem, now: float) -> None:
        """The upstream's connection was lost, or could not be opened. Unless another one is to be opened
        (`reconnecting`), the client is told why, and the session ends."""
        if self._errors.session_expired:
            problem = SESSION_OVER
        if self._traces is not None:
            self._traces.note(problem)
        if self._legs.lost(problem, now):
            self._roll_over.abandon(now)
            self._errors.session_expired, self._upstream.refusal = False, None
            self._changed(now)
            return
        self.context.turn.disconnected(now)
        if self.ending is None:
            code = problem.code if self.configured or not problem.early else "upstream_closed_before_session_ready"
            self.tell(*self.downlink.last_words(code, now))
            self.tell_error(code, problem.description)
            self.end(problem.close_code, problem.code)
        self._changed(now)

    def client_lost(self, now: float, unsent: int = 0, unrepeated: int = 0) -> None:
        """The client's connection is lost, and the client may return; the last ``unsent`` messages are still queued,
        and the last ``unrepeated`` ones of those that `client_returned` returned."""
        self.client_legs.lost(now, unsent, unrepeated)
        self._time.lifetime_changed()
        self._changed(now)

    def client_returned(self, received: int | None, unsent: int, now: float) -> list[dict[str, Any]]:
        """The client is back on another connection (`ClientLegs.returned`). Returns the messages to send first."""
        missed = self.client_legs.returned(received, unsent, now)
        self._time.lifetime_changed()
        self._changed(now)
        return missed

    def take_up(self, parts: Mapping[str, Any], now: float) -> None:
        """Go on with what another gateway has written down (`gateway.continuity.journal.read`). The caller opens a
        connection to the upstream, as after a loss, and calls `client_returned`. Raises LookupError, TypeError or
        ValueError for what cannot be read."""
        assert self.journal is not None
        self.journal.take_up(parts, now)
        self._changed(now)

    def may_move(self, now: float) -> bool:
        """Whether another gateway can go on with the conversation and the client notices nothing: it is gone, or no
        response runs or is asked for, nobody speaks, nothing is under way, and it has the last reply for sure or has
        played it."""
        if self.journal is None or self.ending is not None:
            return False
        if self.client_legs.parked:
            return True
        has_reply = self.client_legs.has_reply or self.downlink.playout.ends_at(now) <= now
        return has_reply and self._roll_over.is_quiet

    def hand_over(self, now: float, unsent: int = 0, unrepeated: int = 0) -> Changes:
        """Another gateway goes on with the conversation: this one tells and sends nothing more, not even what is
        queued (`client_lost`). Returns the journal for it."""
        assert self.journal is not None
        self.client_legs.leave(unsent, unrepeated)
        changes = self.journal.last(now)
        self.context.out = Effects()
        return changes

    def closed(self, now: float) -> None:
        """The client's connection is closed, and with it the session."""
        self.context.turn.disconnected(now)
        self._changed(now)

    def tick(self, now: float) -> None:
        """Handle the timers that are due. Call at `deadline` or later."""
        if self.ending is not None or self.context.turn.slot is Slot.CLOSED:
            return
        for timer in self.context.timers.pop_due(now):
            self._time.due(timer, now)
        self._time.give_up_overdue(now)
        # Other requests may have waited for one that was given up.
        self._translators.advance(now)
        self._changed(now)

    def deadline(self) -> float:
        """When to call `tick` next; `NEVER` if no timer is set."""
        over = self.ending is not None or self.context.turn.slot is Slot.CLOSED
        return NEVER if over else self.context.timers.deadline()

    # --- outputs

    def drain(self) -> Effects:
        """The effects since the last call. The caller executes them, in order."""
        out, self.context.out = self.context.out, Effects()
        if self.client_legs.sent is not None:
            self.client_legs.told(out.messages)
        return out

    def client_event(self, seq: int) -> ClientEvent | None:
        """The event to publish for this request, with the current turn record; None if the request is settled."""
        request = self.context.requests.get(seq)
        if request is None:
            return None
        return ClientEvent(
            session=self.session,
            gateway=self.gateway,
            seq=seq,
            attempt=request.attempts,
            dialect=self.context.dialect.name,
            message=request.message,
            repeated=request.repeated,
            turn=self.record(),
            traceparent=self._traces.traceparent(seq) if self._traces is not None else None,
        )

    def trace(self) -> str:
        """The span of the turn that is under way, for the log; empty if there is none, or nothing is traced."""
        return self._traces.newest if self._traces is not None else ""

    def size(self, seq: int) -> int:
        """Bytes of this request's message; 0 if it is settled, or for the turn record."""
        request = self.context.requests.get(seq)
        return request.size if request is not None else 0

    def record(self) -> TurnRecord:
        """The current turn record."""
        return self._records.record()

    # --- changes of the turn

    def _observed(self, event: ServerEvent, now: float) -> None:
        self._upstream.event(event, now)

    def _changed(self, now: float) -> None:
        """Something else than audio has come: note what follows from it."""
        self._audio.decide_anew()
        self._roll_over.settle(now)
        self._time.note_change(now)
        self._records.note_change()
        if self._traces is not None:
            self._traces.changed(now)
        if self.journal is not None:
            self.journal.note_change()
