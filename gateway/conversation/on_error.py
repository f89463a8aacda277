"""Handles the upstream's errors and missing answers: what is retried, and what the client is told."""

from __future__ import annotations

from functools import partial

from gateway.conversation.context import Context
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.user_turns import UserTurns
from gateway.turn.requests import Request
from turngate.protocol.deepgram import events
from turngate.protocol.openai.client_events import response_cancel
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, COMMIT_EMPTY, SESSION_EXPIRED
from turngate.protocol.openai.server_events import ErrorDetail

#: The code of an update that the upstream did not answer.
UPDATE_TIMEOUT = "upstream_timeout"
#: Purposes of events that the gateway sends on its own. The client did not cause them and is not told of their errors.
_OWN_BUSINESS = ("truncate", "void", "commit")


class ErrorHandler:
    """Handles the upstream's errors in one conversation."""

    def __init__(self, context: Context, client: ClientHandler, turns: UserTurns) -> None:
        self._context = context
        self._client = client
        self._turns = turns
        #: The upstream has said that the session is over. The client is told after the reply that is running.
        self.session_expired = False

    def error(self, error: ErrorDetail, now: float) -> bool:
        """Handle an error. Returns False if it is not about anything that the gateway sent: tell the client."""
        context = self._context
        turn, code, about = context.turn, error.known_code, error.event_id
        restore = context.restore
        if restore is not None and restore.refused(about, error.message):
            context.counters.items_left_out += restore.refusal is None
            context.transcript.refused(about or "")
            request = context.requests.owner_of_item(about or "")
            if request is not None:
                self._item_refused(request, code, error.message, now)
            return True
        update = context.upstream_config.update
        if update is not None and (
            about == update.event_id or (about is None and (error.param or "").startswith("session"))
        ):
            self.update_failed(code, error.message, error.param, now)
            return True
        if turn.pending_create is not None and about == turn.pending_create.event_id:
            self._request_refused(code, error.message, now)
            return True
        if code == SESSION_EXPIRED:
            self.session_expired = True
            return True
        unnamed = about is None and code == ACTIVE_RESPONSE and turn.pending_create is not None
        if unnamed and not self._turns.attempt_failed():
            # Only one create can be out.
            self._request_refused(code, error.message, now)
            return True
        if code == CANCEL_NOT_ACTIVE:
            turn.cancel_refused(about, now)
            return True
        if self._turns.force_refused(about):
            if code != COMMIT_EMPTY:
                context.tell_once(events.warning("FORCE_END_TURN_UNSUPPORTED", f"The turn goes on: {error.message}"))
            return True
        if any(context.is_about(about, purpose) for purpose in _OWN_BUSINESS):
            return True
        if code == ACTIVE_RESPONSE:
            # Not about our create: an automatic response of the upstream could not begin.
            self._turns.answer_refused(now)
            return True
        request = context.requests.owner_of_item(about) if about is not None else None
        if request is not None:
            self._item_refused(request, code, error.message, now)
            return True
        return False

    def _request_refused(self, code: str, description: str, now: float) -> None:
        context = self._context
        turn = context.turn
        assert turn.pending_create is not None
        responds = turn.pending_create.responds
        raced = code == ACTIVE_RESPONSE
        turn.request_failed(now, raced=raced)
        if raced:
            context.counters.collisions_absorbed += 1
            context.requests.return_(responds)
            return
        for request in context.requests.settle(responds):
            self._client.refused(request, code, f"{request.name} got no response: {description}", now)

    def _item_refused(self, request: Request, code: str, description: str, now: float) -> None:
        for item_id in request.unacknowledged:
            self._context.transcript.refused(item_id)
        self._context.requests.settle([request.seq])
        problem = f"{request.name} was refused by the upstream: {description}"
        self._client.refused(request, code, problem, now, item_refused=True)

    def update_failed(self, code: str, description: str, param: str | None, now: float) -> None:
        """The update in flight was refused or not answered: retry it if that can help, or report it."""
        context = self._context
        occupied = not context.turn.free_for_configuration
        refused = context.upstream_config.refuse(code, param, occupied=occupied)
        update = refused.update
        if refused.unannounced:
            context.turn.committed(now)
        if refused.again:
            # They wait again. The next attempt omits fields that cannot change, and the client is told.
            context.requests.return_(update.configures)
            return
        if len(update.configures) > 1 and code != UPDATE_TIMEOUT:
            # Each is sent alone, so that it gets the answer that it would get alone (P11).
            context.requests.return_(update.configures, alone=True)
            return
        where = f" ({param})" if param else ""
        for request in context.requests.settle(update.configures):
            problem = f"{request.name} was refused by the upstream: {description}{where}"
            self._client.refused(request, code, problem, now)

    def create_is_unanswered(self, now: float) -> None:
        """Neither a response nor an error came for our ``response.create``. The upstream may be running it, so it is
        cancelled, and its requests wait for the answer to that."""
        context, turn = self._context, self._context.turn
        assert turn.pending_create is not None
        context.requests.return_(turn.pending_create.responds)
        if turn.request_expired(context.next_event_id("cancel"), now):
            context.send(partial(response_cancel, None), "cancel")
