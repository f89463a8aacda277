"""The faults that a connection can have: a test arms them for the next connections and observes its client.

`turngate.simulator.sickness` has what each of them does.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum

#: Faults that can be armed at one time.
MAX_ARMED = 1_000


class Fault(StrEnum):
    """A fault of one connection. "The first" is the first of the connection, or as many as
    ``TURNGATE_SIMULATOR_FAULT_TIMES`` says."""

    #: The upgrade is answered with this HTTP status; 429 with ``Retry-After: 1``.
    HTTP_302 = "http_302"
    HTTP_429 = "http_429"
    HTTP_503 = "http_503"
    #: The key is refused, whether valid or not: ``error``, then close 3000.
    REFUSE_KEY = "refuse_key"
    #: There is no credit: ``error`` with ``insufficient_quota``, then close 4000.
    INSUFFICIENT_QUOTA = "insufficient_quota"
    #: Close 1011 before ``session.created``.
    CLOSE_BEFORE_CREATED = "close_before_created"
    #: Close 1011 instead of the first ``session.updated``.
    CLOSE_BEFORE_UPDATED = "close_before_updated"
    #: Close 1001 after the first ``session.updated``.
    EARLY_1001 = "early_1001"
    #: Close 1011 after the first delta of the first response.
    CLOSE_IN_RESPONSE = "close_in_response"
    #: Abort the TCP connection after the first delta of the first response, without a close frame.
    ABORT_IN_RESPONSE = "abort_in_response"
    #: Nothing is sent.
    SILENT = "silent"
    #: ``session.created`` is sent, and nothing after it.
    SILENT_AFTER_CREATED = "silent_after_created"
    #: The first ``session.update`` is answered with a ``server_error`` and not applied.
    ERROR_UPDATE = "error_update"
    #: The first ``response.create`` is answered with a ``server_error`` and not carried out.
    ERROR_CREATE = "error_create"
    #: The first ``response.create`` is not carried out, and not answered.
    CREATE_UNANSWERED = "create_unanswered"
    #: The first ``response.create`` is refused because of another response, without naming the event.
    RACE_WITHOUT_EVENT_ID = "race_without_event_id"
    #: The first response is announced three seconds late.
    LATE_CREATED = "late_created"
    #: All events of the first response but its ``response.done``.
    DONE_MISSING = "done_missing"
    #: ``response.created`` of the first response, and nothing more of it.
    CREATED_THEN_SILENCE = "created_then_silence"
    #: The same, and no ``response.cancel`` is answered.
    CANCEL_UNANSWERED = "cancel_unanswered"
    #: Every ``response.done`` has a value of a wrong type, or is no JSON; another shape each time.
    DONE_UNREADABLE = "done_unreadable"
    #: The first response is ``incomplete``, with some output; a function call is cut off.
    INCOMPLETE_CONTENT_FILTER = "incomplete_content_filter"
    INCOMPLETE_MAX_OUTPUT_TOKENS = "incomplete_max_output_tokens"
    #: The same, with none.
    INCOMPLETE_WITHOUT_OUTPUT = "incomplete_without_output"
    #: The first response is ``failed``; the rate limits name a wait.
    FAILED_RATE_LIMIT = "failed_rate_limit"
    FAILED_INFERENCE_RATE_LIMIT = "failed_inference_rate_limit"
    FAILED_SERVER_ERROR = "failed_server_error"
    #: Responses have text only, whatever was asked for.
    TEXT_ONLY = "text_only"
    #: The same while the conversation has an assistant's message that the client has added.
    TEXT_AFTER_HISTORY = "text_after_history"
    #: The first response asks for an approval of an MCP call.
    MCP_APPROVAL_REQUEST = "mcp_approval_request"
    #: The end of the user's speech is not noticed before a commit.
    VAD_STUCK = "vad_stuck"
    #: The first function result is refused as too long.
    REFUSED_FUNCTION_RESULT = "refused_function_result"


class Faults:
    """The armed faults, in the order in which they were armed. Each new connection takes one."""

    def __init__(self, always: Fault | None = None, times: int = 1) -> None:
        """``always`` is the fault of connections for which none is armed; ``times`` is how many responses, requests or
        results of a connection a fault is about, 0 for all."""
        self._armed: deque[Fault] = deque()
        self._always = always
        self._usual_times = self.times = times

    def arm(self, fault: Fault, count: int) -> int:
        """Arm the fault for ``count`` more connections; returns the number of armed faults, at most `MAX_ARMED`."""
        self._armed.extend([fault] * min(count, MAX_ARMED - len(self._armed)))
        return len(self._armed)

    def disarm(self) -> None:
        """Forget the armed faults, and another `times` than the usual one."""
        self._armed.clear()
        self.times = self._usual_times

    def next(self) -> Fault | None:
        """The fault of the next connection."""
        return self._armed[0] if self._armed else self._always

    def take(self) -> Fault | None:
        """The same, for a new connection: the one after it gets another."""
        return self._armed.popleft() if self._armed else self._always

    def armed(self) -> list[str]:
        return [str(fault) for fault in self._armed]
