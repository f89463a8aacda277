"""Open function calls: requested by the model, with a result that has not been delivered upstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.recent import Recent
from gateway.timers import NEVER, Timer, Timers


@dataclass(slots=True)
class Call:
    """One open call."""

    id: str
    name: str
    asked_at: float
    #: A result was accepted from the client, or made for a timeout; it is not yet in the upstream's conversation.
    answered: bool = False


class FunctionCalls:
    """The open calls of one session, in the order in which the model requested them."""

    __slots__ = ("_answered_for", "_calls", "_cancelled", "_limit", "_patience", "_timers")

    def __init__(self, limit: int, timers: Timers | None = None, patience: float = 30.0) -> None:
        """``timers`` says when a call has not been answered for ``patience`` seconds; 0 for no limit."""
        self._limit = limit
        self._timers = timers or Timers()
        self._patience = patience or NEVER
        self._calls: dict[str, Call] = {}
        self._cancelled: Recent[str, None] = Recent(limit)
        #: Names of the functions of calls that the gateway answered in the client's stead.
        self._answered_for: Recent[str, str] = Recent(limit)

    @property
    def open(self) -> tuple[str, ...]:
        """The ids of the open calls."""
        return tuple(self._calls)

    def journaled(self) -> list[dict[str, Any]]:
        """The open calls, for `take_up`. A result that has not been delivered is in a request."""
        return [{"id": call.id, "name": call.name, "answered": call.answered} for call in self._calls.values()]

    def take_up(self, calls: Iterable[Mapping[str, Any]], now: float) -> None:
        """Have the open calls of another gateway. Their time begins anew."""
        self._calls = {call["id"]: Call(call["id"], call["name"], now, call["answered"]) for call in calls}
        self.schedule()

    def asked(self, call_id: str, name: str, now: float) -> Call:
        """Add a call; a call that is already open is returned unchanged. At the limit the oldest call is forgotten, and
        its result will be reported as unknown."""
        if call_id not in self._calls and len(self._calls) >= self._limit:
            del self._calls[next(iter(self._calls))]
        call = self._calls.setdefault(call_id, Call(call_id, name, now))
        self.schedule()
        return call

    def find(self, call_id: str | None, name: str | None) -> Call | None:
        """The unanswered call for a result: by id or, without an id, by name if only one call has that name."""
        if call_id is not None:
            call = self._calls.get(call_id)
            return call if call is not None and not call.answered else None
        matching = [call for call in self._calls.values() if not call.answered and name in (None, call.name)]
        return matching[0] if len(matching) == 1 else None

    def cancel(self, call_ids: Iterable[str]) -> list[Call]:
        """Cancel those of these calls that are unanswered. Report the returned calls to the client and to the model; a
        result that arrives later is `late`."""
        void = [call for call_id in call_ids if (call := self._calls.get(call_id)) is not None and not call.answered]
        for call in void:
            del self._calls[call.id]
            self._cancelled[call.id] = None
        self.schedule()
        return void

    def answered(self, call: Call) -> None:
        """A result was accepted from the client (or from the clock); it is not in the upstream's conversation yet."""
        call.answered = True
        self.schedule()

    def get(self, call_id: str) -> Call | None:
        """The open call with this id."""
        return self._calls.get(call_id)

    def accept_late(self, call: Call) -> None:
        """The gateway has answered in the client's stead, and a result of the client may still come."""
        self._answered_for[call.id] = call.name

    def answered_for(self, call_id: str | None) -> str | None:
        """The name of the function, if the gateway has answered this call in the client's stead; None otherwise."""
        return None if call_id is None else self._answered_for.get(call_id)

    def forget_answered_for(self, call_id: str) -> None:
        """The client's late result for this call was accepted; another one is unknown."""
        self._answered_for.pop(call_id, None)

    def late(self, call_id: str | None) -> bool:
        """Whether this call was cancelled."""
        return call_id in self._cancelled

    def delivered(self, call_id: str) -> None:
        """The upstream has accepted or refused the result: the call is no longer open."""
        self._calls.pop(call_id, None)
        self.schedule()

    def overdue(self, now: float) -> list[Call]:
        """Unanswered calls whose time is up."""
        return [call for call in self._calls.values() if not call.answered and call.asked_at + self._patience <= now]

    def schedule(self) -> None:
        """Set the timer to the time at which `overdue` names the longest-waiting unanswered call."""
        asked = (call.asked_at for call in self._calls.values() if not call.answered)
        self._timers.set(Timer.CALLS, min(asked, default=NEVER) + self._patience)
