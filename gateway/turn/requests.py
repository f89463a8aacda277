"""Open requests: every request of the client that is not settled. This is the only copy that must not be lost.

A request gets the next ``seq`` when the gateway accepts the client's message. It is settled when its configuration is
confirmed or refused, when its response has started, or when an error is reported; sending alone does not settle it.
Until then it is published again whenever the other services may have lost it.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

from gateway.timers import NEVER

#: How messages that the gateway makes are named to the client.
_NAMES = {"LateFunctionResult": "FunctionCallResponse", "ReplyCutOff": "The rest of the reply"}


class Kind(Enum):
    """What settles a request: a confirmed configuration, or a response."""

    CONFIGURATION = "configuration"
    RESPONSE = "response"


@dataclass(slots=True)
class Request:
    """One accepted client message that is not settled."""

    seq: int
    kind: Kind
    message: dict[str, Any]
    accepted_at: float
    #: The message to send to the client when the request is settled (``SettingsApplied`` …); None for responses.
    acknowledgement: str | None = None
    #: True for a ``Settings`` that is not the session's first.
    repeated: bool = False
    #: True if the gateway made it, not the client.
    own: bool = False
    #: True if only a response created for this request settles it.
    exclusive: bool = False
    #: True if its response goes on with a reply that the client has heard a part of.
    continues: bool = False
    #: True if its response takes the place of one that failed: if that fails too, the client hears of it.
    again: bool = False
    #: Of the message, in bytes of JSON.
    size: int = 0
    #: The turn's progress when the request was accepted, in seconds.
    progress_before: float = 0.0
    attempts: int = 0
    published_at: float = 0.0
    #: The translator's answer has arrived.
    translated: bool = False
    #: The translator's answer will contain no items beyond those already known.
    items_known: bool = False
    #: Items of this request that the upstream has not acknowledged. Valid once `translated` or `items_known`.
    unacknowledged: set[str] = field(default_factory=set)
    #: The upstream refused it together with others: it is sent alone, so that it gets an answer of its own.
    alone: bool = False
    #: In flight: part of an unresolved ``session.update`` or ``response.create``.
    on_its_way: bool = False
    #: Settled without an effect: the code that the client was told.
    refused: str = ""
    #: Its span, which may be that of the gateway before; empty if it is not traced.
    traceparent: str = ""

    @property
    def name(self) -> str:
        """The type of the client's message, for messages to the client."""
        kind = str(self.message["type"])
        return _NAMES.get(kind, kind)

    @property
    def in_conversation(self) -> bool:
        """Whether all items of the request are in the upstream's conversation, so that a new response includes them."""
        return (self.translated or self.items_known) and not self.unacknowledged


class TooManyRequests(Exception):  # noqa: N818 - a regular outcome, not an error of this program
    """A limit of open requests is reached. The caller reports it to the client; the message was not accepted."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Timeouts of a request in seconds, before it is published again and before it is given up."""

    #: From the first publication to the translator's answer; doubled for each attempt.
    translation: float = 1.0
    #: Maximum time between two publications of one request.
    longest: float = 8.0
    #: A translated request is published again if the slot has been free for this long and it was not released.
    release: float = 4.0
    #: A request that is open for this long is reported to the client. Time in which the turn makes progress does not
    #: count: the response that holds the slot shows events.
    give_up: float = 60.0


def _none() -> float:
    return 0.0


