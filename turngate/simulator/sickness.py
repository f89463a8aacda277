"""What a connection with a fault does: which of the client's events are lost or refused, what becomes of the server's
events, and of replies.

No I/O: `turngate.simulator.connection` calls it for each event.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import orjson

from turngate.simulator.calls import Call
from turngate.simulator.errors import RefusedError
from turngate.simulator.faults import Fault
from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import Close
from turngate.simulator.replies import ReplyPlan
from turngate.simulator.unreadable import SHAPES

_BROKEN = Close(1011, "internal error")
#: Seconds that ``response.created`` comes late.
_LATE = 3.0


def _failed(code: str, message: str) -> Callable[[ReplyPlan], ReplyPlan]:
    error = {"type": code, "code": code, "message": message}
    return lambda plan: replace(plan, outputs=(), ending="failed", error=error)


def _incomplete(reason: str, *, empty: bool = False) -> Callable[[ReplyPlan], ReplyPlan]:
    def change(plan: ReplyPlan) -> ReplyPlan:
        outputs = () if empty else (*plan.outputs[:-1], *map(_cut_off, plan.outputs[-1:]))
        return replace(plan, outputs=outputs, ending="incomplete", reason=reason)

    return change


def _cut_off(output: str | Call) -> str | Call:
    """The last output of a response that is cut off: of a function call, some of its arguments."""
    return output if isinstance(output, str) else replace(output, arguments=output.arguments[:-2])


#: What a reply becomes.
_REPLIES: dict[Fault, Callable[[ReplyPlan], ReplyPlan]] = {
    Fault.INCOMPLETE_CONTENT_FILTER: _incomplete("content_filter"),
    Fault.INCOMPLETE_MAX_OUTPUT_TOKENS: _incomplete("max_output_tokens"),
    Fault.INCOMPLETE_WITHOUT_OUTPUT: _incomplete("content_filter", empty=True),
    Fault.FAILED_RATE_LIMIT: _failed(
        "rate_limit_exceeded", "Rate limit reached for gpt-realtime on tokens per min. Please try again in 200ms."
    ),
    Fault.FAILED_INFERENCE_RATE_LIMIT: _failed(
        "inference_rate_limit_exceeded", "Too many requests. Please try again in 0.2s."
    ),
    Fault.FAILED_SERVER_ERROR: _failed("server_error", "The server had an error while processing your request."),
    Fault.LATE_CREATED: lambda plan: replace(plan, late=_LATE),
}
SERVER_ERROR = RefusedError(
    "server_error", "The server had an error while processing your request.", kind="server_error"
)
_RACE = RefusedError(
    "conversation_already_has_active_response", "Conversation already has an active response in progress."
)
_TOO_LONG = RefusedError("string_above_max_length", "Invalid 'item.output': string too long.", param="item.output")
#: The client's event that is refused, the error, and whether that names the event.
_REFUSED: dict[Fault, tuple[str, RefusedError, bool]] = {
    Fault.ERROR_UPDATE: ("session.update", SERVER_ERROR, True),
    Fault.ERROR_CREATE: ("response.create", SERVER_ERROR, True),
    Fault.RACE_WITHOUT_EVENT_ID: ("response.create", _RACE, False),
    Fault.REFUSED_FUNCTION_RESULT: ("conversation.item.create", _TOO_LONG, True),
}
#: Faults in which events of a response are lost.
_LOSING = {Fault.DONE_MISSING, Fault.CREATED_THEN_SILENCE, Fault.CANCEL_UNANSWERED}
_CLOSES_AFTER = {
    Fault.CLOSE_IN_RESPONSE: ".delta",
    Fault.ABORT_IN_RESPONSE: ".delta",
    Fault.EARLY_1001: "session.updated",
}
_CLOSES_BEFORE = {Fault.CLOSE_BEFORE_CREATED: "session.created", Fault.CLOSE_BEFORE_UPDATED: "session.updated"}


class Sickness:
    """The fault of one connection. Without one it has no effect."""

    def __init__(self, fault: Fault | None, times: int = 1) -> None:
        """``times``: how many replies, requests or results it is about, from the first on; 0 for all."""
        self.fault = fault
        self._times = times or sys.maxsize
        self._replies = 0
        #: Client events that were lost or refused.
        self._refused = 0
        #: The response of which events are lost, until its end.
        self._response: str | None = None
        #: Responses of which events are lost, or that end in another way.
        self._responses = 0
        self._user_speaks = False
        #: The assistant's messages that the client has added.
        self._history: set[str] = set()

    @property
    def aborts(self) -> bool:
        """Whether to end the connection without a close frame."""
        return self.fault is Fault.ABORT_IN_RESPONSE

    def reply(self, plan: ReplyPlan) -> ReplyPlan:
        """What a reply becomes."""
        self._replies += 1
        if self.fault is Fault.TEXT_ONLY or self._history:
            return replace(plan, text_only=True)
        change = _REPLIES.get(self.fault) if self.fault is not None and self._replies <= self._times else None
        return plan if change is None else change(plan)

    def loses(self, event: Event) -> bool:
        """Whether the server never gets this event of the client."""
        kind = event.get("type")
        match self.fault:
            case Fault.CREATE_UNANSWERED if kind == "response.create" and self._refused < self._times:
                self._refused += 1
                return True
            case Fault.CANCEL_UNANSWERED:
                return kind == "response.cancel"
            case Fault.TEXT_AFTER_HISTORY if kind == "conversation.item.create":
                if event["item"].get("role") == "assistant":
                    self._history.add(event["item"]["id"])
            case Fault.TEXT_AFTER_HISTORY if kind == "conversation.item.delete":
                self._history.discard(event["item_id"])
            case Fault.VAD_STUCK:
                return kind == "input_audio_buffer.append" and self._user_speaks
        return False

    def refuses(self, event: Event) -> tuple[RefusedError, bool] | None:
        """The error with which to answer this event of the client, and whether it names the event."""
        if self.fault is None or self._refused >= self._times or (refused := _REFUSED.get(self.fault)) is None:
            return None
        kind, error, named = refused
        item = event.get("item")
        if event.get("type") != kind or (item and item.get("type") != "function_call_output"):
            return None
        self._refused += 1
        return error, named

    def frames(self, event: Event) -> Iterator[bytes | Close]:
        """What is sent for this event of the server: frames, and how the connection is closed then."""
        kind = str(event["type"])
        self._note(kind)
        if self.fault is not None and kind == _CLOSES_BEFORE.get(self.fault):
            yield _BROKEN
            return
        if self._drops(event, kind):
            return
        if self.fault is Fault.DONE_UNREADABLE and kind == "response.done":
            yield SHAPES[self._responses % len(SHAPES)](event)
            self._responses += 1
            return
        if self.fault is Fault.MCP_APPROVAL_REQUEST and kind == "response.done" and self._responses < self._times:
            self._responses += 1
            yield orjson.dumps(_approval(event))
        yield orjson.dumps(event)
        if self.fault is not None and kind.endswith(_CLOSES_AFTER.get(self.fault, "?")):
            yield Close(1001, "going away") if self.fault is Fault.EARLY_1001 else _BROKEN

    def _note(self, kind: str) -> None:
        if kind == "input_audio_buffer.speech_started":
            self._user_speaks = True
        elif kind == "input_audio_buffer.committed":
            self._user_speaks = False

    def _drops(self, event: Event, kind: str) -> bool:
        if self.fault is Fault.SILENT or (self.fault is Fault.SILENT_AFTER_CREATED and kind != "session.created"):
            return True
        if self.fault not in _LOSING:
            return False
        if kind == "response.created" and self._response is None and self._responses < self._times:
            self._responses += 1
            self._response = event["response"]["id"]
            return False
        if kind == "response.done" and event["response"]["id"] == self._response:
            self._response = None
            return True
        if self._response is None or self.fault is Fault.DONE_MISSING:
            return False
        of_it = event.get("response_id") == self._response
        return of_it or (kind.startswith("conversation.item.") and event.get("item", {}).get("role") == "assistant")


def _approval(done: Event) -> Event:
    item = {
        "id": "mcpr_1",
        "object": "realtime.item",
        "type": "mcp_approval_request",
        "server_label": "files",
        "name": "read",
        "arguments": "{}",
    }
    return {
        "type": "response.output_item.done",
        "event_id": f"{done['event_id']}_mcp",
        "response_id": done["response"]["id"],
        "output_index": len(done["response"]["output"]),
        "item": item,
    }
