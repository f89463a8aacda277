"""The route: which function translates which client message. Every mapping is a pure function of the event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from translator.mapping.conversation import inject_agent_message, inject_user_message, user_turn_ended
from translator.mapping.function_calls import function_call_response
from translator.mapping.settings import settings, update_listen, update_prompt, update_speak, update_think
from translator.mapping.translation import Defaults, Refusal, Translation
from turngate.protocol.deepgram import (
    UNPARSABLE,
    ClientProtocolError,
    FunctionCallResponse,
    InjectAgentMessage,
    InjectUserMessage,
    Settings,
    UpdateListen,
    UpdatePrompt,
    UpdateSpeak,
    UpdateThink,
    UserTurnEnded,
    read_message,
)
from turngate.protocol.messages import ClientEvent

__all__ = ["ROUTES", "Defaults", "Refusal", "Translation", "translate"]

#: `KeepAlive`, `ForceEndTurn` and `CustomToThinkProvider` are the gateway's own business and never come here.
ROUTES: Mapping[type[Any], Callable[[ClientEvent, Any, Defaults], Translation]] = {
    Settings: settings,
    UpdatePrompt: update_prompt,
    UpdateThink: update_think,
    UpdateSpeak: update_speak,
    UpdateListen: update_listen,
    InjectUserMessage: inject_user_message,
    InjectAgentMessage: inject_agent_message,
    FunctionCallResponse: function_call_response,
    UserTurnEnded: user_turn_ended,
}


def translate(event: ClientEvent, defaults: Defaults) -> Translation:
    """What a client event means upstream. The same event gives the same translation, however often it comes.

    Raises `Refusal` when it can have no effect: tell the client, and be done with it.
    """
    try:
        message = read_message(event.message)
    except ClientProtocolError as error:
        raise Refusal(error.code, error.description) from error
    route = ROUTES.get(type(message))
    if route is None:
        raise Refusal(UNPARSABLE, f"{message.type} means nothing to the model.")
    return route(event, message, defaults)
