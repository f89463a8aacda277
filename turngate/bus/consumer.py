"""What one process does with the entries of one stream: parse, handle, acknowledge, and isolate those that fail.

Entries are handled in batches, because a round trip to Redis costs mostly the same for one as for fifty.

1. An entry that cannot be parsed, or that the handler reports as failed, is logged with the stream, the entry and the
   reason. All others of the batch are finished. If the handler raises, it gets the messages again one by one, so that
   one failure costs no other message anything: every handler may get a message twice.
2. What is finished is acknowledged and deleted in one step, soon after (`Acknowledger`): a stream contains only what is
   still to be done.
3. A failed entry stays pending. The reclaimer delivers it again, and gives it up in the end.
4. If Redis refuses what the handler needs, the handler is called again after a pause, several times. Then the entries
   are dropped: they would keep the memory from being freed that Redis lacks, and whoever published them does so again.
   If Redis cannot be reached, they stay pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Generic, TypeVar

from prometheus_client import Counter
from pydantic import TypeAdapter, ValidationError

from turngate.bus import log_events, trouble
from turngate.bus.acknowledging import Acknowledger
from turngate.bus.entries import Entry, label_of
from turngate.bus.spans import Traced, end
from turngate.process.log_context import about
from turngate.tracing.spans import Span

Message = TypeVar("Message")

#: How often the handler is called while Redis refuses or cannot be reached.
_TRIES = 5
#: Bytes of messages that are parsed before others in this process are served.
_UNBROKEN_MAX_BYTES = 131_072
#: Characters of a reason that are kept.
_REASON_MAX = 500

_handled = Counter("turngate_entries_handled", "Entries that were handled and acknowledged.", ["stream"])
_failed = Counter(
    "turngate_entries_failed",
    "Deliveries of entries that could not be handled; each is logged as entry_failed with the reason.",
    ["stream"],
)
_dropped = Counter(
    "turngate_entries_dropped", "Entries dropped because Redis refused commands; they are published again.", ["stream"]
)


class Batch(Generic[Message]):
    """Messages that were read together, for a handler. It calls `fail` for each one that it could not handle."""

    def __init__(self, messages: Sequence[Message], spans: Sequence[Span] = ()) -> None:
        """``spans``: one for each message, if they are traced."""
        self.messages = messages
        #: Reasons by position.
        self.failed: dict[int, str] = {}
        self._spans = spans

    def fail(self, message: Message, error: Exception) -> None:
        """Report that this message of the batch could not be handled."""
        for position, other in enumerate(self.messages):
            if other is message:
                self.failed[position] = reason_of(error)

    def traceparent(self, message: Message) -> str | None:
        """The span in which this message of the batch is handled; None if it is not traced."""
        for span, other in zip(self._spans, self.messages, strict=False):
            if other is message:
                return span.traceparent or None
        return None


Handler = Callable[[Batch[Message]], Awaitable[None]]


class Consumer(Generic[Message]):
    """One stream as this process reads it."""

    def __init__(
        self,
        acknowledger: Acknowledger,
        key: str,
        stream: str,
        group: str,
        model: Any,
        handler: Handler[Message],
        *,
        own: bool = False,
        on_given_up: Callable[[bytes], Awaitable[None]] | None = None,
        traced: Traced | None = None,
    ) -> None:
        """``key`` is the stream's name in Redis, and ``stream`` the one in logs and metrics. See `Bus.consume`."""
        self.key = key
        self.stream = stream
        self.group = group
        self.model = model
        self.own = own
        self.on_given_up = on_given_up
        self._acknowledger = acknowledger
        self._parser: TypeAdapter[Message] = _parser(model)
        self._handler = handler
        self._traced = traced
        self._label = label_of(stream)
        self._handled = _handled.labels(self._label)

    async def deliver(self, entries: Sequence[Entry]) -> dict[bytes, str]:
        """Handle these entries, and have those that are finished acknowledged soon. Returns the reasons of those that
        failed, by entry id. Redis errors do not pass through."""
        failed: dict[bytes, str] = {}
        ids: list[bytes] = []
        messages: list[Message] = []
        unbroken = 0
        for entry in entries:
            unbroken += len(entry.body)
            if unbroken > _UNBROKEN_MAX_BYTES:
                # Others in this process are served between large messages.
                unbroken = 0
                await asyncio.sleep(0)
            try:
                messages.append(self._parser.validate_json(entry.body))
            except ValueError as error:
                failed[entry.id] = reason_of(error)
            else:
                ids.append(entry.id)
        finished = list(ids)
        if messages:
            try:
                reasons = await self._handle(messages)
            except Exception as error:
                finished = self._give_way(ids, error)
            else:
                failed |= {ids[position]: reason for position, reason in reasons.items()}
                finished = [entry_id for entry_id in ids if entry_id not in failed]
                self._handled.inc(len(finished))
        if self.own:
            # Nobody delivers an entry of one's own stream again.
            finished += failed
        for entry_id, reason in failed.items():
            _failed.labels(self._label).inc()
            message = messages[ids.index(entry_id)] if entry_id in ids else None
            with _about(message):
                log_events.entry_failed(stream=self.stream, entry=entry_id.decode(), reason=reason)
        self._acknowledger.add(self.key, self.group, finished)
        return failed

    async def _handle(self, messages: Sequence[Message]) -> dict[int, str]:
        """Call the handler; returns the reasons of messages that failed, by position. Raises an error that concerns the
        server if the last try failed with it."""
        try:
            return await self._call(messages)
        except Exception as error:
            if trouble.concerns_server(error):
                raise
            if len(messages) == 1:
                return {0: reason_of(error)}
        failed: dict[int, str] = {}
        for position, message in enumerate(messages):
            if alone := await self._handle([message]):
                failed[position] = alone[0]
        return failed

    async def _call(self, messages: Sequence[Message]) -> dict[int, str]:
        backoff = trouble.Backoff()
        for tries_left in reversed(range(_TRIES)):
            spans = self._traced.begin(messages) if self._traced is not None else ()
            batch = Batch(messages, spans)
            try:
                await self._handler(batch)
            except Exception as error:
                end(spans, dict.fromkeys(range(len(spans)), reason_of(error)))
                if not trouble.concerns_server(error) or not tries_left:
                    raise
                trouble.note(error, f"handle {self.stream}")
                await backoff.pause()
            else:
                break
        end(spans, batch.failed)
        return batch.failed

    def _give_way(self, ids: list[bytes], error: Exception) -> list[bytes]:
        """Returns the entries to acknowledge although they were not handled, after the last try."""
        trouble.note(error, f"handle {self.stream}")
        if trouble.kind_of(error) == trouble.UNREACHABLE:
            return []
        _dropped.labels(self._label).inc(len(ids))
        log_events.entries_dropped(stream=self.stream, entries=len(ids), reason=reason_of(error))
        return ids


@cache
def _parser(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def reason_of(error: Exception) -> str:
    """An error in one line. What a message contains is not part of it, since it may be a person's words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{error.title}: {f'{where}: ' if where else ''}{first['msg']}"[:_REASON_MAX]
    return f"{type(error).__name__}: {error}"[:_REASON_MAX]


def _about(message: Any) -> AbstractContextManager[None]:
    """For what is logged of this message, or of one that could not be read (None)."""
    traceparents: tuple[str, ...] = getattr(message, "traceparents", ())
    return about(getattr(message, "session", None), next(iter(traceparents), None))
