"""The spans of one conversation: what is under way in it, from its beginning to its end.

Rules of this module
1. After everything that happens, what is under way is compared with what was under way before. Each thing is a row of
   this table; its span begins when it appears and ends when it is gone.

   under way       | from                                | until                         | span
   SPEECH          | the user speaks                     | the upstream hears the end    | ``user_speech``
   REQUEST         | a client's message is accepted      | it is settled                 | ``request <type>``
   UPDATE          | a ``session.update`` is sent        | it is confirmed, or refused   | ``apply``
   PROMISE, CREATE | a response is promised or asked for | it begins                     | (a part of the next)
   RESPONSE        | that, or ``response.created``       | ``response.done``             | ``realtime_inference``
   CALL            | the model calls a function          | its result is upstream        | ``execute_tool``
   RESTORE         | the upstream's connection is lost   | the next one is where it was  | ``restore``
   ROLL_OVER       | the next connection is opened       | it has taken this one's place | ``roll_over``

2. A turn is a trace, with the span ``invoke_agent`` at its root. It begins when the user speaks, or with a message that
   the client injects, and is over when nothing of it is under way. A turn of which only an answer is expected is also
   over when the next one begins.
3. What is asked for between turns (``Settings``, a prompt) is a trace of its own.
4. The release that carried a request is linked from the request's span, and from the response that it asked for.
5. A request that was open when the conversation came here from another gateway is linked to its span there.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.conversation import span_words
from gateway.conversation.context import Context
from gateway.conversation.roll_over import RollOver
from gateway.conversation.span_attributes import (
    Cause,
    failure_of,
    failure_of_response,
    known,
    response_attributes,
    text_of,
)
from gateway.conversation.under_way import Thing, What, state_of, under_way
from gateway.turn.function_calls import Call
from gateway.turn.requests import Kind, Request
from gateway.turn.upstream_config import Update
from turngate.protocol.messages import SendRelease, Slot
from turngate.protocol.openai.server_events import InputTranscriptionCompleted, ResponseDone, SessionUpdated
from turngate.tracing import spans
from turngate.tracing.spans import NOT_SAMPLED, Attribute, Span, Tracer, is_traceparent

_TURNS_BEGIN_WITH = {"InjectUserMessage", "InjectAgentMessage"}
_SESSION_CLOSED = "session_closed"


@dataclass(frozen=True, slots=True)
class Tracing:
    """How a conversation is traced."""

    tracer: Tracer
    #: The upstream's host and port.
    address: str
    port: int
    #: What to add to ``now`` for seconds since 1970.
    unix_offset: float
    #: The client's own trace, as it has named it: a ``traceparent``, or any id; empty if it has none.
    client: str = ""
    #: The span in which the conversation came here from another gateway.
    claim: str = ""


@dataclass(slots=True)
class _Turn:
    """One turn of which something is under way."""

    span: Span
    things: set[Thing] = field(default_factory=set)
    #: The user has spoken, and no response has begun since.
    expects_answer: bool = False
    end_reason: str = "completed"
    #: When something of it has last ended.
    changed_at: float = 0.0

    @property
    def is_over(self) -> bool:
        return not self.things and not self.expects_answer


class Traces:
    """Call `note` with what happens, and `changed` when it is handled."""

    def __init__(self, session: str, context: Context, roll_over: RollOver, tracing: Tracing) -> None:
        self._context = context
        self._roll_over = roll_over
        self._tracing = tracing
        self._tracer = tracing.tracer
        #: What every span has.
        self._common: dict[str, Attribute] = {"gen_ai.conversation.id": session, "gen_ai.provider.name": "openai"}
        self._state: tuple[Any, ...] = ()
        self._things: dict[Thing, None] = {}
        self._spans: dict[Thing, Span] = {}
        self._requests: dict[Thing, Request] = {}
        #: The turns that are not over, the oldest first.
        self._turns: list[_Turn] = []
        self._cause: Cause = None
        #: The newest release.
        self._release: SendRelease | None = None
        #: When the next response was promised or asked for, and the span of the release that asked for it.
        self._expected_since = 0.0
        self._asked_by = ""

    def note(self, cause: Cause) -> None:
        """This has happened, and is about to be handled."""
        self._cause = cause
        if isinstance(cause, SendRelease):
            self._release = cause
        elif isinstance(cause, InputTranscriptionCompleted) and self._tracer.words and self._turns:
            self._turns[-1].span.set(span_words.heard(cause.transcript))

    def traceparent(self, seq: int) -> str | None:
        """The span of this open request; None if it is not traced."""
        return self._request(seq).traceparent or None

    @property
    def newest(self) -> str:
        """The span of the newest turn of which something is under way; empty if there is none, or it is not sampled."""
        return self._turns[-1].span.traceparent if self._turns else ""

    def changed(self, now: float) -> None:
        """It is handled: begin and end the spans of what has begun and ended by it."""
        rolls_over = self._roll_over.opening
        state = state_of(self._context, rolls_over=rolls_over)
        if state != self._state:
            self._state = state
            self._compare(under_way(self._context, rolls_over=rolls_over), now + self._tracing.unix_offset)
        self._cause = None

    def _compare(self, things: dict[Thing, None], at: float) -> None:
        before, self._things = self._things, things
        ended = [thing for thing in before if thing not in things]
        for thing in things:
            if thing not in before:
                self._begin(thing, ended, at)
        for thing in ended:
            self._end(thing, at)
        self._end_turns(at)

    # --- what begins

    def _begin(self, thing: Thing, ended: Sequence[Thing], at: float) -> None:
        match thing:
            case What.SPEECH, _:
                turn = self._new_turn(at)
                turn.expects_answer = True
                self._start(thing, turn, "user_speech", at)
            case What.REQUEST, int(seq):
                self._begin_request(thing, self._context.requests.get(seq), at)
            case What.UPDATE, _:
                self._begin_update(thing, self._context.upstream_config.update, at)
            case ((What.PROMISE | What.CREATE), _):
                create = self._context.turn.pending_create
                asking = create.responds if create is not None else ()
                self._turn_of(asking, at).things.add(thing)
                self._spans[thing] = NOT_SAMPLED
                self._expected_since, self._asked_by = at, self._carried(asking)
            case What.RESPONSE, _:
                self._begin_response(thing, ended, at)
            case What.CALL, str(call_id):
                self._begin_call(thing, self._context.calls.get(call_id), at)
            case What.RESTORE, _:
                span = self._start(thing, self._newest, "restore", at)
                span.set({"turngate.upstream.problem": failure_of(self._cause, "taken_up")})
            case _:
                self._start(thing, self._newest, "roll_over", at)

    def _begin_request(self, thing: Thing, request: Request | None, at: float) -> None:
        assert request is not None
        self._requests[thing] = request
        message, kind = request.message, str(request.message["type"])
        call: Thing = What.CALL, str(message.get("id"))
        turn = self._owner(call) or self._newest
        if kind in _TURNS_BEGIN_WITH or (turn is None and request.kind is Kind.RESPONSE):
            turn = self._new_turn(at)
        span = self._start(thing, turn, f"request {kind}", at)
        # Of one that was accepted by the gateway before.
        span.link(request.traceparent)
        request.traceparent = span.traceparent
        span.set({"turngate.request.seq": request.seq, "turngate.request.own": request.own})
        if self._tracer.words:
            span.set(span_words.asked(message))
            self._spans.get(call, NOT_SAMPLED).set(span_words.result(message))

    def _begin_update(self, thing: Thing, update: Update | None, at: float) -> None:
        assert update is not None
        requests = [self._request(seq).traceparent for seq in update.configures]
        self._spans[thing] = span = self._tracer.start(
            "apply", at, parent=self._carried(update.configures) or requests[0], links=[one for one in requests if one]
        )
        span.set({**self._common, "turngate.release.merged": len(requests)})

    def _begin_response(self, thing: Thing, ended: Sequence[Thing], at: float) -> None:
        own = bool(self._context.turn.response_own)
        answered = [seq for what, seq in ended if what is What.REQUEST and isinstance(seq, int)]
        turn = self._turn_of(answered if own else (), at)
        for older in self._turns[: self._turns.index(turn) + 1]:
            older.expects_answer = False
        expected = any(what in (What.PROMISE, What.CREATE) for what, _ in ended)
        model = text_of(self._context.upstream_config.confirmed.get("model"))
        span = self._start(
            thing,
            turn,
            f"realtime_inference {model}".rstrip(),
            self._expected_since if expected else at,
            kind=spans.Kind.CLIENT,
        )
        if own:
            span.link(self._asked_by)
        span.set(
            known(
                {
                    "gen_ai.operation.name": "realtime_inference",
                    "gen_ai.request.model": model,
                    "gen_ai.response.id": thing[1],
                    "gen_ai.realtime_session.id": text_of(self._context.upstream_config.confirmed.get("id")),
                    "server.address": self._tracing.address,
                    "server.port": self._tracing.port,
                    "turngate.response.own": own,
                }
            )
        )

    def _begin_call(self, thing: Thing, call: Call | None, at: float) -> None:
        assert call is not None
        response_id = self._context.turn.response_id
        turn = self._owner((What.RESPONSE, response_id or "")) or self._newest or self._new_turn(at)
        span = self._start(thing, turn, f"execute_tool {call.name}", at)
        span.set(
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": call.name,
                "gen_ai.tool.call.id": call.id,
                "gen_ai.tool.type": "function",
            }
        )
        if self._tracer.words:
            span.set(span_words.arguments(self._cause))

    # --- what ends

    def _end(self, thing: Thing, at: float) -> None:
        span, turn = self._spans.pop(thing), self._owner(thing)
        error = self._failure(thing)
        if thing[0] is What.RESPONSE and isinstance(self._cause, ResponseDone):
            done = self._cause.response
            span.set(response_attributes(done))
            if self._tracer.words:
                span.set(span_words.said(done))
            if turn is not None and done.status == "cancelled":
                turn.end_reason = "interrupted"
        span.end(at, error)
        if turn is not None:
            turn.things.discard(thing)
            turn.changed_at = at

    def _failure(self, thing: Thing) -> str:
        """Why this, which has ended, has failed; empty if it has not."""
        cause = self._cause
        if thing[0] is What.REQUEST and (refused := self._requests.pop(thing).refused):
            return refused
        if self._closed:
            return _SESSION_CLOSED
        match thing:
            case What.RESPONSE, _ if isinstance(cause, ResponseDone):
                return failure_of_response(cause.response)
            case What.RESPONSE, _:
                return failure_of(cause, "not_completed")
            case What.UPDATE, _ if not isinstance(cause, SessionUpdated):
                return failure_of(cause, "not_confirmed")
            case What.CALL, str(call_id) if self._context.calls.late(call_id):
                return "cancelled"
            case What.CALL, str(call_id) if self._context.calls.answered_for(call_id) is not None:
                return "timeout"
            case What.ROLL_OVER, _ if not self._context.out.exchange_upstream:
                return "not_completed"
        return ""

    # --- turns and spans

    @property
    def _closed(self) -> bool:
        return self._context.turn.slot is Slot.CLOSED

    @property
    def _newest(self) -> _Turn | None:
        return self._turns[-1] if self._turns else None

    def _new_turn(self, at: float) -> _Turn:
        """Begin a turn. One before that waits for nothing but an answer is not waited for any more."""
        for older in self._turns:
            older.expects_answer = False
        turn = _Turn(self._root("invoke_agent", at), changed_at=at)
        turn.span.set({"gen_ai.operation.name": "invoke_agent"})
        self._turns.append(turn)
        return turn

    def _end_turns(self, at: float) -> None:
        over = [turn for turn in self._turns if turn.is_over or self._closed]
        for turn in over:
            reason = _SESSION_CLOSED if self._closed else turn.end_reason
            turn.span.set({"gen_ai.agent.invocation.end_reason": reason})
            turn.span.end(turn.changed_at)
            self._turns.remove(turn)

    def _owner(self, thing: Thing) -> _Turn | None:
        return next((turn for turn in self._turns if thing in turn.things), None)

    def _turn_of(self, seqs: Iterable[int], at: float) -> _Turn:
        """The newest turn with one of these requests, or the newest of all, or a new one."""
        asking = {(What.REQUEST, seq) for seq in seqs}
        found = [turn for turn in self._turns if turn.things & asking]
        return found[-1] if found else self._newest or self._new_turn(at)

    def _start(
        self, thing: Thing, turn: _Turn | None, name: str, at: float, kind: spans.Kind = spans.Kind.INTERNAL
    ) -> Span:
        """A span for this thing, below its turn's; at the root of a trace if it has none."""
        if turn is None:
            span = self._root(name, at)
        else:
            turn.things.add(thing)
            span = self._tracer.start(name, at, parent=turn.span.traceparent, kind=kind)
            span.set(self._common)
        self._spans[thing] = span
        return span

    def _root(self, name: str, at: float) -> Span:
        """The root of a trace, linked to that of the client."""
        client = self._tracing.client
        span = self._tracer.start(name, at, links=[one for one in (client, self._tracing.claim) if is_traceparent(one)])
        span.set(self._common | known({"turngate.client.trace_id": client}))
        return span

    def _request(self, seq: int) -> Span:
        return self._spans.get((What.REQUEST, seq), NOT_SAMPLED)

    def _carried(self, seqs: Iterable[int]) -> str:
        """These requests were sent as the newest release says: link them to its span, which is returned; empty if there
        is none."""
        release = self._release.traceparent if self._release is not None else None
        for seq in seqs if release is not None else ():
            self._request(seq).link(release or "")
        return release or ""
