"""The client protocol: Deepgram's Voice Agent v1 and the React component's extensions, as one superset.

`errors`, `values`, `settings`, `messages` and `parse` are about what clients send; `events` is what they are sent.
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
    "Omitted",
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
