"""Ways to break the real code, from outside, one small thing at a time: does the simulation notice?

Each fault is a mistake that somebody has made or could make. What is patched is production code: here the cores and
the reservation script, in `faults_in_shells` what runs around them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from gateway.conversation.on_command import CommandHandler
from gateway.conversation.on_error import ErrorHandler
from gateway.conversation.on_upstream import UpstreamHandler
from gateway.conversation.user_turns import UserTurns
from gateway.turn.function_calls import FunctionCalls
from gateway.turn.release_gate import Drop, ReleaseGate, Sendable, Translated
from gateway.turn.requests import OpenRequests
from gateway.turn.slot import Turn
from gateway.turn.slot_table import STAY, TRANSITIONS, Input
from tests.simulation.faults_in_claims import FAULTS_IN_CLAIMS
from tests.simulation.faults_in_continuity import FAULTS_IN_CONTINUITY
from tests.simulation.faults_in_liveness import FAULTS_IN_LIVENESS
from tests.simulation.faults_in_shells import FAULTS_IN_SHELLS, Fault, script_says
from translator.mapping import release as merging
from turngate.protocol.messages import Configuration, SendRelease, Slot
from turngate.protocol.openai.client_events import REQUEST_KEY
from turngate.protocol.openai.server_events import OutputAudioDone, OutputTextDone, Response, ResponseDone, ServerEvent


def _cell(patch: pytest.MonkeyPatch, slot: Slot, what: Input, then: object) -> None:
    patch.setitem(cast("dict[Input, object]", TRANSITIONS[slot]), what, then)


def _clears_on(kind: type[ServerEvent]) -> Callable[[pytest.MonkeyPatch], None]:
    def put_in(patch: pytest.MonkeyPatch) -> None:
        event_of = UpstreamHandler.event

        def event(self: UpstreamHandler, event: ServerEvent, now: float) -> None:
            event_of(self, event, now)
            if isinstance(event, kind):
                self._context.turn._apply(Input.HOLDER_DONE, now)

        patch.setattr(UpstreamHandler, "event", event)

    return put_in


def _any_done_frees(patch: pytest.MonkeyPatch) -> None:
    event_of = UpstreamHandler.event

    def event(self: UpstreamHandler, event: ServerEvent, now: float) -> None:
        event_of(self, event, now)
        if isinstance(event, ResponseDone):
            self._context.turn._apply(Input.HOLDER_DONE, now)

    patch.setattr(UpstreamHandler, "event", event)


class _AlwaysFree:
    free_for_configuration = free_for_response = free_for_interruption = True


def _no_fence(patch: pytest.MonkeyPatch) -> None:
    # The table would catch a create too, by raising: it has to be blind as well.
    for slot in (Slot.PROMISED, Slot.REQUESTED, Slot.ACTIVE, Slot.CANCELLING):
        _cell(patch, slot, Input.REQUEST_SENT, STAY)
    check_of = ReleaseGate._check

    def check(self: ReleaseGate, release: SendRelease) -> Sendable | Drop:
        turn, self._turn = self._turn, cast(Turn, _AlwaysFree())
        try:
            return check_of(self, release)
        finally:
            self._turn = turn

    patch.setattr(ReleaseGate, "_check", check)


def _rule(right: str, wrong: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Another text in the rule of reservations."""
    return script_says("advance.lua", right, wrong)


def _acknowledge_on_send(patch: pytest.MonkeyPatch) -> None:
    send_of = CommandHandler._send_configuration

    def send(self: CommandHandler, what: Sendable, now: float) -> None:
        send_of(self, what, now)
        for request in self._context.requests.settle(what.configures):
            self._context.tell({"type": request.acknowledgement})

    patch.setattr(CommandHandler, "_send_configuration", send)


def _foreign_is_ours(patch: pytest.MonkeyPatch) -> None:
    started_of = UpstreamHandler._started

    def started(self: UpstreamHandler, response: Response, now: float) -> bool:
        request = self._context.turn.pending_create
        if request is not None:
            response = response.model_copy(update={"metadata": {REQUEST_KEY: request.event_id}})
        return started_of(self, response, now)

    patch.setattr(UpstreamHandler, "_started", started)


def _merged_backwards(patch: pytest.MonkeyPatch) -> None:
    merge_of = merging.merge_configurations

    def merge(changes: list[Configuration]) -> Configuration:
        return merge_of(changes[::-1])

    patch.setattr(merging, "merge_configurations", merge)


def _repeats_are_carried_out(patch: pytest.MonkeyPatch) -> None:
    translated_of = ReleaseGate.translated

    def translated(self: ReleaseGate, command: Translated) -> list[Translated]:
        request = self._requests.get(command.seq)
        again = request is not None and request.translated
        return [command] if again else translated_of(self, command)

    patch.setattr(ReleaseGate, "translated", translated)


def _items_out_of_order(patch: pytest.MonkeyPatch) -> None:
    def translated(self: ReleaseGate, command: Translated) -> list[Translated]:
        request = self._requests.get(command.seq)
        self._translated_to = max(self._translated_to, command.seq)
        return [] if request is None or request.translated else [command]

    patch.setattr(ReleaseGate, "translated", translated)


def _race_forgotten(patch: pytest.MonkeyPatch) -> None:
    def settle(self: OpenRequests, seqs: tuple[int, ...], *, alone: bool = False) -> None:
        self.settle(seqs)

    patch.setattr(OpenRequests, "return_", settle)


def _user_turn_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UserTurns, "ask", lambda self, item_id, now: None)


def _promise_for_ever(patch: pytest.MonkeyPatch) -> None:
    for slot in Slot:
        _cell(patch, slot, Input.PROMISE_EXPIRED, STAY)


