"""What happens when somebody speaks over the agent."""

from __future__ import annotations

from functools import partial

from gateway.conversation.context import Context
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import item_truncate, response_cancel


def interrupt(context: Context, now: float) -> None:
    """The client hears no more of what it was to play: the upstream's memory of it ends where the client stopped, and
    the client is told the words up to there."""
    cuts, messages = context.downlink.interrupt(now)
    context.tell(*messages)
    for cut in cuts:
        context.send(partial(item_truncate, cut.item_id, cut.heard_ms), "truncate")


def cancel_response(context: Context, now: float) -> None:
    """Stop the response that holds the slot, if it is known; nothing when none runs or it is being stopped."""
    response_id = context.turn.response_id
    if context.turn.slot is Slot.ACTIVE and response_id is not None:
        context.turn.cancel_sent(now)
        context.send(partial(response_cancel, response_id), "cancel")
