"""What happens when somebody speaks over the agent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from contracts.broker import Slot
from contracts.realtime import item_truncate, response_cancel

if TYPE_CHECKING:
    from gateway.conversation import Conversation


def interrupt(conversation: Conversation, now: float) -> None:
    """The client hears no more of what it was to play: the upstream's memory of it ends where the client stopped, and
    the client is told the words up to there."""
    cuts, messages = conversation.downlink.interrupt(now)
    conversation.tell(*messages)
    for cut in cuts:
        conversation.send(partial(item_truncate, cut.item_id, cut.heard_ms), "truncate")


def cancel_response(conversation: Conversation, now: float) -> None:
    """Stop the response that holds the slot, if it is known; nothing when none runs or it is being stopped."""
    response_id = conversation.turn.response_id
    if conversation.turn.slot is Slot.ACTIVE and response_id is not None:
        conversation.turn.cancel_sent(now)
        conversation.send(partial(response_cancel, response_id), "cancel")
