"""Messages to the client: one function for each, which returns the JSON object.

Names and fields are Deepgram's; `transcript`, `utterance_end` and `agent_done` are extensions of the React component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

ServerMessage: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["user", "assistant"]
#: In this order: from the end of the user's speech to its transcript; from the start of a response to its first text;
#: from the start of a response to its first function call; from text to audio; from the end of the user's turn to the
#: first output.
LatencyStage: TypeAlias = Literal["stt_latency", "ttt_text_latency", "ttt_tool_latency", "tts_latency", "total_latency"]

#: The acknowledgement of each configuration message. It is sent only when the upstream has confirmed the change.
ACKNOWLEDGEMENTS = {
    "Settings": "SettingsApplied",
    "UpdatePrompt": "PromptUpdated",
    "UpdateThink": "ThinkUpdated",
    "UpdateSpeak": "SpeakUpdated",
    "UpdateListen": "ListenUpdated",
}


def welcome(
    request_id: str,
    *,
    resumed: bool | None = None,
    resume: str | None = None,
    recovered: Mapping[str, int] | None = None,
) -> ServerMessage:
    """``resumed``: whether the client finds its conversation, if it asked for it; ``resume`` is the handle with which
    it can return. ``recovered``: the server that ran the session is gone, and this one knows it up to so many
    ``messages`` and so many milliseconds of the agent's audio (``audio_ms``). All of them are turngate's own."""
    message: ServerMessage = {"type": "Welcome", "request_id": request_id}
    if resumed is not None:
        message["resumed"] = resumed
    if resume is not None:
        message["resume"] = resume
    if recovered is not None:
        message["recovered"] = dict(recovered)
    return message


def acknowledgement(message_type: str) -> ServerMessage:
    """The acknowledgement of a configuration message of this type, such as ``SettingsApplied``."""
    return {"type": ACKNOWLEDGEMENTS[message_type]}


def conversation_text(role: Role, content: str) -> ServerMessage:
    return {"type": "ConversationText", "role": role, "content": content, "conversational_behavior": "default"}


def history(role: Role, content: str) -> ServerMessage:
    """A copy of a ``ConversationText``, which a client can store to continue the conversation later."""
    return {"type": "History", "role": role, "content": content}


def history_call(call_id: str, name: str, arguments: str, response: str) -> ServerMessage:
    """A finished function call, which a client can store to continue the conversation later."""
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
    """The duration of one stage of a reply. Like the live service, it reports one stage per message."""
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
    """Report that these calls, as (id, name), are cancelled; a later answer to them is dropped."""
    return {"type": "FunctionCallCancelled", "functions": [{"id": id_, "name": name} for id_, name in calls]}


def function_call_response(call_id: str, name: str, content: str) -> ServerMessage:
    """A copy of the client's function result, as accepted."""
    return {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": content}


def injection_refused(message: str) -> ServerMessage:
    return {"type": "InjectionRefused", "message": message}


def transcript(text: str, *, final: bool, start: float, duration: float) -> ServerMessage:
    """The transcript of the user's speech, interim or ``final``; times in seconds from the start of the audio."""
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
    """The user stopped speaking, at a time in seconds from the start of the session's audio; 0 if unknown."""
    return {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_word_end}


def warning(code: str, description: str) -> ServerMessage:
    return {"type": "Warning", "code": code, "description": description}


def error(code: str, description: str) -> ServerMessage:
    return {"type": "Error", "code": code, "description": description}
