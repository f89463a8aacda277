"""Open requests: every request of the client that has not taken effect yet, and the only copy that must not be lost.

A request enters with the next ``seq`` when the gateway accepts the client's message, and leaves when it is settled: its
configuration confirmed or refused, its response begun, or an error reported. Until then it is published again whenever
the other services may have lost it. Having been sent settles nothing.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a request needs in order to be settled."""

    CONFIGURATION = "configuration"
    RESPONSE = "response"


@dataclass(slots=True)
class Request:
    """One accepted client message that is not settled."""

    seq: int
    kind: Kind
    message: dict[str, Any]
    accepted_at: float
    #: What to tell the client when it has taken effect (``SettingsApplied`` …); None for responses, which speak for
    #: themselves.
    acknowledgement: str | None = None
    #: True for a ``Settings`` that is not the session's first.
    repeated: bool = False
    #: True when only a response made for this very request answers it.
    exclusive: bool = False
    attempts: int = 0
    published_at: float = 0.0
    #: The translator's answer has come.
    translated: bool = False
    #: The translator's answer will bring no items that are not known already.
    items_known: bool = False
    #: Items of this request that the upstream has not acknowledged yet. Meaningful once translated or known.
    unacknowledged: set[str] = field(default_factory=set)
    #: Part of a ``session.update`` or ``response.create`` that is unresolved.
    on_its_way: bool = False

    @property
    def in_conversation(self) -> bool:
        """Every item of it is known to be in the upstream's conversation, so a response that begins now knows them."""
        return (self.translated or self.items_known) and not self.unacknowledged


class TooManyRequests(Exception):  # noqa: N818 - a named outcome, not a fault
    """More requests are waiting than the configuration allows. Tell the client; the message was not accepted."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request waits, in seconds, before it is published again, and before it is given up."""

    #: From publication to the translator's answer, the first time; doubled for each attempt.
    translation: float = 1.0
    #: The longest wait between two publications of one request.
    longest: float = 8.0
    #: A translated request is published again when the turn has been free for so long without taking it.
    release: float = 4.0
    #: A request that no service answers, or that no free turn takes, is reported to the client after this.
    give_up: float = 60.0


class OpenRequests:
    """The open requests of one session, by ``seq``."""

    def __init__(self, limit: int, patience: Patience | None = None, *, reserve: int = 0) -> None:
        """``limit`` bounds the client's requests; those that the gateway makes may use a ``reserve`` beyond it, so that
        results which wait for an unanswered call never keep out the timeout that ends their waiting."""
        self.last_seq = 0
        #: How many requests have been settled.
        self.settled = 0
        self._limit = limit
        self._reserve = reserve
        self._patience = patience or Patience()
        self._open: dict[int, Request] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._open.values())

    def get(self, seq: int) -> Request | None:
        """The open request with this ``seq``; None when it is settled."""
        return self._open.get(seq)

    def accept(self, kind: Kind, message: dict[str, Any], now: float, *, own: bool = False, **details: Any) -> Request:
        """Take a request in under the next ``seq``; ``own`` when no client made it. Publish it next. Raises
        `TooManyRequests`."""
        if len(self._open) >= self._limit + (self._reserve if own else 0):
            raise TooManyRequests
        self.last_seq += 1
        request = Request(self.last_seq, kind, message, now, published_at=now, **details)
        self._open[request.seq] = request
        return request

    def settle(self, seqs: Iterable[int]) -> list[Request]:
        """Remove these; returns those that were open, in order."""
        settled = [request for seq in sorted(seqs) if (request := self._open.pop(seq, None)) is not None]
        self.settled += len(settled)
        return settled

    def open(self, kind: Kind) -> tuple[int, ...]:
        """The ``seq`` of every open request of this kind, ascending."""
        return tuple(seq for seq, request in self._open.items() if request.kind is kind)

    @property
    def some_wait(self) -> bool:
        """Whether a request is open and not on its way."""
        return any(not request.on_its_way for request in self._open.values())

    def waiting(self, seqs: Iterable[int]) -> tuple[int, ...]:
        """Those of ``seqs`` that are open and not on their way."""
        return tuple(seq for seq in seqs if (request := self._open.get(seq)) is not None and not request.on_its_way)

    def send(self, seqs: Iterable[int]) -> None:
        """These go upstream now, in one event."""
        for seq in seqs:
            self._open[seq].on_its_way = True

    def return_(self, seqs: Iterable[int]) -> None:
        """What they went upstream in was refused for now: they wait again."""
        for seq in seqs:
            if (request := self._open.get(seq)) is not None:
                request.on_its_way = False

    def acknowledge_item(self, item_id: str) -> Request | None:
        """The upstream has this item in its conversation. Returns the request it belongs to, if that is still open."""
        for request in self._open.values():
            if item_id in request.unacknowledged:
                request.unacknowledged.discard(item_id)
                return request
        return None

    def owner_of_item(self, item_id: str) -> Request | None:
        return next((request for request in self._open.values() if item_id in request.unacknowledged), None)

    def answerable(self) -> list[int]:
        """The requests that any response of the default conversation answers if it knows their items, which are
        there."""
        return [
            request.seq
            for request in self._open.values()
            if request.kind is Kind.RESPONSE and request.in_conversation and not request.exclusive
        ]

    def sent(self) -> frozenset[int]:
        """The requests whose items have gone upstream, or came from there: whatever is sent next comes after them."""
        return frozenset(request.seq for request in self._open.values() if request.translated or request.items_known)

    def published(self, seq: int, now: float) -> None:
        """It was handed to the broker once more."""
        if (request := self._open.get(seq)) is not None:
            request.attempts += 1
            request.published_at = now

    def due(self, now: float, free_since: float | None) -> list[int]:
        """What must be published again at ``now``; ``free_since`` is when the turn last became free, None while it is
        not."""
        return [request.seq for request in self._open.values() if self._due_at(request, free_since) <= now]

    def overdue(self, now: float, free_since: float | None) -> list[int]:
        """What nobody has taken for so long that the client must be told."""
        return [request.seq for request in self._open.values() if self._given_up_at(request, free_since) <= now]

    def deadline(self, free_since: float | None) -> float:
        """The earliest moment at which `due` or `overdue` names something; infinity when never."""
        moments = (
            min(self._due_at(request, free_since), self._given_up_at(request, free_since))
            for request in self._open.values()
        )
        return min(moments, default=float("inf"))

    def _due_at(self, request: Request, free_since: float | None) -> float:
        if request.on_its_way:
            return float("inf")
        if not request.translated:
            backoff = self._patience.translation * float(2 ** min(max(request.attempts - 1, 0), 16))
            return request.published_at + min(backoff, self._patience.longest)
        if free_since is None:
            return float("inf")
        return max(request.published_at, free_since) + self._patience.release

    def _given_up_at(self, request: Request, free_since: float | None) -> float:
        if request.on_its_way:
            return float("inf")
        if not request.translated:
            return request.accepted_at + self._patience.give_up
        if free_since is None:
            return float("inf")
        return max(request.accepted_at, free_since) + self._patience.give_up
