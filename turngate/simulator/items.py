"""The items of a conversation: validation of items from clients, their order, and their audio."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pybase64

from turngate.simulator.errors import RefusedError, invalid
from turngate.simulator.frames import Event
from turngate.simulator.validation import Validator, anything, array, choice, fields, flag, nullable, tagged, text

#: Maximum length of an id chosen by a client. The live service's own ids are shorter.
ID_LENGTH = 32

_id = text(max_length=ID_LENGTH, pattern=r"[a-zA-Z0-9_.:-]+")
_call_id = text(max_length=ID_LENGTH, pattern=r"[a-zA-Z0-9_-]+")
_COMMON: dict[str, Validator] = {
    "type": anything,
    "id": nullable(_id),
    "object": choice("realtime.item"),
    "status": nullable(choice("in_progress", "completed", "incomplete")),
}
_input_text = fields({"type": anything, "text": text()}, required=("text",))
_input_audio = fields({"type": anything, "audio": text(), "transcript": nullable(text())}, required=("audio",))
_input_image = fields(
    {
        "type": anything,
        "image_url": text(pattern=r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]*"),
        "detail": choice("auto", "low", "high"),
    },
    required=("image_url",),
)
_CONTENT = {
    "system": tagged({"input_text": _input_text}),
    "user": tagged({"input_text": _input_text, "input_audio": _input_audio, "input_image": _input_image}),
    "assistant": tagged({"output_text": _input_text}),
}
_message = tagged(
    {
        role: fields({**_COMMON, "role": anything, "content": array(content)}, required=("content",))
        for role, content in _CONTENT.items()
    },
    tag="role",
)
_VARIANTS: dict[str, Validator] = {
    "message": _message,
    "function_call": fields(
        {**_COMMON, "name": text(), "arguments": text(), "call_id": nullable(_call_id)}, required=("name", "arguments")
    ),
    "function_call_output": fields({**_COMMON, "call_id": text(), "output": text()}, required=("call_id", "output")),
    "mcp_approval_response": fields(
        {**_COMMON, "approval_request_id": text(), "approve": flag, "reason": nullable(text())},
        required=("approval_request_id", "approve"),
    ),
}
#: Validates an item sent by a client.
new_item = tagged(_VARIANTS)
#: Validates an element of the ``input`` of ``response.create``: an item, or a reference to one.
new_input = tagged({**_VARIANTS, "item_reference": fields({"type": anything, "id": text()}, required=("id",))})


@dataclass(slots=True)
class Item:
    """One item. ``wire`` is its JSON form in events, without audio; it is replaced, never changed in place."""

    wire: Event
    #: Base64 pieces in the session's format. All but the last encode a multiple of three bytes, so they can be joined.
    audio: list[str] = field(default_factory=list)
    audio_bytes: int = 0
    audio_ms: int = 0
    #: Seconds of speech in the audio, formatted; empty if there was none.
    heard: str = ""
    truncated: bool = False

    @classmethod
    def of(cls, wire: Event, bytes_per_ms: int) -> Item:
        """An item created by a client; raises `RefusedError` if its audio is not base64."""
        content = wire.get("content", [])
        item = cls(wire)
        shown: list[Event] = []
        for index, part in enumerate(content):
            if part["type"] == "input_audio":
                item._take_audio(part["audio"], f"item.content[{index}].audio", bytes_per_ms)
                part = {"type": "input_audio", "transcript": part.get("transcript")}
            shown.append(part)
        if item.audio:
            item.wire = {**wire, "content": shown}
        return item

    def _take_audio(self, audio: str, path: str, bytes_per_ms: int) -> None:
        try:
            size = len(pybase64.b64decode(audio, validate=True))
        except (binascii.Error, ValueError):
            raise invalid(path, f"Invalid '{path}'. Expected base64-encoded audio bytes.") from None
        self.audio = [audio]
        self.audio_bytes = size
        self.audio_ms = size // bytes_per_ms
        self.heard = f"{self.audio_ms / 1000:.1f}"

    def extend(self, audio: str, size: int, ms: int) -> None:
        """Append a piece of base64 audio of ``size`` bytes, unless the item was truncated."""
        if not self.truncated:
            self.audio.append(audio)
            self.audio_bytes += size
            self.audio_ms += ms

    def finish(self, wire: Event) -> None:
        """Set the final JSON form. If the item was truncated while it was produced, its transcript is removed."""
        self.wire = _without_transcript(wire) if self.truncated else wire

    def truncate(self, end_ms: int) -> None:
        """Keep the first ``end_ms`` of the audio. The transcript is removed, since it covers more than was heard."""
        # Six bytes are a whole number of samples in every format and a whole number of base64 groups.
        units = self.audio_bytes * end_ms // max(1, self.audio_ms) // 6
        self.audio = ["".join(self.audio)[: units * 8]]
        self.audio_bytes, self.audio_ms = units * 6, end_ms
        self.truncated = True
        self.wire = _without_transcript(self.wire)

    def with_audio(self) -> Event:
        """The JSON form for ``conversation.item.retrieved``, with audio."""
        content = self.wire.get("content")
        if not self.audio or not content:
            return self.wire
        parts = [
            {**part, "audio": "".join(self.audio)} if part["type"].endswith("_audio") else part for part in content
        ]
        return {**self.wire, "content": parts}


def _without_transcript(wire: Event) -> Event:
    return {
        **wire,
        "content": [{name: part[name] for name in part if name != "transcript"} for part in wire["content"]],
    }


class Items:
    """The items of the default conversation, in order."""

    def __init__(self, max_items: int, max_audio_bytes: int) -> None:
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._calls: set[str] = set()
        self._max_items = max_items
        self._max_audio_bytes = max_audio_bytes

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def newest_first(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in reversed(self._order))

    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    def has_call(self, call_id: str) -> bool:
        """Whether the conversation has a function call with this id."""
        return call_id in self._calls

    def add(self, item: Item, *, after: str | None = None) -> str | None:
        """Insert at the end, or after an existing item (``"root"``: first). Returns the id of the preceding item."""
        item_id = item.wire["id"]
        if after is None:
            position = len(self._order)
        elif after == "root":
            position = 0
        else:
            position = self._order.index(after) + 1
        self._order.insert(position, item_id)
        self._items[item_id] = item
        if item.wire["type"] == "function_call":
            self._calls.add(item.wire["call_id"])
        previous = self._order[position - 1] if position else None
        self._keep_bounds()
        return previous

    def before(self, item_id: str) -> str | None:
        """The id of the preceding item; None for the first item, and for one that was deleted."""
        position = self._order.index(item_id) if item_id in self._items else 0
        return self._order[position - 1] if position else None

    def remove(self, item_id: str) -> None:
        item = self._items.pop(item_id)
        self._order.remove(item_id)
        if item.wire["type"] == "function_call":
            self._calls.discard(item.wire["call_id"])

    def _keep_bounds(self) -> None:
        while len(self._order) > self._max_items:
            self.remove(self._order[0])
        excess = sum(item.audio_bytes for item in self._items.values()) - self._max_audio_bytes
        for item_id in self._order:
            if excess <= 0:
                return
            item = self._items[item_id]
            excess -= item.audio_bytes
            item.audio, item.audio_bytes = [], 0

    def check_new(self, wire: Any, after: Any) -> None:
        """Raise `RefusedError` unless a client may create this item after the item ``after`` (None: at the end)."""
        new_item(wire, "item")
        item_id = wire.get("id")
        if item_id is not None and item_id in self._items:
            raise RefusedError(
                "item_create_duplicate_item_id",
                f"Error adding item: an item with id '{item_id}' already exists in the conversation.",
                param="item.id",
            )
        if after is not None and after != "root" and after not in self._items:
            raise invalid("previous_item_id", f"Error adding item: the previous item with id '{after}' does not exist.")
        call_id = wire.get("call_id")
        if wire["type"] == "function_call_output" and not self.has_call(call_id):
            raise RefusedError(
                "invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.", param="item.call_id"
            )
        if wire["type"] == "function_call" and call_id is not None and self.has_call(call_id):
            raise invalid("item.call_id", f"Tool call ID '{call_id}' is already in the conversation.")
