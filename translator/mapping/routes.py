"""Selects the mapping function for each client message. Every mapping is a pure function of the client event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from translator.mapping.conversation import inject_agent_message, inject_user_message, reply_cut_off, user_turn_ended
from translator.mapping.defaults import Defaults
from translator.mapping.function_calls import function_call_response, late_function_result
from translator.mapping.result import MappingResult, Refusal
from translator.mapping.settings import settings, update_listen, update_prompt, update_speak, update_think
from turngate.protocol.deepgram import (
    UNPARSABLE,
    ClientProtocolError,
    FunctionCallResponse,
    InjectAgentMessage,
    InjectUserMessage,
    LateFunctionResult,
    ReplyCutOff,
    Settings,
    UpdateListen,
    UpdatePrompt,
    UpdateSpeak,
    UpdateThink,
    UserTurnEnded,
    read_message,
)
from turngate.protocol.messages import ClientEvent

#: `KeepAlive`, `ForceEndTurn` and `CustomToThinkProvider` are handled by the gateway and not sent to translators.
ROUTES: Mapping[type[Any], Callable[[ClientEvent, Any, Defaults], MappingResult]] = {
    Settings: settings,
    UpdatePrompt: update_prompt,
    UpdateThink: update_think,
    UpdateSpeak: update_speak,
    UpdateListen: update_listen,
    InjectUserMessage: inject_user_message,
    InjectAgentMessage: inject_agent_message,
    FunctionCallResponse: function_call_response,
    LateFunctionResult: late_function_result,
    UserTurnEnded: user_turn_ended,
    ReplyCutOff: reply_cut_off,
}


def translate(event: ClientEvent, defaults: Defaults) -> MappingResult:
    """Translate a client event into upstream terms. Deterministic: the same event always gives the same result.

    Raises `Refusal` if the event cannot take effect; the caller reports it to the client, which settles the request.
    """
    try:
        message = read_message(event.message)
    except ClientProtocolError as error:
        raise Refusal(error.code, error.description) from error
    route = ROUTES.get(type(message))
    if route is None:
        raise Refusal(UNPARSABLE, f"{message.type} has no effect on the model.")
    return route(event, message, defaults)
