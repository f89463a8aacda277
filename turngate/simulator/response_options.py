"""What a ``response.create`` may ask for, and the options that a response keeps from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from turngate.simulator import session_config, tool_config
from turngate.simulator.errors import invalid
from turngate.simulator.items import Item, Items, new_input
from turngate.simulator.shape import array, choice, fields, flag, nullable, pairs, text
from turngate.simulator.stage import Event

#: Who asked for a response: the client, or the server itself after a turn or after a long silence.
Origin = Literal["client", "vad", "idle"]

_options = fields(
    {
        "conversation": choice("auto", "none"),
        "input": array(new_input),
        "instructions": text(),
        "metadata": nullable(pairs(most=16, longest_key=64, longest_value=512)),
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
#: Fields that stand in for the session's own of the same name.
_OVERRIDES = ("instructions", "output_modalities", "max_output_tokens", "tools", "tool_choice", "parallel_tool_calls")


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """How one response is made; fixed when it is accepted, whatever ``session.update`` follows."""

    origin: Origin
    #: False for an out-of-band response, which writes nothing to the default conversation.
    in_conversation: bool
    #: The effective session object, with this response's overrides.
    session: Event
    #: The instructions that the request brought for this one response.
    instructions: str | None
    metadata: dict[str, str] | None

    @classmethod
    def of(cls, request: Event, session: Event, *, voice_locked: bool, origin: Origin = "client") -> ResponseOptions:
        """Check the ``response`` object of a request and apply it over the session; raises `RefusedError`."""
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
    """What the response answers, newest first: the conversation, or the request's own ``input`` in its place."""
    if "input" not in request:
        return items.newest_first()
    found: list[Item] = []
    for index, wire in enumerate(request["input"]):
        item = items.get(wire["id"]) if wire["type"] == "item_reference" else Item(wire)
        if item is None:
            raise invalid(f"response.input[{index}].id", f"Item with id '{wire['id']}' not found in conversation.")
        found.append(item)
    return reversed(found)
