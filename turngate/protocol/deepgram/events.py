"""The server's messages to the client: one function each, which returns the JSON object.

The names and shapes are Deepgram's; `transcript`, `utterance_end` and `agent_done` are the component's additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

ServerMessage: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["user", "assistant"]
#: From the end of the user's speech to its words; from the beginning of a response to its first words, and to its
#: first function call; from words to audio; from the end of the user's turn to the first output.
LatencyStage: TypeAlias = Literal["stt_latency", "ttt_text_latency", "ttt_tool_latency", "tts_latency", "total_latency"]

#: The acknowledgement of each configuration message, to be sent when the upstream has confirmed it and not before.
ACKNOWLEDGEMENTS = {
    "Settings": "SettingsApplied",
    "UpdatePrompt": "PromptUpdated",
    "UpdateThink": "ThinkUpdated",
    "UpdateSpeak": "SpeakUpdated",
    "UpdateListen": "ListenUpdated",
}


def welcome(request_id: str) -> ServerMessage:
    return {"type": "Welcome", "request_id": request_id}


def acknowledgement(message_type: str) -> ServerMessage:
    """``SettingsApplied``, ``PromptUpdated`` and so on, for a configuration message of this type."""
    return {"type": ACKNOWLEDGEMENTS[message_type]}


def conversation_text(role: Role, content: str) -> ServerMessage:
    return {"type": "ConversationText", "role": role, "content": content, "conversational_behavior": "default"}


def history(role: Role, content: str) -> ServerMessage:
    """The copy of a ``ConversationText`` that a client keeps to continue a conversation later."""
    return {"type": "History", "role": role, "content": content}


def history_call(call_id: str, name: str, arguments: str, response: str) -> ServerMessage:
    """A finished function call, for the same purpose."""
    call = {"id": call_id, "name": name, "client_side": True, "arguments": arguments, "response": response}
    return {"type": "History", "function_calls": [call]}


def user_started_speaking() -> ServerMessage:
    return {"type": "UserStartedSpeaking"}


def agent_thinking(content: str = "") -> ServerMessage:
    return {"type": "AgentThinking", "content": content}


def agent_started_speaking(total_latency: float, ttt_latency: float, tts_latency: float) -> ServerMessage:
    """Latencies in seconds: until the first output, until the first text, and from text to audio."""
    return {
        "type": "AgentStartedSpeaking",
        "total_latency": round(total_latency, 3),
        "ttt_latency": round(ttt_latency, 3),
        "tts_latency": round(tts_latency, 3),
    }


def latency_report(stage: LatencyStage, seconds: float) -> ServerMessage:
    """How long one stage of a reply took; the live service sends one stage a message."""
    return {"type": "LatencyReport", stage: round(max(seconds, 0.0), 3)}


def agent_audio_done() -> ServerMessage:
    return {"type": "AgentAudioDone"}


def agent_done() -> ServerMessage:
    return {"type": "AgentDone"}


def function_call_request(call_id: str, name: str, arguments: str) -> ServerMessage:
    """Ask the client to run a function; ``arguments`` is JSON in a string."""
    call = {"id": call_id, "name": name, "arguments": arguments, "client_side": True}
    return {"type": "FunctionCallRequest", "functions": [call]}


def function_call_cancelled(calls: Sequence[tuple[str, str]]) -> ServerMessage:
    """These calls, as (id, name), are void: an answer to them would be dropped."""
    return {"type": "FunctionCallCancelled", "functions": [{"id": id_, "name": name} for id_, name in calls]}


def function_call_response(call_id: str, name: str, content: str) -> ServerMessage:
    """The copy of a client's own result, as it was taken."""
    return {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": content}


def injection_refused(message: str) -> ServerMessage:
    return {"type": "InjectionRefused", "message": message}


def transcript(text: str, *, final: bool, start: float, duration: float) -> ServerMessage:
    """The user's words, so far or ``final``; times in seconds from the start of the session's audio."""
    return {
        "type": "Transcript",
        "transcript": text,
        "is_final": final,
        "speech_final": final,
        "channel": 0,
        "channel_index": [0, 1],
        "start": round(start, 3),
        "duration": round(duration, 3),
        "alternatives": [{"transcript": text, "confidence": 1.0, "words": []}],
    }


def utterance_end(last_word_end: float = 0.0) -> ServerMessage:
    """The user stopped speaking; seconds from the start of the session's audio, 0 when unknown."""
    return {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_word_end}


def warning(code: str, description: str) -> ServerMessage:
    return {"type": "Warning", "code": code, "description": description}


def error(code: str, description: str) -> ServerMessage:
    return {"type": "Error", "code": code, "description": description}
