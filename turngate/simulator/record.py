"""The event record of a session, for tests: every event received and sent, and the state of the slot at that moment.

An entry shows the slot before its event took effect. Audio is replaced by its size. A ``session.update`` or a
``response.create`` that arrives while a response is active is also listed as a violation.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from turngate.simulator.frames import Event

_AUDIO_KEYS = {"input_audio_buffer.append": "audio", "response.output_audio.delta": "delta"}
_NEEDS_FREE_TURN = frozenset({"session.update", "response.create"})


class Slot(Protocol):
    """The state of a session that is stored with each entry."""

    @property
    def active_response(self) -> str | None:
        """The id of the response that holds the slot."""

    @property
    def out_of_band(self) -> list[str]:
        """The ids of the active out-of-band responses."""

    @property
    def user_speaking(self) -> bool:
        """Between ``speech_started`` and ``speech_stopped``."""

    def began_by_itself_at(self) -> float | None:
        """When the active response was accepted, if the server created it automatically; None otherwise."""


class Record:
    """A bounded list of entries. At the limit the oldest are dropped, and `dropped` counts them."""

    def __init__(self, entries: int, race_window: float) -> None:
        self.entries: deque[Event] = deque(maxlen=entries)
        self.violations: deque[Event] = deque(maxlen=entries or None)
        self.dropped = 0
        self._race_window = race_window

    def received(self, event: Event, slot: Slot, now: float) -> None:
        """Record a client event, before it is handled."""
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
        """Record an event sent to the client, before it takes effect."""
        self._add(event, slot, now, "sent")

    def wire(self) -> dict[str, Any]:
        """The record as JSON values."""
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
    """The type of the event; empty if a client sent a type that is not a string."""
    kind = event.get("type")
    return kind if isinstance(kind, str) else ""


def _size(audio: object) -> int:
    """The decoded size of base64 audio in bytes."""
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
