"""Fault injection: a test arms a fault for the next connections and observes how its client handles it."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import Close

#: Faults that can be armed at one time.
MAX_ARMED = 1_000


class Fault(StrEnum):
    """A fault of one connection."""

    #: The handshake is answered with HTTP 503.
    HTTP_503 = "http_503"
    #: The key is refused, whether valid or not: ``error``, then close 3000.
    REFUSE_KEY = "refuse_key"
    #: Close 1011 before ``session.created``.
    CLOSE_BEFORE_CREATED = "close_before_created"
    #: Close 1011 instead of the first ``session.updated``.
    CLOSE_BEFORE_UPDATED = "close_before_updated"
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
    #: The first default-conversation ``response.create`` is answered with a ``server_error`` and not carried out.
    ERROR_CREATE = "error_create"


_BROKEN = Close(1011, "internal error")
_ANSWERED_WITH_ERROR = {Fault.ERROR_UPDATE: "session.update", Fault.ERROR_CREATE: "response.create"}


class Faults:
    """The armed faults, in the order in which they were armed. Each new connection takes one."""

    def __init__(self) -> None:
        self._armed: deque[Fault] = deque()

    def arm(self, fault: Fault, count: int) -> int:
        """Arm the fault for ``count`` more connections; returns the number of armed faults, at most `MAX_ARMED`."""
        self._armed.extend([fault] * min(count, MAX_ARMED - len(self._armed)))
        return len(self._armed)

    def disarm(self) -> None:
        self._armed.clear()

    def take(self) -> FaultInjector:
        """Take the next fault, for a new connection."""
        return FaultInjector(self._armed.popleft() if self._armed else None)

    def take_503(self) -> bool:
        """Take the next fault if it is `Fault.HTTP_503`; returns whether it was."""
        if not self._armed or self._armed[0] is not Fault.HTTP_503:
            return False
        self._armed.popleft()
        return True

    def armed(self) -> list[str]:
        return [str(fault) for fault in self._armed]


class FaultInjector:
    """Applies a fault to one connection, which calls it for each event. Without a fault it has no effect."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault

    def refuses(self, event: Event) -> bool:
        """Whether to answer this client event with a ``server_error``. True only for the first event of that type."""
        if self.fault is None or event.get("type") != _ANSWERED_WITH_ERROR.get(self.fault, ""):
            return False
        self.fault = None
        return True

    def close_before(self, event: Event) -> Close | None:
        """How to close the connection instead of sending this event; None to send it."""
        match self.fault, event["type"]:
            case Fault.CLOSE_BEFORE_CREATED, "session.created":
                return _BROKEN
            case Fault.CLOSE_BEFORE_UPDATED, "session.updated":
                return _BROKEN
            case _:
                return None

    def close_after(self, event: Event) -> Close | None:
        """How to close the connection after sending this event; None to continue."""
        in_response = self.fault in (Fault.CLOSE_IN_RESPONSE, Fault.ABORT_IN_RESPONSE)
        return _BROKEN if in_response and str(event["type"]).endswith(".delta") else None

    def drops(self, event: Event) -> bool:
        """Whether to drop this event instead of sending it."""
        if self.fault is Fault.SILENT_AFTER_CREATED:
            return bool(event["type"] != "session.created")
        return self.fault is Fault.SILENT

    @property
    def aborts(self) -> bool:
        """Whether to end the connection without a close frame."""
        return self.fault is Fault.ABORT_IN_RESPONSE
