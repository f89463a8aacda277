"""Maps the ``think`` block to the upstream's instructions, tools and limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from translator.mapping.defaults import Defaults
from translator.mapping.result import not_applied
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.deepgram.settings import Function, FunctionChoice, Think

#: The upstream accepts 1 to 4096, or no limit.
_MAX_OUTPUT_TOKENS = 4096
#: Prefix of the models that accept a reasoning effort. Other models refuse the whole update.
_REASONING_MODELS = "gpt-realtime-2"
#: The upstream's effort for Deepgram's reasoning modes, where they differ. Reasoning cannot be switched off.
_EFFORTS = {"none": "minimal"}


def usable(think: tuple[Think, ...], defaults: Defaults) -> Think:
    """Choose from the preferences: the first block whose model is the connected one, or else the first block."""
    return next((block for block in think if _answers(block, defaults)), think[0])


def thinking(think: Think, defaults: Defaults) -> dict[str, Any]:
    """The session fields set by this block."""
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
        # The upstream accepts exactly one; audio includes its transcript.
        session["output_modalities"] = ["audio"] if "audio" in think.output_modalities else ["text"]
    if think.max_output_tokens is not None:
        session["max_output_tokens"] = (
            think.max_output_tokens if think.max_output_tokens <= _MAX_OUTPUT_TOKENS else "inf"
        )
    if think.managed_prompt is not None:
        session["prompt"] = think.managed_prompt.model_dump(include={"id", "version", "variables"}, exclude_none=True)
    effort = think.provider.reasoning_mode or defaults.reasoning_effort
    if effort is not None and _reasons(defaults):
        session["reasoning"] = {"effort": _EFFORTS.get(effort, effort)}
    return session


def thinking_notices(think: Think, defaults: Defaults) -> Iterator[ServerMessage]:
    """Warnings for the parts of this block that cannot be applied."""
    provider = think.provider
    asked = provider.model or (None if provider.type == "open_ai" else provider.type)
    if asked is not None and not _answers(think, defaults):
        realtime = "realtime" in asked
        code = "THINK_MODEL_NOT_CHANGED" if realtime else "THINK_MODEL_NOT_REALTIME"
        reason = "the model is fixed for this server" if realtime else "that is not a realtime model"
        yield events.warning(code, f"{defaults.model} answers instead of {asked}: {reason}.")
    for function in think.functions or ():
        if function.endpoint is not None:
            yield events.warning(
                "FUNCTION_ENDPOINT_NOT_CALLED",
                f"{function.name}: this server does not call endpoints; the client gets a FunctionCallRequest instead.",
            )
    fields = {
        "endpoint": think.endpoint,
        "context_length": think.context_length,
        "provider.temperature": provider.temperature,
        "provider.reasoning_mode": None if _reasons(defaults) else provider.reasoning_mode,
        "provider.credentials": provider.credentials,
    }
    yield from not_applied("THINK_FIELDS_NOT_APPLIED", "think", fields)


def _answers(think: Think, defaults: Defaults) -> bool:
    """Whether this block's model, after the operator's table, is the connected one."""
    model = think.provider.model
    return think.provider.type == "open_ai" if model is None else defaults.names.model(model) == defaults.model


def _reasons(defaults: Defaults) -> bool:
    return defaults.model.startswith(_REASONING_MODELS)


def _tool(function: Function) -> dict[str, Any]:
    tool: dict[str, Any] = {"type": "function", "name": function.name}
    if function.description is not None:
        tool["description"] = function.description
    # The upstream requires a schema, also for a function without parameters.
    tool["parameters"] = function.parameters or {"type": "object", "properties": {}}
    return tool
