"""A client with a virtual clock. Every event that it receives is validated against the official SDK's models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pybase64

from tests.unit.turngate.simulator import sdk_models
from turngate.simulator.audio import FORMATS, encode
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import RealtimeSession

CITIES: Event = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK: Event = {"type": "function", "name": "get_time", "parameters": {"type": "object", "properties": {}}}


def text_item(text: str, **fields: Any) -> Event:
    """A user's message."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


def sound(ms: int, *, loud: bool = True, fmt: str = "audio/pcm", amplitude: int = 6_000) -> str:
    """Base64 audio: a tone, or silence if not ``loud``."""
    rate = FORMATS[fmt].rate
    time = np.arange(ms * rate // 1000) / rate
    wave = np.sin(2 * np.pi * 200 * time) * (amplitude if loud else 0)
    return pybase64.b64encode_as_string(encode(wave.astype(np.int16), FORMATS[fmt]))


class Client:
    """A client, connected from the start. It collects the received events in `events` and their times in `times`."""

    def __init__(self, behaviour: Behaviour | None = None, *, seed: int = 7) -> None:
        self.session = RealtimeSession(behaviour or Behaviour(), seed=seed)
        self.now = 1_000.0
        self.events: list[Event] = []
        self.times: list[float] = []
        self._take(self.session.connect(self.now))

    def send(self, kind: str, **fields: Any) -> list[Event]:
        """Send one event now; returns the events received immediately."""
        return self.frame({"type": kind, **fields})

    def frame(self, frame: Event | str | bytes) -> list[Event]:
        return self._take(self.session.receive(frame, self.now))

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass; returns the events received meanwhile."""
        until, came = self.now + seconds, []
        while (deadline := self.session.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            came += self._take(self.session.advance(self.now))
        self.now = until
        return came

    def until(self, kind: str) -> Event:
        """Let time pass until an event of this type arrives; returns it."""
        while (deadline := self.session.next_deadline()) is not None:
            self.now = deadline
            for event in self._take(self.session.advance(deadline)):
                if event["type"] == kind:
                    return event
        raise AssertionError(f"{kind} never came")

    def settle(self) -> list[Event]:
        """Let a minute pass, which is longer than any reply takes."""
        return self.wait(60)

    def configure(self, **session: Any) -> Event:
        """Update the session; returns the effective one."""
        (updated,) = self.send("session.update", session={"type": "realtime", **session})
        assert updated["type"] == "session.updated", updated
        session_object: Event = updated["session"]
        return session_object

    def say(self, text: str) -> str:
        """Add a user's message; returns its id."""
        added, _ = self.send("conversation.item.create", item=text_item(text))
        return str(added["item"]["id"])

    def ask(self, text: str, **response: Any) -> list[Event]:
        """Add a user's message, request a response, and wait until it has ended; returns the events of the response."""
        self.say(text)
        return [*self.send("response.create", response=response), *self.settle()]

    def hear(self, *stretches: str) -> list[Event]:
        """Send each piece of audio in one append; returns the events received immediately."""
        came: list[Event] = []
        for audio in stretches:
            came += self.send("input_audio_buffer.append", audio=audio)
        return came

    def _take(self, events: list[Event]) -> list[Event]:
        for event in events:
            self.events.append(sdk_models.validate(event))
            self.times.append(self.now)
        return events


def kinds(events: list[Event]) -> list[str]:
    """The event types, with consecutive deltas of one type collapsed."""
    folded: list[str] = []
    for event in events:
        if not (folded and folded[-1] == event["type"] and event["type"].endswith(".delta")):
            folded.append(event["type"])
    return folded


def only(events: list[Event], kind: str) -> Event:
    """The one event of this type."""
    (found,) = of(events, kind)
    return found


def of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def error(events: list[Event]) -> Event:
    """The error, which must be the only event."""
    assert [event["type"] for event in events] == ["error"], events
    found: Event = events[0]["error"]
    return found


def reply(events: list[Event]) -> str:
    """The text of the only response among these events."""
    done = only(events, "response.done")["response"]
    parts = [part for item in done["output"] for part in item.get("content", [])]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts)
