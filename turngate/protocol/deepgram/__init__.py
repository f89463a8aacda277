"""The client protocol: Deepgram's Voice Agent v1 and the extensions of the React component, as one superset.

`messages`, `settings`, `values`, `parse` and `errors` are for messages from clients, `events` for messages to clients.
"""

from turngate.protocol.deepgram.errors import (
    AGENT_ID_NOT_SUPPORTED,
    INVALID_SETTINGS,
    UNPARSABLE,
    ClientProtocolError,
    UnknownMessageTypeError,
)
from turngate.protocol.deepgram.messages import (
    ClientMessage,
    CustomToThinkProvider,
    ForceEndTurn,
    FunctionCallResponse,
    InjectAgentMessage,
    InjectUserMessage,
    KeepAlive,
    LateFunctionResult,
    ReplyCutOff,
    Settings,
    UpdateListen,
    UpdatePrompt,
    UpdateSpeak,
    UpdateThink,
    UserTurnEnded,
)
from turngate.protocol.deepgram.parse import Omitted, parse_client_message, read_message

__all__ = [
    "AGENT_ID_NOT_SUPPORTED",
    "INVALID_SETTINGS",
    "UNPARSABLE",
    "ClientMessage",
    "ClientProtocolError",
    "CustomToThinkProvider",
    "ForceEndTurn",
    "FunctionCallResponse",
    "InjectAgentMessage",
    "InjectUserMessage",
    "KeepAlive",
    "LateFunctionResult",
    "Omitted",
    "ReplyCutOff",
    "Settings",
    "UnknownMessageTypeError",
    "UpdateListen",
    "UpdatePrompt",
    "UpdateSpeak",
    "UpdateThink",
    "UserTurnEnded",
    "parse_client_message",
    "read_message",
]
