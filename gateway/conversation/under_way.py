"""What is under way in a conversation, for its spans (`gateway.conversation.traces`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

from gateway.conversation.context import Context
from turngate.protocol.messages import Slot


class What(StrEnum):
    """What can be under way."""

    SPEECH = "speech"
    REQUEST = "request"
    UPDATE = "update"
    PROMISE = "promise"
    CREATE = "create"
    RESPONSE = "response"
    CALL = "call"
    RESTORE = "restore"
    ROLL_OVER = "roll_over"


#: One thing that is under way, with its id among those of its sort.
Thing: TypeAlias = tuple[What, str | int]


def state_of(context: Context, *, rolls_over: bool) -> tuple[Any, ...]:
    """What decides what is under way. It is compared first, since most events change nothing of it."""
    turn, requests = context.turn, context.requests
    return (
        turn.slot,
        turn.response_id,
        turn.user_speaking,
        turn.pending_create and turn.pending_create.event_id,
        context.upstream_config.update and context.upstream_config.update.event_id,
        requests.last_seq,
        requests.settled,
        context.calls.open,
        rolls_over,
    )


def under_way(context: Context, *, rolls_over: bool) -> dict[Thing, None]:
    """Everything that is under way, in the order in which spans begin; nothing when the session is over.
    ``rolls_over``: the next connection to the upstream is being prepared."""
    turn = context.turn
    if turn.slot is Slot.CLOSED:
        return {}
    things: list[Thing] = [(What.SPEECH, 0)] if turn.user_speaking else []
    things += [(What.REQUEST, request.seq) for request in context.requests]
    if (update := context.upstream_config.update) is not None:
        things.append((What.UPDATE, update.event_id))
    if turn.slot is Slot.PROMISED:
        things.append((What.PROMISE, 0))
    if turn.pending_create is not None:
        things.append((What.CREATE, turn.pending_create.event_id))
    if turn.response_id is not None:
        things.append((What.RESPONSE, turn.response_id))
    things += [(What.CALL, call) for call in context.calls.open]
    if turn.slot is Slot.RECONNECTING:
        things.append((What.RESTORE, 0))
    if rolls_over:
        things.append((What.ROLL_OVER, 0))
    return dict.fromkeys(things)
