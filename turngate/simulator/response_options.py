"""The options of a response: validation of ``response.create``, and the effective values for the whole response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from turngate.simulator import session_config, tool_config
from turngate.simulator.errors import invalid
from turngate.simulator.frames import Event
from turngate.simulator.items import Item, Items, new_input
from turngate.simulator.validation import array, choice, fields, flag, nullable, pairs, text

#: Who created a response: the client, or the server automatically after a turn (vad) or a long silence (idle).
Origin = Literal["client", "vad", "idle"]

_options = fields(
    {
        "conversation": choice("auto", "none"),
        "input": array(new_input),
        "instructions": text(),
        "metadata": nullable(pairs(max_properties=16, max_key_length=64, max_value_length=512)),
        "output_modalities": session_config.output_modalities,
        "audio": fields({"output": fields({"format": session_config.audio_format, "voice": session_config.voice})}),
        "max_output_tokens": session_config.max_output_tokens,
        "tools": tool_config.tools,
        "tool_choice": tool_config.tool_choice,
        "parallel_tool_calls": flag,
        "reasoning": session_config.reasoning,
        "prompt": session_config.prompt,
    }
)
#: Fields that override the session's field of the same name.
_OVERRIDES = ("instructions", "output_modalities", "max_output_tokens", "tools", "tool_choice", "parallel_tool_calls")


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """The options of one response, fixed when it is accepted. A later ``session.update`` does not change them."""

    origin: Origin
    #: False for an out-of-band response, which adds nothing to the default conversation.
    in_conversation: bool
    #: The effective session object, with this response's overrides.
    session: Event
    #: The ``instructions`` of the ``response.create`` itself.
    instructions: str | None
    metadata: dict[str, str] | None

    @classmethod
    def of(cls, request: Event, session: Event, *, voice_locked: bool, origin: Origin = "client") -> ResponseOptions:
        """Validate the ``response`` object of a request and apply it to the session object; raises `RefusedError`."""
        _options(request, "response")
        if not request:
            return cls(origin, True, session, None, None)
        effective = {**session, **{name: request[name] for name in _OVERRIDES if name in request}}
        output = {**session["audio"]["output"], **request.get("audio", {}).get("output", {})}
        in_conversation = request.get("conversation", "auto") == "auto"
        session_config.refuse_locked_voice(
            session["audio"]["output"]["voice"], output["voice"], voice_locked and in_conversation
        )
        tool_config.check_tools(effective["tools"], effective["tool_choice"], "response")
        effective["audio"] = {**session["audio"], "output": output}
        return cls(origin, in_conversation, effective, request.get("instructions"), request.get("metadata"))

    @property
    def speaks(self) -> bool:
        return bool(self.session["output_modalities"] == ["audio"])

    @property
    def output(self) -> Event:
        """``format``, ``voice`` and ``speed`` of the audio."""
        found: Event = self.session["audio"]["output"]
        return found

    @property
    def max_output_tokens(self) -> Any:
        return self.session["max_output_tokens"]


def context(request: Event, items: Items) -> Iterable[Item]:
    """The items that the response answers, newest first: the request's ``input`` if given, or else the conversation."""
    if "input" not in request:
        return items.newest_first()
    found: list[Item] = []
    for index, wire in enumerate(request["input"]):
        item = items.get(wire["id"]) if wire["type"] == "item_reference" else Item(wire)
        if item is None:
            raise invalid(f"response.input[{index}].id", f"Item with id '{wire['id']}' not found in conversation.")
        found.append(item)
    return reversed(found)