def _no_promise(patch: pytest.MonkeyPatch) -> None:
    for slot in Slot:
        _cell(patch, slot, Input.COMMITTED, STAY)


def _late_items_answered(patch: pytest.MonkeyPatch) -> None:
    # Items wait until the item of a reply stands, so what comes after a response began is not there when it begins.
    patch.setattr(Turn, "awaits_item", False)
    patch.setattr(OpenRequests, "sent", lambda self: frozenset(request.seq for request in self))


def _cancel_refused_frees(patch: pytest.MonkeyPatch) -> None:
    _cell(patch, Slot.CANCELLING, Input.CANCEL_REFUSED, Slot.IDLE)


def _cancel_frees(patch: pytest.MonkeyPatch) -> None:
    _cell(patch, Slot.ACTIVE, Input.CANCEL_SENT, Slot.IDLE)


def _never_published_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OpenRequests, "due", lambda self, now, free_since: [])


def _settled_when_sent(patch: pytest.MonkeyPatch) -> None:
    def send(self: OpenRequests, seqs: tuple[int, ...]) -> None:
        for request in [self.get(seq) for seq in seqs]:
            if request is not None and request.acknowledgement is None:
                self.settle([request.seq])
            elif request is not None:
                request.on_its_way = True

    patch.setattr(OpenRequests, "send", send)


def _words_answer_others(patch: pytest.MonkeyPatch) -> None:
    send_of = CommandHandler._send_response

    def send_response(self: CommandHandler, what: Sendable, now: float) -> None:
        if what.response is not None:
            what = replace(what, response=what.response.model_copy(update={"exclusive": False}))
        send_of(self, what, now)

    patch.setattr(CommandHandler, "_send_response", send_response)


def _no_timeout_of_calls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FunctionCalls, "overdue", lambda self, before: [])


def _never_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OpenRequests, "any_alone", lambda self, seqs: False)


def _refused_together(patch: pytest.MonkeyPatch) -> None:
    failed_of = ErrorHandler.update_failed

    def update_failed(self: ErrorHandler, code: str, *rest: Any) -> None:
        requests = self._context.requests
        update = self._context.upstream_config.update
        failed_of(self, code, *rest)
        together = [seq for seq in update.configures if requests.any_alone([seq])] if update is not None else []
        for request in requests.settle(together):
            self._client.refused(request, code, f"{request.message['type']} was refused by the upstream", rest[-1])

    patch.setattr(ErrorHandler, "update_failed", update_failed)


def _speaks_over_the_user(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UpstreamHandler, "_gives_way", lambda self, create: False)


def _no_bound(patch: pytest.MonkeyPatch) -> None:
    init_of = OpenRequests.__init__

    def init(self: OpenRequests, limit: int, *rest: Any, **named: Any) -> None:
        init_of(self, 1_000_000, *rest, **named)

    patch.setattr(OpenRequests, "__init__", init)


def _response_before_configuration(patch: pytest.MonkeyPatch) -> None:
    send_of = CommandHandler._send_configuration

    def send_configuration(self: CommandHandler, what: Sendable, now: float) -> None:
        if what.response is None:
            send_of(self, what, now)

    patch.setattr(CommandHandler, "_send_configuration", send_configuration)


FAULTS = (
    *FAULTS_IN_SHELLS,
    *FAULTS_IN_LIVENESS,
    *FAULTS_IN_CONTINUITY,
    *FAULTS_IN_CLAIMS,
    Fault("the turn is free on output_audio.done", _clears_on(OutputAudioDone)),
    Fault("the turn is free on output_text.done", _clears_on(OutputTextDone)),
    Fault("the turn is free on any response's done", _any_done_frees),
    Fault("the turn is free once a cancel is sent", _cancel_frees),
    Fault("the turn is free once a cancel is refused", _cancel_refused_frees),
    Fault("no fence at the socket", _no_fence),
    # The gateway's retransmission does not mask this one: the intent it brings finds the release outstanding for ever.
    Fault("a release has no lease", _rule("now < release['until'] and turn", "turn")),
    Fault("configuration is acknowledged when it is sent", _acknowledge_on_send),
    Fault("whatever begins while a create is out is taken for its response", _foreign_is_ours),
    Fault("configuration is merged backwards", _merged_backwards),
    Fault("a response goes without the configuration that was released with it", _response_before_configuration),
    Fault("a translation that comes again is carried out again", _repeats_are_carried_out),
    Fault("items leave in the order of translation", _items_out_of_order),
    Fault("parallel calls are not joined", _rule("if not answered[call] then calls_open = true end", "")),
    Fault("an older record replaces a newer one", _rule("offered.version > turn.version", "true"), first=3_200),
    Fault("a new owner's record does not replace those of the one before", _rule("not turn or next_epoch", "not turn")),
    Fault("a create that lost the race is forgotten", _race_forgotten),
    Fault("the end of the user's turn is forgotten", _user_turn_forgotten),
    Fault("a promise never expires", _promise_for_ever),
    Fault("a promise is not noticed", _no_promise),
    Fault("a response answers what came after it began", _late_items_answered),
    Fault("nothing is published again", _never_published_again),
    Fault("a request is settled when its create is sent", _settled_when_sent),
    Fault("open requests have no bound", _no_bound),
    Fault("requests that were refused together are sent together again", _never_alone),
    Fault("requests that were sent together are refused together", _refused_together),
    Fault("a response that begins while the user speaks is spoken", _speaks_over_the_user),
    Fault("given words answer whoever asked for something", _words_answer_others),
    Fault("a call that nobody answers is waited for", _no_timeout_of_calls),
)
