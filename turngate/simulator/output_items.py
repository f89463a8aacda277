"""One output item of a response, a message or a function call, and the events that it emits.

The order of the events is the live service's. An item can be closed at any time; its ``done`` events then contain what
was produced until then, with status ``incomplete``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from turngate.simulator import speech
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.calls import Call
from turngate.simulator.frames import Event
from turngate.simulator.items import Item, Items
from turngate.simulator.response_options import ResponseOptions
from turngate.simulator.scheduler import Scheduler

#: Characters in one delta of function call arguments.
_ARGUMENTS_DELTA = 12


@dataclass(frozen=True, slots=True)
class OutputContext:
    """What an output item needs to know about its response and session."""

    scheduler: Scheduler
    behaviour: Behaviour
    #: None for an out-of-band response, whose items are not added to the conversation.
    items: Items | None
    response_id: str
    output_index: int


class OutputItem(ABC):
    """Base of messages and function calls. Call `open`, iterate `deltas`, call `close`."""

    def __init__(self, context: OutputContext) -> None:
        self._scheduler = context.scheduler
        self._behaviour = context.behaviour
        self._items = context.items
        self.id = context.scheduler.new_id("item")
        self.item = Item({})
        self._position_fields = {"response_id": context.response_id, "output_index": context.output_index}
        #: Milliseconds of audio sent so far; a truncation does not reduce it.
        self.sent_ms = 0
        #: Tokens so far; a word or a delta of arguments counts as one.
        self.tokens = 0

    def open(self) -> None:
        """Emit the events that start the item."""
        wire = self.item.wire = self._wire("in_progress")
        self._scheduler.emit("response.output_item.added", **self._position_fields, item=wire)
        if self._items is not None:
            previous = self._items.add(self.item)
            self._scheduler.emit("conversation.item.added", previous_item_id=previous, item=wire)

    @abstractmethod
    def deltas(self) -> Iterator[float]:
        """Emit the content piece by piece; yields the seconds to wait before the next piece."""

    def close(self, status: str) -> Event:
        """Emit the events that end the item; returns its final JSON form."""
        wire = self._wire(status)
        self.item.finish(wire)
        if self._items is not None:
            previous = self._items.before(self.id)
            self._scheduler.emit("conversation.item.done", previous_item_id=previous, item=self.item.wire)
        self._scheduler.emit("response.output_item.done", **self._position_fields, item=wire)
        return wire

    @abstractmethod
    def _wire(self, status: str) -> Event:
        """The JSON form of the item in its current state."""


class Message(OutputItem):
    """A message of the assistant, as audio or text."""

    def __init__(self, context: OutputContext, words: str, options: ResponseOptions) -> None:
        super().__init__(context)
        self._words = words
        self._speaks = options.speaks
        self._output = options.output
        self._said = ""
        self._content: list[Event] = []
        self._part = {**self._position_fields, "item_id": self.id, "content_index": 0}

    def open(self) -> None:
        super().open()
        part = {"type": "audio", "transcript": ""} if self._speaks else {"type": "text", "text": ""}
        self._scheduler.emit("response.content_part.added", **self._part, part=part)

    def deltas(self) -> Iterator[float]:
        return self._spoken() if self._speaks else self._written()

    def _written(self) -> Iterator[float]:
        pause = self._behaviour.wait(self._behaviour.text_interval)
        for piece in speech.split(self._words, self._behaviour.words_per_delta):
            self._take(piece)
            self._scheduler.emit("response.output_text.delta", **self._part, delta=piece)
            yield pause

    def _spoken(self) -> Iterator[float]:
        fmt, voice = self._output["format"]["type"], self._output["voice"]
        name = voice if isinstance(voice, str) else str(voice["id"])
        ms = speech.syllable_ms(self._output["speed"])
        size = speech.syllable_bytes(fmt, ms)
        pause = self._behaviour.wait(ms / 1000 / self._behaviour.audio_speedup)
        for piece in speech.speak(self._words, fmt, name, ms, self._behaviour.words_per_delta):
            self._take(piece.text)
            self._scheduler.emit("response.output_audio_transcript.delta", **self._part, delta=piece.text)
            for audio in piece.audio:
                self.item.extend(audio, size, ms)
                self.sent_ms += ms
                self._scheduler.emit("response.output_audio.delta", **self._part, delta=audio)
                yield pause

    def _take(self, piece: str) -> None:
        self._said += piece
        self.tokens += len(piece.split())

    def close(self, status: str) -> Event:
        part: Event
        if self._speaks:
            self._scheduler.emit("response.output_audio.done", **self._part)
            self._scheduler.emit("response.output_audio_transcript.done", **self._part, transcript=self._said)
            part = {"type": "audio", "transcript": self._said}
            self._content = [{"type": "output_audio", "transcript": self._said}]
        else:
            self._scheduler.emit("response.output_text.done", **self._part, text=self._said)
            part = {"type": "text", "text": self._said}
            self._content = [{"type": "output_text", "text": self._said}]
        self._scheduler.emit("response.content_part.done", **self._part, part=part)
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
    """A function call of the model."""

    def __init__(self, context: OutputContext, call: Call) -> None:
        super().__init__(context)
        self._call = call
        self._arguments = ""
        self._call_id = context.scheduler.new_id("call")
        self._part: dict[str, Any] = {**self._position_fields, "item_id": self.id, "call_id": self._call_id}

    def deltas(self) -> Iterator[float]:
        pause = self._behaviour.wait(self._behaviour.text_interval)
        whole = self._call.arguments
        for start in range(0, len(whole), _ARGUMENTS_DELTA):
            delta = whole[start : start + _ARGUMENTS_DELTA]
            self._arguments += delta
            self.tokens += 1
            self._scheduler.emit("response.function_call_arguments.delta", **self._part, delta=delta)
            yield pause

    def close(self, status: str) -> Event:
        self._scheduler.emit(
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
