"""What sessions have to say to the other services, put on the streams without any session waiting for it.

Everything that waits goes in one round trip. A broker that is slow or down costs a live conversation nothing here:
records of one session fold into the newest, and an event that could not be published is published again by its session.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prometheus_client import Counter

from gateway import log_events
from gateway.session.folding_queue import FoldingQueue
from turngate.bus.bus import Bus
from turngate.bus.consumer import reason_of
from turngate.bus.trouble import Backoff, concerns_server
from turngate.process.log_context import about
from turngate.protocol.messages import CLIENT_EVENTS, TURNS, ClientEvent, TurnRecord

_dropped = Counter(
    "turngate_publications_dropped",
    "Records and requests dropped because 10,000 waited for Redis; they are published again.",
)

#: Publications that wait while Redis does not take them. Beyond it the oldest is dropped: a heartbeat replaces a
#: record, and a session publishes its request again.
_WAITING_MAX = 10_000
#: Messages in one round trip, and bytes of requests: so few that building them delays no audio.
_MOST = 32
_MOST_BYTES = 131_072


class Source(Protocol):
    """What the publisher asks of a conversation, at the moment of publishing."""

    session: str

    def client_event(self, seq: int) -> ClientEvent | None: ...

    def record(self) -> TurnRecord: ...

    def size(self, seq: int) -> int:
        """Bytes of this request, roughly."""


class Publisher:
    """One place per session's turn, and one per open request."""

    def __init__(self, bus: Bus, fold: float) -> None:
        """``fold``: seconds that a record which nothing waits for may wait for others."""
        self._bus = bus
        #: By session and ``seq``; 0 is the turn record.
        self._queue: FoldingQueue[tuple[str, int], Source] = FoldingQueue(fold, _WAITING_MAX, _dropped.inc)

    @property
    def waiting(self) -> int:
        """What is not published yet."""
        return len(self._queue)

    def turn(self, source: Source, *, urgent: bool) -> None:
        """Publish the session's turn record, as it is when its place in the queue comes: at once where something may
        wait for it, else with others."""
        if urgent:
            self._queue.add((source.session, 0), source)
        else:
            self._queue.fold((source.session, 0), source)

    def client_event(self, source: Source, seq: int) -> None:
        """Publish this request, unless it is settled when its place in the queue comes."""
        self._queue.add((source.session, seq), source)

    async def run(self) -> None:
        """Publish what comes, until cancelled. What Redis refuses waits, and is published as it is when Redis takes
        it: the newest record, and the requests that are still open."""
        backoff = Backoff()
        while True:
            await self._queue.some.wait()
            taken, messages = self._take()
            try:
                await self._publish(messages)
            except Exception as error:
                if not concerns_server(error):
                    raise
                for key, source in taken.items():
                    self._queue.put_back(key, source)
                await backoff.pause()
            else:
                backoff.reset()
            self._queue.done()

    async def drain(self, timeout: float) -> None:
        """Return when everything that waits has been published (the last records of closing sessions), at the latest
        after ``timeout`` seconds."""
        if not await self._queue.drained(timeout):
            log_events.records_not_published(messages=self.waiting)

    def _take(self) -> tuple[dict[tuple[str, int], Source], list[tuple[str, TurnRecord | ClientEvent]]]:
        """What is published next, with its messages."""
        taken: dict[tuple[str, int], Source] = {}
        messages: list[tuple[str, TurnRecord | ClientEvent]] = []
        size = 0
        while len(taken) < _MOST and size < _MOST_BYTES and (next_one := self._queue.pop()) is not None:
            (session, seq), source = next_one
            taken[session, seq] = source
            try:
                message = source.record() if seq == 0 else source.client_event(seq)
            except Exception as error:
                # A defect that shows in one session must not silence the others.
                with about(session):
                    log_events.record_failed(seq=seq, exc_info=error)
                continue
            if message is not None:
                messages.append((TURNS if seq == 0 else CLIENT_EVENTS, message))
                size += source.size(seq)
        return taken, messages

    async def _publish(self, messages: Sequence[tuple[str, TurnRecord | ClientEvent]]) -> None:
        # One try: what is published after a pause is newer.
        outcomes = await self._bus.publish(messages, tries=1)
        for (stream, message), failed in zip(messages, outcomes, strict=True):
            if failed is not None:
                with about(message.session):
                    log_events.publication_failed(stream=stream, reason=reason_of(failed))
