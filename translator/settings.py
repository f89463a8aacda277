"""Configuration: ``Settings`` and the ``Update`` messages, as partial sessions of the Realtime API.

A session object holds only what the client set. Absent is not null: what is left out stays as it is upstream.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contracts.agent import INVALID_SETTINGS, Settings, UpdateListen, UpdatePrompt, UpdateSpeak, UpdateThink, events
from contracts.agent.events import ServerMessage
from contracts.agent.settings import Agent, Function, FunctionChoice, SessionAudioOutput, Speak, Think
from contracts.broker import ClientEvent
from translator.conversation import history_items
from translator.listening import not_applied, transcription, turn_detection
from translator.translation import Defaults, Refusal, Translation, configure
from translator.voices import realtime_voice, voice_of

#: The only audio that crosses the upstream's socket; the gateway converts the client's.
_PCM = {"type": "audio/pcm", "rate": 24_000}

#: The upstream takes 1 to 4096, or no limit.
_MOST_OUTPUT_TOKENS = 4096


def settings(event: ClientEvent, message: Settings, defaults: Defaults) -> Translation:
    """The whole configuration. The first ``Settings`` also brings an earlier conversation; a repeated one does not."""
    agent = message.agent
    notices: list[ServerMessage] = []
    session: dict[str, Any] = {}
    if agent.think:
        session |= _think(agent.think[0])
        notices += _think_notices(agent.think[0], defaults)
    provider = agent.listen.provider if agent.listen is not None else None
    heard, warnings = transcription(provider, agent.language, defaults)
    if provider is not None:
        warnings += not_applied(provider, "LISTEN_FIELDS_NOT_APPLIED")
    notices += warnings
    output, warnings = _output(agent, defaults, first=not event.repeated)
    notices += warnings
    session["audio"] = {
        "input": {"format": _PCM, "transcription": heard, "turn_detection": turn_detection(agent, defaults)},
        "output": output,
    }
    past = agent.context.messages if agent.context is not None and not event.repeated else None
    return Translation(history_items(event, past or ()), tuple(notices), configure(event, session))


def update_prompt(event: ClientEvent, message: UpdatePrompt, defaults: Defaults) -> Translation:
    """Adds to the instructions: Deepgram's service appends, whatever the name says."""
    return Translation(intent=configure(event, {}, append_instructions=message.prompt))


def update_think(event: ClientEvent, message: UpdateThink, defaults: Defaults) -> Translation:
    """Replaces the think block: instructions and functions that it does not have are gone."""
    think = message.think[0]
    session = {"instructions": "", "tools": [], "tool_choice": "auto"} | _think(think)
    return Translation(notices=tuple(_think_notices(think, defaults)), intent=configure(event, session))


def update_speak(event: ClientEvent, message: UpdateSpeak, defaults: Defaults) -> Translation:
    """Changes voice and speed, from the next reply on."""
    output, notices = _spoken(message.speak)
    return Translation(notices=tuple(notices), intent=configure(event, {"audio": {"output": output}} if output else {}))


def update_listen(event: ClientEvent, message: UpdateListen, defaults: Defaults) -> Translation:
    """Changes what the transcription expects: languages and words."""
    provider = message.listen.provider
    heard, notices = transcription(provider, None, defaults)
    notices += not_applied(provider, "UPDATE_LISTEN_UNSUPPORTED_FIELDS_CHANGED")
    return Translation(notices=tuple(notices), intent=configure(event, {"audio": {"input": {"transcription": heard}}}))


def _think(think: Think) -> dict[str, Any]:
    session: dict[str, Any] = {}
    if think.prompt is not None:
        session["instructions"] = think.prompt
    if think.functions is not None:
        session["tools"] = [_tool(function) for function in think.functions]
    if think.tool_choice is not None:
        choice = think.tool_choice
        session["tool_choice"] = (
            {"type": "function", "name": choice.name} if isinstance(choice, FunctionChoice) else choice
        )
    if think.output_modalities:
        # The upstream takes exactly one; audio always comes with its text.
        session["output_modalities"] = ["audio"] if "audio" in think.output_modalities else ["text"]
    if think.max_output_tokens is not None:
        session["max_output_tokens"] = (
            think.max_output_tokens if think.max_output_tokens <= _MOST_OUTPUT_TOKENS else "inf"
        )
    if think.managed_prompt is not None:
        session["prompt"] = think.managed_prompt.model_dump(include={"id", "version", "variables"}, exclude_none=True)
    return session


