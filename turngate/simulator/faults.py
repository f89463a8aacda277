"""Misbehaviour on order: tests arm a fault for the next connections and see what their client makes of it."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from turngate.simulator.conversation import Close
from turngate.simulator.stage import Event

#: Connections that can be armed at one time.
MOST_ARMED = 1_000


class Fault(StrEnum):
    """What goes wrong with a connection."""

    #: The handshake is answered with HTTP 503.
    HTTP_503 = "http_503"
    #: The key is refused, whatever it is: ``error``, then close 3000.
    REFUSE_KEY = "refuse_key"
    #: Close 1011 before ``session.created``.
    CLOSE_BEFORE_CREATED = "close_before_created"
    #: Close 1011 instead of the first ``session.updated``.
    CLOSE_BEFORE_UPDATED = "close_before_updated"
    #: Close 1011 in the middle of the first response, after its first delta.
    CLOSE_IN_RESPONSE = "close_in_response"
    #: The TCP connection breaks there, without a close frame.
    ABORT_IN_RESPONSE = "abort_in_response"
    #: Nothing is ever sent.
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
    """The faults that wait for a connection, in the order in which they were armed."""

    def __init__(self) -> None:
        self._armed: deque[Fault] = deque()

    def arm(self, fault: Fault, count: int) -> int:
        """Arm the next ``count`` connections that have none yet; returns how many wait now, at most `MOST_ARMED`."""
        self._armed.extend([fault] * min(count, MOST_ARMED - len(self._armed)))
        return len(self._armed)

    def disarm(self) -> None:
        self._armed.clear()

    def take(self) -> Sabotage:
        """The fault of a connection that begins now."""
        return Sabotage(self._armed.popleft() if self._armed else None)

    def take_503(self) -> bool:
        """Whether the connection that begins now is to be refused by HTTP; takes the fault if so."""
        if not self._armed or self._armed[0] is not Fault.HTTP_503:
            return False
        self._armed.popleft()
        return True

    def armed(self) -> list[str]:
        return [str(fault) for fault in self._armed]


class Sabotage:
    """What goes wrong on one connection. The shell asks it at each point; without a fault it lets everything pass."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault

    def refuses(self, event: Event) -> bool:
        """Whether this client event is to be answered with a ``server_error``; only the first of its kind is."""
        if self.fault is None or event.get("type") != _ANSWERED_WITH_ERROR.get(self.fault, ""):
            return False
        self.fault = None
        return True

    def before(self, event: Event) -> Close | None:
        """How the connection ends instead of sending this event."""
        match self.fault, event["type"]:
            case Fault.CLOSE_BEFORE_CREATED, "session.created":
                return _BROKEN
            case Fault.CLOSE_BEFORE_UPDATED, "session.updated":
                return _BROKEN
            case _:
                return None

    def after(self, event: Event) -> Close | None:
        """How the connection ends once this event was sent."""
        in_response = self.fault in (Fault.CLOSE_IN_RESPONSE, Fault.ABORT_IN_RESPONSE)
        return _BROKEN if in_response and str(event["type"]).endswith(".delta") else None

    def withholds(self, event: Event) -> bool:
        """Whether this event is never sent."""
        if self.fault is Fault.SILENT_AFTER_CREATED:
            return bool(event["type"] != "session.created")
        return self.fault is Fault.SILENT

    @property
    def aborts(self) -> bool:
        """Whether the end is without a close frame."""
        return self.fault is Fault.ABORT_IN_RESPONSE
