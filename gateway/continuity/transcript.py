"""The transcript: the conversation's items as they were, to be replayed on another connection to the upstream.

Rules of this module
1. What the user said is kept as text; a spoken turn as its audio until its transcript has arrived.
2. What the agent said is kept as far as it was heard.
3. A function call is kept with its output; both are dropped together.
4. Items are in the order in which they were sent or announced, and keep their ids.
5. The transcript is bounded in number and in bytes. The oldest items are dropped first, but never what the client's
   ``Settings`` has put there, and never a call that is not answered yet.

What a new session accepts is described with sources in OpenAI's guide to conversations
(https://platform.openai.com/docs/guides/realtime-conversations): an assistant's message as ``output_text`` alone, and a
call before its output.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import pybase64

#: The id of the message that stands for all that was said.
HISTORY = "history"
_SPEAKERS = {"user": "User", "assistant": "You", "system": "System"}
_RENEWED = "The line was renewed. This is what was said before:"
_GO_ON = "Go on with this conversation by voice, in the same language, and do not greet again."
#: Rough size of an item without its text, in bytes.
_ITEM_BYTES = 128


@dataclass(slots=True)
class _Given:
    """An item that the gateway sent."""

    id: str
    given: dict[str, Any]
    #: Never dropped.
    kept: bool
    #: Its place in the order of all.
    place: int = 0

    @property
    def size(self) -> int:
        """Roughly, in bytes."""
        parts = self.given.get("content") or ()
        texts = [*(part.get("text") or "" for part in parts), self.given.get("output") or ""]
        return _ITEM_BYTES + sum(map(len, texts)) + len(self.given.get("arguments") or "")

    def item(self) -> dict[str, Any] | None:
        """The item to create; None if there is nothing to replay."""
        return self.given


@dataclass(slots=True)
class _Turn:
    """What the user said aloud."""

    id: str
    audio: bytes
    text: str = ""
    place: int = 0

    @property
    def size(self) -> int:
        return _ITEM_BYTES + len(self.text)

    def item(self) -> dict[str, Any] | None:
        if self.text:
            return _message(self.id, "user", {"type": "input_text", "text": self.text})
        if self.audio:
            audio = pybase64.b64encode_as_string(self.audio)
            return _message(self.id, "user", {"type": "input_audio", "audio": audio})
        return None


@dataclass(slots=True)
class _Reply:
    """What the agent said, as far as it was heard."""

    id: str
    response: str
    text: str = ""
    #: The text does not grow any more.
    final: bool = False
    place: int = 0

    @property
    def size(self) -> int:
        return _ITEM_BYTES + len(self.text)

    def item(self) -> dict[str, Any] | None:
        text = self.text.strip()
        return _message(self.id, "assistant", {"type": "output_text", "text": text}) if text else None


_Entry: TypeAlias = _Given | _Turn | _Reply


def _message(item_id: str, role: str, part: dict[str, Any]) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "content": [part]}


def _call_of(entry: _Entry) -> str | None:
    """The id of the call that this is, or is the output of."""
    return entry.given.get("call_id") if isinstance(entry, _Given) else None


class Transcript:
    """The items of one conversation. ``items`` and ``limit_bytes`` bound it; ``audio_bytes`` bounds the audio of turns
    that have no transcript yet."""

    def __init__(self, items: int, limit_bytes: int, audio_bytes: int) -> None:
        self._items_max = items
        self._bytes_max = limit_bytes
        self._audio_max = audio_bytes
        self._entries: dict[str, _Entry] = {}
        #: The calls of the conversation, and whether each was answered.
        self._calls: dict[str, bool] = {}
        self._bytes = 0
        self._audio = 0
        self._places = 0
        #: The ids of entries that have changed since `changed` was called last; None if nobody asks.
        self._changed: set[str] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def held_bytes(self) -> int:
        """What it holds, roughly."""
        return self._bytes + self._audio

    def items(self) -> Iterator[dict[str, Any]]:
        """The items to create, in order."""
        return (item for entry in self._entries.values() if (item := entry.item()) is not None)

    # --- its journal

    def journal(self) -> None:
        """Keep account of what changes, for `changed`."""
        self._changed = set()

    def changed(self, *, everything: bool, audio: bool) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The entries that have changed since the last call (or ``everything``), by id, for `take_up`; and the ids of
        those that are gone. ``audio``: with the audio of turns that have no text."""
        changed = self._changed or set()
        named = list(self._entries) if everything else [name for name in changed if name in self._entries]
        gone = [] if everything else [name for name in changed if name not in self._entries]
        changed.clear()
        return {name: self._journaled(self._entries[name], audio=audio) for name in named}, gone

    def take_up(self, entries: Iterable[dict[str, Any]]) -> None:
        """Have the entries that another transcript has returned as changed, and nothing else before."""
        for journaled in sorted(entries, key=itemgetter("place")):
            name, text = journaled["id"], journaled.get("text", "")
            match journaled["kind"]:
                case "given":
                    self.sent(journaled["item"], kept=journaled["kept"])
                case "turn":
                    self.turn(name, pybase64.b64decode(journaled.get("audio", "")))
                    self.transcribed(name, text)
                case _:
                    self.said(journaled["response"], name, text, complete=journaled["final"])

    @staticmethod
    def _journaled(entry: _Entry, *, audio: bool) -> dict[str, Any]:
        journaled: dict[str, Any] = {"id": entry.id, "place": entry.place}
        if isinstance(entry, _Given):
            return journaled | {"kind": "given", "item": entry.given, "kept": entry.kept}
        if isinstance(entry, _Reply):
            return journaled | {
                "kind": "reply",
                "response": entry.response,
                "text": entry.text,
                "final": entry.final,
            }
        journaled |= {"kind": "turn", "text": entry.text}
        if audio and entry.audio:
            journaled["audio"] = pybase64.b64encode_as_string(entry.audio)
        return journaled

    def _touched(self, item_id: str) -> None:
        if self._changed is not None:
            self._changed.add(item_id)

    # --- its items

    def calls(self) -> Iterator[dict[str, Any]]:
        """The function calls, answered or not."""
        return (item for item in self.items() if item["type"] == "function_call")

    def place_of(self, item_id: str) -> tuple[str, dict[str, Any] | None]:
        """The id of the item before this one, ``"root"`` for the first, and this item; None if it is not replayed."""
        before = "root"
        for item in self.items():
            if item["id"] == item_id:
                return before, item
            before = item["id"]
        return before, None

    def as_message(self, kept: Container[str]) -> list[dict[str, Any]]:
        """The items to create, with everything that was said up to the agent's last words in one message, but for the
        items in ``kept``: for an upstream that answers in text once an assistant's message was added."""
        items = list(self.items())
        spoken = [place for place, item in enumerate(items) if item.get("role") == "assistant"]
        if not spoken:
            return items
        folded = [
            item
            for item in items[: spoken[-1] + 1]
            if item["type"] == "message" and "text" in item["content"][0] and item["id"] not in kept
        ]
        said = "\n".join(f"{_SPEAKERS[item['role']]}: {item['content'][0]['text']}" for item in folded)
        there = {item["id"] for item in folded}
        history = _message(HISTORY, "user", {"type": "input_text", "text": f"{_RENEWED}\n\n{said}\n\n{_GO_ON}"})
        return [history, *(item for item in items if item["id"] not in there)]

    # --- what is sent

    def sent(self, item: dict[str, Any], *, kept: bool = False) -> None:
        """The gateway sends this item, which has an ``id``; ``kept`` if it is never dropped."""
        kind, call_id = item["type"], str(item.get("call_id"))
        if kind == "function_call_output":
            if call_id in self._calls:
                self._calls[call_id] = True
        elif kind == "function_call":
            self._calls[call_id] = False
        self._add(_Given(item["id"], item, kept))

    def called(self, call_id: str, name: str, arguments: str) -> None:
        """The model calls a function."""
        call = {"id": call_id, "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
        if call_id not in self._calls:
            self.sent(call)

    def has_call(self, call_id: str) -> bool:
        """Whether this call is in the transcript."""
        return call_id in self._calls

    def refused(self, item_id: str) -> None:
        """The upstream has refused this item: it is not part of the conversation."""
        entry = self._remove(item_id)
        if isinstance(entry, _Given) and entry.given.get("call_id") in self._calls:
            # An output that is refused leaves its call open; without a call there is none.
            if entry.given["type"] == "function_call_output":
                self._calls[entry.given["call_id"]] = False
            else:
                del self._calls[entry.given["call_id"]]

    # --- what the user says

    def turn(self, item_id: str, audio: bytes) -> None:
        """The user's turn was committed: its audio, in the session's input format."""
        self._add(_Turn(item_id, audio))
        self._audio += len(audio)
        for entry in self._entries.values():
            if self._audio <= self._audio_max:
                return
            if isinstance(entry, _Turn):
                self._forget_audio(entry)

    def transcribed(self, item_id: str, text: str) -> None:
        """The text of the user's turn has arrived."""
        entry = self._entries.get(item_id)
        if isinstance(entry, _Turn) and text.strip():
            self._forget_audio(entry)
            entry.text = text.strip()
            self._touched(item_id)
            self._grown(len(entry.text))

    # --- what the agent says

    def said(self, response_id: str, item_id: str, text: str, *, complete: bool = False) -> None:
        """More text of the agent's message; with ``complete``, the whole of it."""
        entry = self._entries.get(item_id)
        if entry is None:
            entry = _Reply(item_id, response_id)
            self._add(entry)
        if isinstance(entry, _Reply) and not entry.final:
            before = len(entry.text)
            entry.text = text if complete else entry.text + text
            entry.final = complete
            self._touched(item_id)
            self._grown(len(entry.text) - before)

    def cut(self, item_id: str, heard: str) -> None:
        """Of this message only so much was heard; nothing, if ``heard`` is empty."""
        entry = self._entries.get(item_id)
        if isinstance(entry, _Reply):
            self._touched(item_id)
            self._grown(len(heard) - len(entry.text))
            entry.text, entry.final = heard, True

    def messages_of(self, response_id: str) -> list[str]:
        """The ids of this response's messages."""
        return [
            entry.id for entry in self._entries.values() if isinstance(entry, _Reply) and entry.response == response_id
        ]

    def text_of(self, item_id: str) -> str:
        """The text of the agent's message so far."""
        entry = self._entries.get(item_id)
        return entry.text if isinstance(entry, _Reply) else ""

    # --- its bounds

    def _add(self, entry: _Entry) -> None:
        if entry.id in self._entries:
            self._remove(entry.id)
        self._places += 1
        entry.place = self._places
        self._entries[entry.id] = entry
        self._touched(entry.id)
        self._grown(entry.size)

    def _grown(self, size: int) -> None:
        self._bytes += size
        if len(self._entries) <= self._items_max and self._bytes <= self._bytes_max:
            return
        newest = next(reversed(self._entries.values()))
        for entry in list(self._entries.values()):
            if len(self._entries) <= self._items_max and self._bytes <= self._bytes_max:
                return
            call_id = _call_of(entry)
            open_call = call_id is not None and not self._calls.get(call_id, True)
            newest_call = call_id is not None and call_id == _call_of(newest)
            kept = isinstance(entry, _Given) and entry.kept
            if not (entry is newest or kept or open_call or newest_call):
                self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        """Remove it; a call and its output go together."""
        self._remove(entry.id)
        call_id = _call_of(entry)
        if call_id is not None:
            self._calls.pop(call_id, None)
            for other in [other for other in self._entries.values() if _call_of(other) == call_id]:
                self._remove(other.id)

    def _remove(self, item_id: str) -> _Entry | None:
        entry = self._entries.pop(item_id, None)
        if entry is not None:
            self._touched(item_id)
            if isinstance(entry, _Turn):
                self._forget_audio(entry)
            self._bytes -= entry.size
        return entry

    def _forget_audio(self, turn: _Turn) -> None:
        self._audio -= len(turn.audio)
        turn.audio = b""
