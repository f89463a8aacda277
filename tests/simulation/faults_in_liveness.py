"""Faults in what must end although the upstream does not end it (P10)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation import conversation
from gateway.conversation.conversation import Conversation
from gateway.conversation.on_error import ErrorHandler
from gateway.turn.slot import Turn
from gateway.turn.slot_table import STAY, TRANSITIONS, Input
from tests.simulation.faults_in_shells import Fault
from turngate.protocol.messages import Slot


def _silence_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turn, "silence_due", lambda self, now: False)


def _create_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ErrorHandler, "create_is_unanswered", lambda self, now: None)


def _cancel_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    closed_of = Conversation.upstream_closed

    def upstream_closed(self: Conversation, problem: Any, now: float) -> None:
        if problem is not conversation._SICK:
            closed_of(self, problem, now)

    patch.setattr(Conversation, "upstream_closed", upstream_closed)
    patch.setitem(TRANSITIONS[Slot.CANCELLING], Input.CANCEL_EXPIRED, STAY)


def _lost_end_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    # The upstream's word that nothing runs changes nothing, and nobody asks a second time.
    patch.setattr(Turn, "cancel_refused", lambda self, about, now: None)
    patch.setitem(TRANSITIONS[Slot.CANCELLING], Input.CANCEL_EXPIRED, STAY)
    patch.setattr(Conversation, "upstream_closed", lambda self, problem, now: None)


FAULTS_IN_LIVENESS = (
    Fault("a response that shows no event is waited for", _silence_is_waited_for),
    Fault("a create that nobody answers is waited for", _create_is_waited_for),
    Fault("a cancel that nobody answers is waited for", _cancel_is_waited_for),
    Fault("an end that was lost is waited for", _lost_end_is_waited_for),
)
