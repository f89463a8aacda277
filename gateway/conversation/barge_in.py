"""Interrupting the agent: truncate what was not heard, and cancel the response."""

from __future__ import annotations

from functools import partial

from gateway.audio.playout import heard_words
from gateway.conversation.context import Context
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import item_create, item_delete, item_truncate, response_cancel


def interrupt(context: Context, now: float) -> None:
    """Stop playback: truncate the upstream's items where the client stopped playing them, and tell the client the text
    up to there. A reply that was cut off by the loss of a connection is not gone on with."""
    cuts, messages = context.downlink.interrupt(now)
    context.tell(*messages)
    for cut in cuts:
        context.transcript.cut(cut.item_id, heard_words(context.transcript.text_of(cut.item_id), cut))
        if cut.item_id in context.restored_items:
            _replace(context, cut.item_id)
        else:
            context.send(partial(item_truncate, cut.item_id, cut.heard_ms), "truncate")
    response_id = context.turn.response_id
    if response_id is not None:
        forget_undelivered(context, response_id)
    context.requests.settle([request.seq for request in context.requests if request.continues])


def _replace(context: Context, item_id: str) -> None:
    """Text cannot be truncated upstream: put what was heard in its place."""
    before, item = context.transcript.place_of(item_id)
    context.send(partial(item_delete, item_id), "truncate")
    if item is not None:
        context.send(lambda event_id: item_create(item, event_id, before), "truncate")


def forget_undelivered(context: Context, response_id: str) -> None:
    """Of this response's messages, those that the client has not had were not said."""
    for item_id in context.transcript.messages_of(response_id):
        if not context.downlink.replies.has_delivered(response_id, item_id):
            context.transcript.cut(item_id, "")


def cancel_response(context: Context, now: float) -> None:
    """Cancel the response that holds the slot. One that is promised or requested is cancelled when it begins; nothing
    happens when there is none, or it is being cancelled."""
    turn = context.turn
    match turn.slot:
        case Slot.ACTIVE:
            send_cancel(context, turn.response_id, now)
        case Slot.PROMISED | Slot.REQUESTED:
            turn.cancel_next = True
        case _:
            pass


def send_cancel(context: Context, response_id: str | None, now: float) -> None:
    """Send ``response.cancel``. Raises `GateViolation` unless a response is active, or being cancelled."""
    context.turn.cancel_sent(context.next_event_id("cancel"), now)
    context.send(partial(response_cancel, response_id), "cancel")
