"""One output item of a response, from its first event to its last: a message or a function call.

The order of the events is the live service's. An item can be closed at any moment; whatever it has by then is what its
``done`` events show, with status ``incomplete``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from turngate.simulator import speech
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.calls import Call
from turngate.simulator.items import Item, Items
from turngate.simulator.response_options import ResponseOptions
from turngate.simulator.stage import Event, Stage

#: Characters in one delta of function call arguments.
_ARGUMENTS_DELTA = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Where an output item is sent, and of which response it is which."""

    stage: Stage
    behaviour: Behaviour
    #: None for an out-of-band response: nothing enters a conversation.
    items: Items | None
    response_id: str
    output_index: int


class OutputItem(ABC):
    """What messages and calls share: `open` it, send its `deltas`, `close` it."""

    def __init__(self, place: Place) -> None:
        self._stage = place.stage
        self._behaviour = place.behaviour
        self._items = place.items
        self.id = place.stage.new_id("item")
        self.item = Item({})
        self._place = {"response_id": place.response_id, "output_index": place.output_index}
        #: Milliseconds of audio sent so far, whatever a truncation leaves in the conversation.
        self.sent_ms = 0
        #: Tokens so far; a word or a delta of arguments counts as one.
        self.tokens = 0

    def open(self) -> None:
        """Send the events that begin the item."""
        wire = self.item.wire = self._wire("in_progress")
        self._stage.emit("response.output_item.added", **self._place, item=wire)
        if self._items is not None:
            previous = self._items.add(self.item)
            self._stage.emit("conversation.item.added", previous_item_id=previous, item=wire)

    @abstractmethod
    def deltas(self) -> Iterator[float]:
        """Send the content piece by piece; yields the seconds to wait before the next."""

    def close(self, status: str) -> Event:
        """Send the events that end the item; returns its final form."""
        wire = self._wire(status)
        self.item.finish(wire)
        if self._items is not None:
            previous = self._items.before(self.id)
            self._stage.emit("conversation.item.done", previous_item_id=previous, item=self.item.wire)
        self._stage.emit("response.output_item.done", **self._place, item=wire)
        return wire

    @abstractmethod
    def _wire(self, status: str) -> Event:
        """The item as it is now."""


class Message(OutputItem):
    """The assistant speaks or writes."""

    def __init__(self, place: Place, words: str, options: ResponseOptions) -> None:
        super().__init__(place)
        self._words = words
        self._speaks = options.speaks
        self._output = options.output
        self._said = ""
        self._content: list[Event] = []
        self._part = {**self._place, "item_id": self.id, "content_index": 0}

    def open(self) -> None:
        super().open()
        part = {"type": "audio", "transcript": ""} if self._speaks else {"type": "text", "text": ""}
        self._stage.emit("response.content_part.added", **self._part, part=part)

    def deltas(self) -> Iterator[float]:
        return self._spoken() if self._speaks else self._written()

    def _written(self) -> Iterator[float]:
        pause = self._behaviour.wait(self._behaviour.text_interval)
        for piece in speech.split(self._words, self._behaviour.words_per_delta):
            self._take(piece)
            self._stage.emit("response.output_text.delta", **self._part, delta=piece)
            yield pause

    def _spoken(self) -> Iterator[float]:
        form, voice = self._output["format"]["type"], self._output["voice"]
        name = voice if isinstance(voice, str) else str(voice["id"])
        ms = speech.syllable_ms(self._output["speed"])
        size = speech.syllable_bytes(form, ms)
        pause = self._behaviour.wait(ms / 1000 / self._behaviour.audio_speedup)
        for piece in speech.speak(self._words, form, name, ms, self._behaviour.words_per_delta):
            self._take(piece.text)
            self._stage.emit("response.output_audio_transcript.delta", **self._part, delta=piece.text)
            for audio in piece.audio:
                self.item.extend(audio, size, ms)
                self.sent_ms += ms
                self._stage.emit("response.output_audio.delta", **self._part, delta=audio)
                yield pause

    def _take(self, piece: str) -> None:
        self._said += piece
        self.tokens += len(piece.split())

    def close(self, status: str) -> Event:
        part: Event
        if self._speaks:
            self._stage.emit("response.output_audio.done", **self._part)
            self._stage.emit("response.output_audio_transcript.done", **self._part, transcript=self._said)
            part = {"type": "audio", "transcript": self._said}
            self._content = [{"type": "output_audio", "transcript": self._said}]
        else:
            self._stage.emit("response.output_text.done", **self._part, text=self._said)
            part = {"type": "text", "text": self._said}
            self._content = [{"type": "output_text", "text": self._said}]
        self._stage.emit("response.content_part.done", **self._part, part=part)
        return super().close(status)

    def _wire(self, status: str) -> Event:
        return {
            "id": self.id,
            "object": "realtime.item",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": self._content,
        }


class FunctionCall(OutputItem):
    """The model asks for a function."""

    def __init__(self, place: Place, call: Call) -> None:
        super().__init__(place)
        self._call = call
        self._arguments = ""
        self._call_id = place.stage.new_id("call")
        self._part: dict[str, Any] = {**self._place, "item_id": self.id, "call_id": self._call_id}

    def deltas(self) -> Iterator[float]:
        pause = self._behaviour.wait(self._behaviour.text_interval)
        whole = self._call.arguments
        for start in range(0, len(whole), _ARGUMENTS_DELTA):
            delta = whole[start : start + _ARGUMENTS_DELTA]
            self._arguments += delta
            self.tokens += 1
            self._stage.emit("response.function_call_arguments.delta", **self._part, delta=delta)
            yield pause

    def close(self, status: str) -> Event:
        self._stage.emit(
            "response.function_call_arguments.done", **self._part, name=self._call.name, arguments=self._arguments
        )
        return super().close(status)

    def _wire(self, status: str) -> Event:
        return {
            "id": self.id,
            "object": "realtime.item",
            "type": "function_call",
            "status": status,
            "name": self._call.name,
            "call_id": self._call_id,
            "arguments": self._arguments,
        }
