"""A conversation on a bench: one line per thing that happens, and what it puts out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import orjson

from gateway.conversation.conversation import Conversation, Effects, Ending
from gateway.conversation.counters import Counters
from gateway.conversation.limits import Limits
from gateway.conversation.traces import Tracing
from gateway.dialect import COMPONENT, Dialect
from tests.unit.schemas import accepted_by_clients, accepted_by_openai
from turngate.protocol.messages import AddItems, Configuration, RefuseRequest, ResponseRequest, SendRelease, Slot

RACE = "conversation_already_has_active_response"
SETTINGS: dict[str, Any] = {
    "type": "Settings",
    "audio": {"input": {"encoding": "linear16", "sample_rate": 24000}},
    "agent": {"think": {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Be kind."}},
}


@dataclass(slots=True)
class Out(Effects):
    """What the conversation put out, and the ending that came with it."""

    ending: Ending | None = None


class Bench:
    """A conversation, the time, and the last outputs, every part of which the official SDKs have accepted."""

    def __init__(
        self,
        dialect: Dialect = COMPONENT,
        limits: Limits | None = None,
        counters: Counters | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.now = 0.0
        self.conversation = Conversation(
            "session-0001", "gw", dialect, limits or Limits(), self.now, counters, tracing=tracing
        )
        self.out = Out()
        self._ended = False
        self._events = 0

    # --- the client

    def say(self, **message: Any) -> Out:
        return self.frame(orjson.dumps(message))

    def frame(self, data: bytes) -> Out:
        self.conversation.client_text(data, self.now)
        return self._drain()

    # --- the upstream

    def event(self, kind: str, **fields: Any) -> Out:
        self._events += 1
        self.conversation.upstream_event({"type": kind, "event_id": f"event_{self._events}", **fields}, self.now)
        return self._drain()

    def created(self, response_id: str, request_id: str | None = None, *, conversation: str | None = "conv") -> Out:
        return self.event("response.created", response=_response(response_id, "in_progress", request_id, conversation))

    def done(
        self,
        response_id: str,
        request_id: str | None = None,
        *,
        status: str = "completed",
        conversation: str | None = "conv",
    ) -> Out:
        return self.event("response.done", response=_response(response_id, status, request_id, conversation))

    def item(self, item_id: str, kind: str = "message", **fields: Any) -> Out:
        return self.event("conversation.item.added", item={"id": item_id, "type": kind, "role": "user", **fields})

    def error(self, code: str, about: str | None = None, **fields: Any) -> Out:
        error = {"type": "invalid_request_error", "code": code, "message": code, "event_id": about, **fields}
        return self.event("error", error=error)

    def call(self, response_id: str, call_id: str, name: str = "f") -> Out:
        item = {"id": f"fc_{call_id}", "type": "function_call", "status": "completed", "call_id": call_id, "name": name}
        return self.event("response.output_item.done", response_id=response_id, item={**item, "arguments": "{}"})

    def audio(self, response_id: str, item_id: str, ms: float) -> Out:
        """So much audio goes to the client, at once."""
        audio = self.conversation.agent_audio(response_id, item_id, bytes(int(ms * 48)), self.now)
        self.conversation.context.send_audio(audio or b"")
        return self._drain()

    # --- the translators

    @property
    def epoch(self) -> int:
        return self.conversation.epoch

    def translated(self, seq: int, *item_ids: str, notices: tuple[dict[str, Any], ...] = ()) -> Out:
        words = [{"type": "input_text", "text": "Hi"}]
        items = tuple({"id": item_id, "type": "message", "role": "user", "content": words} for item_id in item_ids)
        self.conversation.command(
            AddItems(session="s", epoch=self.epoch, seq=seq, items=items, notices=notices), self.now
        )
        return self._drain()

    def refused(self, seq: int, code: str = "INVALID_SETTINGS") -> Out:
        self.conversation.command(
            RefuseRequest(session="s", epoch=self.epoch, seq=seq, code=code, description="no"), self.now
        )
        return self._drain()

    def release(
        self,
        configures: tuple[int, ...] = (),
        responds: tuple[int, ...] = (),
        name: str = "r",
        append: str | None = None,
        exclusive: bool = False,
        interrupts: bool = False,
        traceparent: str | None = None,
        **session: Any,
    ) -> Out:
        self.conversation.command(
            SendRelease(
                session="s",
                epoch=self.epoch,
                release=name,
                configuration=Configuration(session=session, append_instructions=append) if configures else None,
                configures=configures,
                parts=tuple(Configuration(session=session | {"instructions": f"part {seq}"}) for seq in configures)
                if len(configures) > 1
                else (),
                response=ResponseRequest(exclusive=exclusive, interrupts=interrupts) if responds else None,
                responds=responds,
                traceparent=traceparent,
            ),
            self.now,
        )
        return self._drain()

    # --- time, and whole passages

    def wait(self, seconds: float) -> Out:
        self.now += seconds
        self.conversation.tick(self.now)
        return self._drain()

    def configured(self, **settings: Any) -> Bench:
        """Connected, with its first Settings (seq 1) applied."""
        self.event("session.created", session={})
        self.say(**{**SETTINGS, **settings})
        self.translated(1)
        self.release((1,))
        self.event("session.updated", session=effective())
        return self

    def asked(self, seq: int, text: str = "Hi") -> Bench:
        """A text turn, its item in the conversation."""
        self.say(type="InjectUserMessage", content=text)
        self.translated(seq, f"item_{seq}")
        self.item(f"item_{seq}")
        return self

    def requested(self, seq: int) -> str:
        """A text turn whose ``response.create`` is out; returns its event id."""
        self.asked(seq)
        return str(self.release(responds=(seq,)).to_upstream[-1]["event_id"])

    def restored(self) -> list[dict[str, Any]]:
        """Another connection is where the conversation is. Returns the items that were replayed."""
        (update,) = self.event("session.created", session={}).to_upstream
        assert update["type"] == "session.update"
        out = self.event("session.updated", session=effective(**update["session"]))
        items = [event["item"] for event in out.to_upstream if "item" in event]
        for item in items:
            self.event("conversation.item.added", item=item)
        assert self.slot is not Slot.RECONNECTING
        return items

    @property
    def slot(self) -> Slot:
        return self.conversation.context.turn.slot

    @property
    def open(self) -> list[dict[str, Any]]:
        """The messages of the open requests."""
        return [request.message for request in self.conversation.context.requests]

    def _drain(self) -> Out:
        out, ending = self.conversation.drain(), self.conversation.ending
        everything = {field.name: getattr(out, field.name) for field in fields(Effects)}
        self.out = Out(**everything, ending=None if self._ended else ending)
        self._ended = ending is not None
        for message in out.messages:
            accepted_by_clients(message)
        for event in out.to_upstream:
            accepted_by_openai(event)
        return self.out


def words(bench: Bench, response_id: str, item_id: str, text: str, ms: float) -> None:
    """The agent says this; so much of its audio has arrived."""
    delta = {"response_id": response_id, "item_id": item_id, "delta": text}
    bench.event("response.output_audio_transcript.delta", output_index=0, content_index=0, **delta)
    bench.audio(response_id, item_id, ms)


def failed(bench: Bench, response_id: str, create: str | None, code: str, message: str = "Failed.") -> Out:
    """The response has failed."""
    response = _response(response_id, "failed", create, "conv")
    error = {"type": code, "code": code, "message": message}
    return bench.event("response.done", response={**response, "status_details": {"type": "failed", "error": error}})


def committed(bench: Bench, item_id: str = "audio_1") -> None:
    """The user spoke, and the upstream's VAD has ended the turn."""
    bench.event("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
    bench.event("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=900)
    bench.event("input_audio_buffer.committed", item_id=item_id)


def called(*call_ids: str, limits: Limits | None = None) -> Bench:
    """A configured conversation whose last response asked for these functions."""
    bench = Bench(limits=limits).configured()
    bench.created("resp_1")
    for call_id in call_ids:
        bench.call("resp_1", call_id)
    bench.done("resp_1")
    return bench


def effective(**session: Any) -> dict[str, Any]:
    """A full effective configuration, as ``session.updated`` shows it."""
    detection = {"type": "server_vad", "create_response": True}
    return {"instructions": "Be kind.", "audio": {"input": {"turn_detection": detection}, "output": {}}, **session}


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


def _response(response_id: str, status: str, request_id: str | None, conversation: str | None) -> dict[str, Any]:
    metadata = {"turngate": request_id} if request_id is not None else None
    return {
        "id": response_id,
        "status": status,
        "metadata": metadata,
        "conversation_id": conversation,
        "output": [],
    }