class OpenRequests:
    """The open requests of one session, by ``seq``."""

    def __init__(
        self,
        limit: int,
        patience: Patience | None = None,
        *,
        limit_bytes: int = 4_194_304,
        reserve: int = 0,
        progress: Callable[[], float] = _none,
    ) -> None:
        """``limit`` and ``limit_bytes`` bound the client's requests. Requests made by the gateway may use a ``reserve``
        beyond the first, and are not counted against the second, so that function results waiting for an unanswered
        call cannot block the timeout of that call. ``progress`` returns for how many seconds the turn has made progress
        so far."""
        self.last_seq = 0
        #: Number of settled requests.
        self.settled = 0
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._reserve = reserve
        #: The size of their messages, in bytes of JSON.
        self.bytes = 0
        self._patience = patience or Patience()
        self._progress = progress
        self._open: dict[int, Request] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._open.values())

    def get(self, seq: int) -> Request | None:
        """The open request with this ``seq``; None if it is settled."""
        return self._open.get(seq)

    def accept(self, kind: Kind, message: dict[str, Any], now: float, *, own: bool = False, **details: Any) -> Request:
        """Add a request with the next ``seq``; ``own`` if the gateway made it. The caller publishes it next. Raises
        `TooManyRequests`."""
        size = len(orjson.dumps(message))
        if len(self._open) >= self._limit + (self._reserve if own else 0):
            raise TooManyRequests
        if self.bytes + size > self._limit_bytes and not own:
            raise TooManyRequests
        self.last_seq += 1
        request = Request(
            self.last_seq,
            kind,
            message,
            now,
            own=own,
            size=size,
            published_at=now,
            progress_before=self._progress(),
            **details,
        )
        self._open[request.seq] = request
        self.bytes += size
        return request

    def take_up(self, requests: Iterable[Request], last_seq: int) -> None:
        """Have the open requests of another gateway, which wait to be sent; ``last_seq`` is the highest number that was
        assigned."""
        self.last_seq = last_seq
        for request in sorted(requests, key=lambda one: one.seq):
            request.progress_before = self._progress()
            self._open[request.seq] = request
            self.bytes += request.size

    def settle(self, seqs: Iterable[int]) -> list[Request]:
        """Remove these requests; returns those that were open, in order."""
        settled = [request for seq in sorted(seqs) if (request := self._open.pop(seq, None)) is not None]
        self.settled += len(settled)
        self.bytes -= sum(request.size for request in settled)
        return settled

    def open(self, kind: Kind) -> tuple[int, ...]:
        """The ``seq`` of every open request of this kind, ascending."""
        return tuple([seq for seq, request in self._open.items() if request.kind is kind]) if self._open else ()

    @property
    def percent(self) -> int:
        """The open requests in percent of the limit; of that in bytes, if that is more. Above 100 with those that the
        gateway has made."""
        return max(100 * len(self._open) // self._limit, 100 * self.bytes // self._limit_bytes)

    @property
    def some_wait(self) -> bool:
        """Whether any open request is not in flight."""
        return any(not request.on_its_way for request in self._open.values())

    def waiting(self, seqs: Iterable[int]) -> tuple[int, ...]:
        """Those of ``seqs`` that are open and not in flight."""
        return tuple(seq for seq in seqs if (request := self._open.get(seq)) is not None and not request.on_its_way)

    def send(self, seqs: Iterable[int]) -> None:
        """Mark these requests as in flight."""
        for seq in seqs:
            self._open[seq].on_its_way = True

    def return_(self, seqs: Iterable[int], *, alone: bool = False) -> None:
        """Mark these requests as waiting again, because their event was refused and will be retried; ``alone`` if each
        is to be sent alone."""
        for seq in seqs:
            if (request := self._open.get(seq)) is not None:
                request.on_its_way = False
                request.alone |= alone

    def restored(self) -> None:
        """The conversation was restored on another connection: what only the upstream had made is in it, or is lost."""
        for request in self._open.values():
            if request.items_known:
                request.unacknowledged.clear()

    @property
    def continuing(self) -> Request | None:
        """The request for the rest of a reply that was cut off, if it is not in flight."""
        rests = (one for one in self._open.values() if one.message.get("type") == "ReplyCutOff" and not one.on_its_way)
        return next(rests, None)

    def any_alone(self, seqs: Iterable[int]) -> bool:
        """Whether one of these requests must be sent alone."""
        return any((request := self._open.get(seq)) is not None and request.alone for seq in seqs)

    def acknowledge_item(self, item_id: str) -> Request | None:
        """The upstream has added this item to its conversation. Returns the request it belongs to, if it is open."""
        for request in self._open.values():
            if item_id in request.unacknowledged:
                request.unacknowledged.discard(item_id)
                return request
        return None

    def owner_of_item(self, item_id: str) -> Request | None:
        return next((request for request in self._open.values() if item_id in request.unacknowledged), None)

    def answerable(self) -> list[int]:
        """The requests that any new response of the default conversation settles: their items are in it, and they are
        not exclusive."""
        return [
            request.seq
            for request in self._open.values()
            if request.kind is Kind.RESPONSE and request.in_conversation and not request.exclusive
        ]

    def sent(self) -> frozenset[int]:
        """The requests whose items were sent upstream or came from there, and so precede whatever is sent next."""
        return frozenset(request.seq for request in self._open.values() if request.translated or request.items_known)

    def published(self, seq: int, now: float) -> None:
        """Record a publication of this request."""
        if (request := self._open.get(seq)) is not None:
            request.attempts += 1
            request.published_at = now

    def due(self, now: float, free_since: float | None) -> list[int]:
        """The requests to publish again at ``now``; ``free_since`` is when the slot became free, None if it is not."""
        return [request.seq for request in self._open.values() if self._due_at(request, free_since) <= now]

    def overdue(self, now: float) -> list[int]:
        """The requests to give up and to report to the client."""
        return [request.seq for request in self._open.values() if self._given_up_at(request) <= now]

    def due_at(self, free_since: float | None) -> float:
        """When `due` names something next; infinity when never."""
        return min([self._due_at(request, free_since) for request in self._open.values()], default=NEVER)

    def overdue_at(self) -> float:
        """When `overdue` names something next, should the turn make no progress; infinity when never."""
        return min(map(self._given_up_at, self._open.values()), default=NEVER)

    def _due_at(self, request: Request, free_since: float | None) -> float:
        if request.on_its_way:
            return NEVER
        if not request.translated:
            backoff = self._patience.translation * float(2 ** min(max(request.attempts - 1, 0), 16))
            return request.published_at + min(backoff, self._patience.longest)
        if free_since is None:
            return NEVER
        return max(request.published_at, free_since) + self._patience.release

    def _given_up_at(self, request: Request) -> float:
        if request.on_its_way:
            # Its answer has a timeout of its own.
            return NEVER
        return request.accepted_at + self._patience.give_up + self._progress() - request.progress_before
