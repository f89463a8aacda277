"""Maps ``Settings`` and the ``Update`` messages to partial session objects of the Realtime API.

A session object contains only what the client set. An absent field is not null: it keeps its value upstream.
"""

from __future__ import annotations

from typing import Any

from translator.mapping.conversation import history_items
from translator.mapping.defaults import Defaults
from translator.mapping.listening import (
    changed_transcription,
    check_listening,
    listening_notices,
    transcription,
)
from translator.mapping.result import MappingResult, configure, not_applied
from translator.mapping.speaking import DEFAULT_SPEED, output, speaking
from translator.mapping.thinking import thinking, thinking_notices, usable
from translator.mapping.turn_detection import end_of_turn, turn_detection
from turngate.protocol.deepgram import Settings, UpdateListen, UpdatePrompt, UpdateSpeak, UpdateThink
from turngate.protocol.deepgram.audio import upstream_format
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.messages import ClientEvent


def settings(event: ClientEvent, message: Settings, defaults: Defaults) -> MappingResult:
    """The whole configuration. The first ``Settings`` may also contain an earlier conversation, which a repeated one
    does not add again."""
    agent = message.agent
    # `mip_opt_out` needs no handling: this server does not use any data for training.
    fields = {
        "tags": message.tags,
        "experimental": message.experimental or None,
        "audio.output.bitrate": message.output_audio.bitrate,
    }
    notices: list[ServerMessage] = not_applied("SETTINGS_FIELDS_NOT_APPLIED", "", fields)
    session: dict[str, Any] = {}
    if agent.think:
        think = usable(agent.think, defaults)
        session |= thinking(think, defaults)
        notices += thinking_notices(think, defaults)
    provider = agent.listen.provider if agent.listen is not None else None
    if provider is not None:
        check_listening(provider, partial=False)
    heard, warnings = transcription(provider, agent.language, defaults)
    if provider is not None:
        warnings += listening_notices(provider, "LISTEN_FIELDS_NOT_APPLIED")
    notices += warnings
    spoken, warnings = output(message, defaults, first=not event.repeated)
    notices += warnings
    listening: dict[str, Any] = {
        "format": upstream_format(message.input_audio.encoding),
        "transcription": heard,
        "turn_detection": turn_detection(agent, defaults.turn_detection),
    }
    if defaults.noise_reduction is not None:
        listening["noise_reduction"] = {"type": defaults.noise_reduction}
    session["audio"] = {"input": listening, "output": spoken}
    past = agent.context.messages if agent.context is not None and not event.repeated else None
    return MappingResult(history_items(event, past or ()), tuple(notices), configure(event, session))


def update_prompt(event: ClientEvent, message: UpdatePrompt, defaults: Defaults) -> MappingResult:
    """Appends to the instructions, as in Deepgram's service."""
    return MappingResult(intent=configure(event, {}, append_instructions=message.prompt))


def update_think(event: ClientEvent, message: UpdateThink, defaults: Defaults) -> MappingResult:
    """Replaces the think block. Instructions and functions that it omits are removed."""
    think = usable(message.think, defaults)
    session = {"instructions": "", "tools": [], "tool_choice": "auto"} | thinking(think, defaults)
    return MappingResult(notices=tuple(thinking_notices(think, defaults)), intent=configure(event, session))


def update_speak(event: ClientEvent, message: UpdateSpeak, defaults: Defaults) -> MappingResult:
    """Changes voice and speed from the next reply on. If the speed is omitted, it is reset to 1."""
    spoken, notices = speaking(message.speak, defaults)
    change = {"audio": {"output": {"speed": DEFAULT_SPEED} | spoken}}
    return MappingResult(notices=tuple(notices), intent=configure(event, change))


def update_listen(event: ClientEvent, message: UpdateListen, defaults: Defaults) -> MappingResult:
    """Changes the languages and words that the transcription expects, and the detection of the end of a turn. Omitted
    fields keep their values, except `language_hints`, which are cleared."""
    provider = message.listen.provider
    check_listening(provider, partial=True)
    heard, notices = changed_transcription(provider, defaults)
    notices += listening_notices(provider, "UPDATE_LISTEN_UNSUPPORTED_FIELDS_CHANGED")
    listening: dict[str, Any] = {"transcription": heard}
    if ends := end_of_turn(provider, defaults.turn_detection):
        listening["turn_detection"] = ends
    return MappingResult(notices=tuple(notices), intent=configure(event, {"audio": {"input": listening}}))
