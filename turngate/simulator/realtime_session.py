"""One Realtime session on the server side, without sockets, clocks or tasks: events and the time in, events out.

The caller calls `connect` once, `receive` for each frame, and `advance` at `next_deadline`; each returns the events to
send, in order. When `closing` is set, close the connection with its code and reason; no more events follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from turngate.simulator import frames, session_config
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.errors import RefusedError, invalid, unsupported
from turngate.simulator.frames import Event
from turngate.simulator.input_audio import InputAudio
from turngate.simulator.items import Item, Items
from turngate.simulator.record import Record
from turngate.simulator.replies import ReplyPlan
from turngate.simulator.response_options import Origin
from turngate.simulator.response_stream import ResponseStream
from turngate.simulator.responses import Responses
from turngate.simulator.scheduler import Scheduler
from turngate.simulator.validation import Validator, anything, fields, integer, mapping, nullable, text

_ID = text(max_length=512)


def _event(*required: str, **known: Validator) -> Validator:
    return fields({"type": anything, "event_id": nullable(_ID), **known}, required=required)


_VALIDATORS = {
    "session.update": _event("session", session=mapping),
    "input_audio_buffer.append": _event("audio", audio=text()),
    "input_audio_buffer.commit": _event(),
    "input_audio_buffer.clear": _event(),
    "conversation.item.create": _event("item", item=mapping, previous_item_id=nullable(text())),
    "conversation.item.retrieve": _event("item_id", item_id=text()),
    "conversation.item.truncate": _event(
        "item_id", "content_index", "audio_end_ms", item_id=text(), content_index=integer(0), audio_end_ms=integer(0)
    ),
    "conversation.item.delete": _event("item_id", item_id=text()),
    "response.create": _event(response=nullable(mapping)),
    "response.cancel": _event(response_id=nullable(text())),
}
#: The supported client events, in the order in which the error for an unsupported one lists them.
CLIENT_EVENTS = tuple(_VALIDATORS)


class Close(NamedTuple):
    """How to close the connection."""

    code: int
    reason: str


class RealtimeSession:
    """One session. ``now`` is in seconds on any monotonic scale; the event record stores it unchanged."""

    def __init__(self, behaviour: Behaviour, *, seed: int, model: str = "gpt-realtime-2.1") -> None:
        self.closing: Close | None = None
        self.record = Record(behaviour.record_entries, behaviour.race_window)
        self._behaviour = behaviour
        self._scheduler = Scheduler(seed, self._sending)
        self.session_id = self._scheduler.new_id("sess")
        self._session = session_config.initial(self.session_id, model, 0)
        self._items = Items(behaviour.max_items, behaviour.max_audio_bytes)
        self._responses = Responses(
            self._scheduler, behaviour, self._items, self._scheduler.new_id("conv"), self._default_response_done
        )
        self._audio = InputAudio(
            self._scheduler,
            behaviour,
            self._items,
            self._responses,
            self._respond_by_itself,
            self._session["audio"]["input"],
        )
        self._handlers: dict[str, Callable[[Event], None]] = {
            "session.update": self._update_session,
            "input_audio_buffer.append": lambda event: self._audio.append(event["audio"]),
            "input_audio_buffer.commit": lambda event: self._audio.commit(),
            "input_audio_buffer.clear": lambda event: self._audio.clear(),
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.truncate": self._truncate_item,
            "conversation.item.delete": self._delete_item,
            "response.create": self._create_response,
            "response.cancel": lambda event: self._responses.cancel(event.get("response_id")),
        }

    @property
    def active_response(self) -> str | None:
        active = self._responses.active
        return active.id if active else None

    @property
    def out_of_band(self) -> list[str]:
        return list(self._responses.out_of_band)

    @property
    def user_speaking(self) -> bool:
        return self._audio.user_speaking

    def began_by_itself_at(self) -> float | None:
        active = self._responses.active
        return active.accepted_at if active and active.options.origin != "client" else None

    def sicken_replies(self, sicken: Callable[[ReplyPlan], ReplyPlan]) -> None:
        """Have this change what each reply is to be."""
        self._responses.sicken = sicken

    def connect(self, now: float) -> list[Event]:
        """Start the session; returns ``session.created``."""
        self._scheduler.run_until(now)
        self._session["expires_at"] = int(now + self._behaviour.session_seconds)
        self._scheduler.call_later(self._behaviour.session_seconds, self._expire)
        self._scheduler.emit("session.created", session=self._session)
        return self._scheduler.take()

    def receive(self, event: Event | str | bytes, now: float) -> list[Event]:
        """Process one frame: a text frame, its already parsed JSON object, or bytes for a binary frame.

        Actions due by ``now`` run first. An invalid frame is answered with one ``error`` event.
        """
        self._scheduler.run_until(now)
        if self.closing:
            return self._scheduler.take()
        event_id: str | None = None
        try:
            read = self._read(event, now)
            given = read.get("event_id")
            event_id = given if isinstance(given, str) else None
            kind = read.get("type")
            if kind is None:
                raise RefusedError("invalid_event", "The event has no 'type'.", param="type")
            if not isinstance(kind, str) or kind not in _VALIDATORS:
                raise unsupported("type", kind, CLIENT_EVENTS)
            _VALIDATORS[kind](read, "")
            self._handlers[kind](read)
        except RefusedError as refused:
            self._scheduler.emit("error", error=refused.body(event_id))
        return self._scheduler.take()

    def reject(self, event: Event, refused: RefusedError, now: float, *, named: bool = True) -> list[Event]:
        """Answer a client event with this error, which names it if ``named``, and ignore it otherwise: a fault of the
        connection."""
        self._scheduler.run_until(now)
        self.record.received(event, self, now)
        self._scheduler.emit("error", error=refused.body(event.get("event_id") if named else None))
        return self._scheduler.take()

    def advance(self, now: float) -> list[Event]:
        """Run the actions due by ``now``; returns the events they emitted."""
        self._scheduler.run_until(now)
        return self._scheduler.take()

    def next_deadline(self) -> float | None:
        """When to call `advance` next; None once the session is closing."""
        return None if self.closing else self._scheduler.next_deadline()

    def _read(self, frame: Event | str | bytes, now: float) -> Event:
        """Parse a frame and record it, also if it cannot be parsed."""
        try:
            event = frames.read(frame)
        except RefusedError as refused:
            self.record.received({"type": None, "unreadable": refused.code, "length": len(frame)}, self, now)
            raise
        self.record.received(event, self, now)
        return event

    def _sending(self, event: Event) -> None:
        self.record.sent(event, self, self._scheduler.now)

    def _expire(self) -> None:
        minutes = self._behaviour.session_seconds / 60
        reason = f"Your session hit the maximum duration of {minutes:g} minutes."
        if self._behaviour.session_end != "close":
            expired = RefusedError("session_expired", reason)
            self._scheduler.emit("error", error=expired.body(None))
        if self._behaviour.session_end != "error":
            self.closing = Close(1001, reason)
            self._scheduler.stop()

    def _update_session(self, event: Event) -> None:
        responses = self._responses
        self._session = session_config.updated(
            self._session,
            event["session"],
            voice_locked=responses.voice_locked,
            responding=responses.active is not None,
        )
        self._scheduler.emit("session.updated", session=self._session)
        self._audio.configure(self._session["audio"]["input"])

    def _create_item(self, event: Event) -> None:
        given, after = event["item"], event.get("previous_item_id")
        self._items.check_new(given, after)
        wire: Event = {**given, "id": given.get("id") or self._scheduler.new_id("item"), "object": "realtime.item"}
        wire["status"] = "completed"
        if wire["type"] == "function_call" and not wire.get("call_id"):
            wire["call_id"] = self._scheduler.new_id("call")
        item = Item.of(wire, self._audio.format.bytes_per_ms)
        previous = self._items.add(item, after=after)
        self._scheduler.emit("conversation.item.added", previous_item_id=previous, item=item.wire)
        self._scheduler.emit("conversation.item.done", previous_item_id=previous, item=item.wire)

    def _retrieve_item(self, event: Event) -> None:
        item = self._found(event, "retriev")
        self._scheduler.emit("conversation.item.retrieved", item=item.with_audio())

    def _truncate_item(self, event: Event) -> None:
        item = self._found(event, "truncat")
        end, index = event["audio_end_ms"], event["content_index"]
        if item.wire.get("role") != "assistant" or not (item.audio_ms or item.truncated):
            raise RefusedError("unsupported_content_type", "Only model output audio messages can be truncated")
        if index > 0:
            raise invalid("content_index", f"Content index {index} does not exist in item '{item.wire['id']}'.")
        if end > item.audio_ms:
            raise invalid("audio_end_ms", f"Audio content of {item.audio_ms}ms is already shorter than {end}ms")
        item.truncate(end)
        self._scheduler.emit(
            "conversation.item.truncated", item_id=item.wire["id"], content_index=index, audio_end_ms=end
        )

    def _delete_item(self, event: Event) -> None:
        item = self._found(event, "delet")
        self._items.remove(item.wire["id"])
        self._scheduler.emit("conversation.item.deleted", item_id=item.wire["id"])

    def _found(self, event: Event, doing: str) -> Item:
        item = self._items.get(event["item_id"])
        if item is None:
            raise RefusedError(
                f"item_{doing}e_invalid_item_id",
                f"Error {doing}ing item: the item with id '{event['item_id']}' does not exist.",
                param="item_id",
            )
        return item

    def _create_response(self, event: Event) -> None:
        self._responses.create(event.get("response") or {}, self._session)

    def _respond_by_itself(self, origin: Origin) -> None:
        try:
            self._responses.create({}, self._session, origin)
        except RefusedError as refused:
            if not self._behaviour.auto_create_fails_silently:
                self._scheduler.emit("error", error=refused.body(None))

    def _default_response_done(self, stream: ResponseStream) -> None:
        self._audio.start_idle(stream.audio_ms)
