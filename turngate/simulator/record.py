"""The upstream's own account of a conversation, for judges: what came and went, and what held the slot at that moment.

Every entry shows the slot as it was before its event took effect. Audio is replaced by its size. What a client must
never do, ask for a response or change the configuration while a response is active, is listed apart.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from turngate.simulator.stage import Event

_AUDIO_KEYS = {"input_audio_buffer.append": "audio", "response.output_audio.delta": "delta"}
_NEEDS_FREE_TURN = frozenset({"session.update", "response.create"})


class Slot(Protocol):
    """What the record wants to know about the conversation."""

    @property
    def active_response(self) -> str | None:
        """The id of the response that holds the slot."""

    @property
    def out_of_band(self) -> list[str]:
        """The ids of the responses beside it."""

    @property
    def user_speaking(self) -> bool:
        """Between ``speech_started`` and ``speech_stopped``."""

    def began_by_itself_at(self) -> float | None:
        """When the server itself began the active response; None if a client asked for it or there is none."""


class Record:
    """A bounded list of entries; at the limit the oldest go, and `dropped` counts them."""

    def __init__(self, entries: int, race_window: float) -> None:
        self.entries: deque[Event] = deque(maxlen=entries)
        self.violations: deque[Event] = deque(maxlen=entries or None)
        self.dropped = 0
        self._race_window = race_window

    def received(self, event: Event, slot: Slot, now: float) -> None:
        """Note a client event before it is handled."""
        kind = _kind(event)
        if kind == "input_audio_buffer.append" and self.entries:
            last = self.entries[-1]
            if last["direction"] == "received" and last["event"].get("type") == kind:
                audio = event.get("audio")
                last["count"] = last.get("count", 1) + 1
                last["event"]["audio_bytes"] += _size(audio)
                return
        self._add(event, slot, now, "received")
        if kind in _NEEDS_FREE_TURN and slot.active_response is not None:
            self._judge(event, slot, now)

    def sent(self, event: Event, slot: Slot, now: float) -> None:
        """Note an event that goes to the client, before its effect."""
        self._add(event, slot, now, "sent")

    def wire(self) -> dict[str, Any]:
        """The whole record as JSON values."""
        return {"entries": list(self.entries), "violations": list(self.violations), "dropped": self.dropped}

    def _add(self, event: Event, slot: Slot, now: float, direction: str) -> None:
        if len(self.entries) == self.entries.maxlen:
            self.dropped += 1
        self.entries.append(
            {
                "at": now,
                "direction": direction,
                "event": _without_audio(event),
                "slot": {"active_response": slot.active_response, "out_of_band": slot.out_of_band},
                "user_speaking": slot.user_speaking,
            }
        )

    def _judge(self, event: Event, slot: Slot, now: float) -> None:
        request = event.get("response")
        if isinstance(request, dict) and request.get("conversation") == "none":
            return
        violation: Event = {
            "at": now,
            "type": event["type"],
            "event_id": event.get("event_id"),
            "active_response": slot.active_response,
        }
        began = slot.began_by_itself_at()
        if began is not None and now - began <= self._race_window:
            violation["race"] = "auto"
        self.violations.append(violation)


def _kind(event: Event) -> str:
    """The type, which in a client's event may be anything."""
    kind = event.get("type")
    return kind if isinstance(kind, str) else ""


def _size(audio: object) -> int:
    """Bytes of base64 audio, without decoding it."""
    return (len(audio) * 3 // 4 - audio[-2:].count("=")) if isinstance(audio, str) else 0


def _without_audio(event: Event) -> Event:
    key = _AUDIO_KEYS.get(_kind(event))
    if key is not None:
        shown = {name: value for name, value in event.items() if name != key}
        shown["audio_bytes"] = _size(event.get(key))
        return shown
    item = event.get("item")
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list) or not any(isinstance(part, dict) and part.get("audio") for part in content):
        return event
    parts = [_part_without_audio(part) if isinstance(part, dict) else part for part in content]
    return {**event, "item": {**item, "content": parts}} if isinstance(item, dict) else event


def _part_without_audio(part: Event) -> Event:
    if not part.get("audio"):
        return part
    return {**{name: value for name, value in part.items() if name != "audio"}, "audio_bytes": _size(part["audio"])}