def _tool(function: Function) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": "function", "name": function.name}
    if function.description is not None:
        tool["description"] = function.description
    # A function without parameters still needs a schema that says so.
    tool["parameters"] = function.parameters or {"type": "object", "properties": {}}
    return tool


def _think_notices(think: Think, defaults: Defaults) -> Iterable[ServerMessage]:
    model = think.provider.model
    if model is not None and model != defaults.model:
        realtime = "realtime" in model
        code = "THINK_MODEL_NOT_CHANGED" if realtime else "THINK_MODEL_NOT_REALTIME"
        reason = "the model is fixed for this server" if realtime else "that is not a realtime model"
        yield events.warning(code, f"{defaults.model} answers instead of {model}: {reason}.")
    for function in think.functions or ():
        if function.endpoint is not None:
            yield events.warning(
                "FUNCTION_ENDPOINT_NOT_CALLED",
                f"{function.name}: this server does not call endpoints; the client gets a FunctionCallRequest instead.",
            )


def _output(agent: Agent, defaults: Defaults, *, first: bool) -> tuple[dict[str, Any], list[ServerMessage]]:
    """``session.audio.output``, complete with a voice for the first configuration."""
    output: dict[str, Any] = {"format": _PCM}
    if first:
        output["voice"] = realtime_voice(defaults.voice) or defaults.voice
    spoken, notices = _spoken(agent.speak or ())
    direct, warnings = _direct(agent.session_audio_output)
    return output | spoken | direct, notices + warnings


def _spoken(speak: tuple[Speak, ...]) -> tuple[dict[str, Any], list[ServerMessage]]:
    """Voice and speed from ``speak``: of the preferences, the first whose voice exists upstream."""
    if not speak:
        return {}, []
    provider, voice = next(
        ((entry.provider, voice) for entry in speak if (voice := voice_of(entry.provider)) is not None),
        (speak[0].provider, None),
    )
    output: dict[str, Any] = {}
    if voice is not None:
        output["voice"] = voice
    if provider.speed is not None:
        output["speed"] = provider.speed
    return output, [] if voice is not None else [_no_such_voice(_voice_name(provider.model_dump()))]


def _direct(wanted: SessionAudioOutput | None) -> tuple[dict[str, Any], list[ServerMessage]]:
    """Voice and speed from ``sessionAudioOutput``. Raises `Refusal` for a format other than the one there is."""
    if wanted is None:
        return {}, []
    if wanted.format is not None and (wanted.format.get("type"), wanted.format.get("rate", 24_000)) != (
        _PCM["type"],
        _PCM["rate"],
    ):
        raise Refusal(
            INVALID_SETTINGS, "Settings: `agent.sessionAudioOutput.format` must be audio/pcm with a rate of 24000."
        )
    output: dict[str, Any] = {}
    notices: list[ServerMessage] = []
    if wanted.voice is not None:
        voice = realtime_voice(wanted.voice)
        if voice is None:
            notices.append(_no_such_voice(str(wanted.voice)))
        else:
            output["voice"] = voice
    if wanted.speed is not None:
        output["speed"] = wanted.speed
    return output, notices


def _voice_name(provider: dict[str, Any]) -> str:
    voice = provider["voice"]
    named = voice["id"] if isinstance(voice, dict) else voice
    return str(named or provider["model"] or provider["model_id"] or provider["type"])


def _no_such_voice(name: str) -> ServerMessage:
    return events.warning(
        "SPEAK_VOICE_NOT_AVAILABLE", f"There is no voice like {name} upstream; the voice stays as it is."
    )
