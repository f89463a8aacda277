"""Function calls that the model has asked for and whose results the upstream does not have yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.recent import Recent


@dataclass(slots=True)
class Call:
    """One open call."""

    id: str
    name: str
    asked_at: float
    #: A result was accepted from the client (or from the clock); it is not in the upstream's conversation yet.
    answered: bool = False


class Calls:
    """The open calls of one session, in the order in which they were asked."""

    __slots__ = ("_calls", "_cancelled", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: dict[str, Call] = {}
        self._cancelled: Recent[str, None] = Recent(limit)

    @property
    def open(self) -> tuple[str, ...]:
        """Ids of the calls whose result the upstream does not have."""
        return tuple(self._calls)

    def asked(self, call_id: str, name: str, now: float) -> Call:
        """The model asks; asking twice is asking once. Past the limit the oldest call is forgotten: its result will be
        reported as unknown."""
        if call_id not in self._calls and len(self._calls) >= self._limit:
            del self._calls[next(iter(self._calls))]
        return self._calls.setdefault(call_id, Call(call_id, name, now))

    def find(self, call_id: str | None, name: str | None) -> Call | None:
        """The unanswered call that a result is for: by id, or by name where no id was given and just one call has
        it."""
        if call_id is not None:
            call = self._calls.get(call_id)
            return call if call is not None and not call.answered else None
        matching = [call for call in self._calls.values() if not call.answered and name in (None, call.name)]
        return matching[0] if len(matching) == 1 else None

    def cancel(self, call_ids: Iterable[str]) -> list[Call]:
        """Nobody needs these results any more, unless one was given already: tell the client and the model about those
        that are returned. A result that comes all the same is `late`."""
        void = [call for call_id in call_ids if (call := self._calls.get(call_id)) is not None and not call.answered]
        for call in void:
            del self._calls[call.id]
            self._cancelled[call.id] = None
        return void

    def late(self, call_id: str | None) -> bool:
        """True for the id of a call that was cancelled."""
        return call_id in self._cancelled

    def delivered(self, call_id: str) -> None:
        """The upstream has the result, or refused it: the call is open no longer."""
        self._calls.pop(call_id, None)

    def overdue(self, before: float) -> list[Call]:
        """Unanswered calls that were asked before this moment."""
        return [call for call in self._calls.values() if not call.answered and call.asked_at <= before]

    def earliest(self) -> float:
        """When the longest-waiting unanswered call was asked; infinity when there is none."""
        return min((call.asked_at for call in self._calls.values() if not call.answered), default=float("inf"))
