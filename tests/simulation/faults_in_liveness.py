"""Faults in what must end although the upstream does not end it (P10)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation import on_time
from gateway.conversation.conversation import Conversation
from gateway.conversation.on_error import ErrorHandler
from gateway.conversation.user_audio import UserAudio
from gateway.turn.requests import OpenRequests
from gateway.turn.slot import PendingCreate, Turn
from tests.simulation.faults_in_shells import Fault


def _silence_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Turn, "silence_due", lambda self, now: False)


def _create_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ErrorHandler, "create_is_unanswered", lambda self, now: None)


def _cancel_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    closed_of = Conversation.upstream_closed

    def upstream_closed(self: Conversation, problem: Any, now: float) -> None:
        if problem is not on_time.SICK:
            closed_of(self, problem, now)

    patch.setattr(Conversation, "upstream_closed", upstream_closed)


def _lost_end_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    # The upstream's word that nothing runs changes nothing, and nobody asks a second time.
    patch.setattr(Turn, "cancel_refused", lambda self, about, now: None)
    patch.setattr(Conversation, "upstream_closed", lambda self, problem, now: None)


def _silence_is_progress(patch: pytest.MonkeyPatch) -> None:
    silence_due_of = Turn.silence_due

    def silence_due(self: Turn, now: float) -> bool:
        due = silence_due_of(self, now)
        if due:
            self._progress_before += now - self.heard_at
        return due

    patch.setattr(Turn, "silence_due", silence_due)


def _unanswered_is_kept(patch: pytest.MonkeyPatch) -> None:
    unanswered_of = ErrorHandler.create_is_unanswered

    def create_is_unanswered(self: ErrorHandler, now: float) -> None:
        create, requests = self._context.turn.pending_create, self._context.requests
        unanswered_of(self, now)
        if create is not None:
            requests.send(seq for seq in create.responds if requests.get(seq) is not None)

    patch.setattr(ErrorHandler, "create_is_unanswered", create_is_unanswered)


def _nothing_is_given_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OpenRequests, "_given_up_at", lambda self, request: float("inf"))


def _user_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UserAudio, "gap_due", lambda self, now: None)


def _expired_is_a_stranger(patch: pytest.MonkeyPatch) -> None:
    started_of = Turn.started

    def started(self: Turn, response_id: str, request_id: str | None, now: float) -> PendingCreate | None:
        self._expired.pop(request_id or "", None)
        return started_of(self, response_id, request_id, now)

    patch.setattr(Turn, "started", started)


FAULTS_IN_LIVENESS = (
    Fault("a response that shows no event is waited for", _silence_is_waited_for),
    Fault("a create that nobody answers is waited for", _create_is_waited_for),
    Fault("a cancel that nobody answers is waited for", _cancel_is_waited_for),
    Fault("an end that was lost is waited for", _lost_end_is_waited_for),
    Fault("silence counts as progress", _silence_is_progress),
    Fault("the requests of a create that nobody answers are kept back", _unanswered_is_kept),
    Fault("no request is ever given up", _nothing_is_given_up),
    Fault("a user who is not heard any more is waited for", _user_is_waited_for),
    Fault("a response that comes after its time is taken for the upstream's own", _expired_is_a_stranger, first=600),
)
