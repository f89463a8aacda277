"""The state and the outputs that the handlers of a conversation share.

A side is what one peer says, decided: `on_client`, `on_command`, `on_upstream`.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.continuity.restore import Restore
from gateway.continuity.transcript import Transcript
from gateway.conversation.counters import Counters
from gateway.conversation.effects import Effects, Ending
from gateway.conversation.limits import Limits
from gateway.conversation.usage import Used
from gateway.dialect import Dialect
from gateway.downlink.downlink import Downlink
from gateway.recent import Recent
from gateway.timers import Timers
from gateway.turn.function_calls import FunctionCalls
from gateway.turn.requests import Kind, OpenRequests, Request
from gateway.turn.slot import SlotPatience, Turn
from gateway.turn.upstream_config import UpstreamConfig
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import item_create

#: Number of notices that are stored, so that each is sent once.
_REMEMBERED_NOTICES = 64


class Context:
    """One conversation's state. Effects are collected in `out`, in order."""

    def __init__(self, session: str, dialect: Dialect, limits: Limits, now: float, counters: Counters | None) -> None:
        self.session = session
        self.dialect = dialect
        self.limits = limits
        self.counters = counters if counters is not None else Counters()
        self.timers = timers = Timers()
        self.turn = turn = Turn(now, timers, SlotPatience(limits.promise, limits.reply, limits.response_silence))
        self.requests = OpenRequests(
            limits.requests,
            limits.patience,
            limit_bytes=limits.request_bytes,
            reserve=limits.calls,
            progress=lambda: turn.progress,
        )
        self.upstream_config = UpstreamConfig(limits.prompt if dialect.truncates_prompts else 0, timers, limits.reply)
        self.calls = FunctionCalls(limits.calls, timers, limits.call)
        self.transcript = Transcript(limits.transcript_items, limits.transcript_bytes, limits.early_audio)
        #: What brings a new connection to where the conversation is; None while that is not needed.
        self.restore: Restore | None = None
        self.downlink = Downlink(
            dialect,
            latency_reports=limits.latency_reports,
            timers=timers,
            silence_heard=self.counters.silence_heard,
            reply_latency=self.counters.reply_latency,
        )
        #: Ids of the items that the upstream's connection has as text only, since they were restored there.
        self.restored_items: frozenset[str] = frozenset()
        #: An assistant's message was restored, and no reply has shown yet that the upstream still speaks.
        self.unproven = False
        #: ``session.created`` has arrived.
        self.connected = False
        #: The first configuration was confirmed by ``session.updated``.
        self.configured = False
        #: Why the session ended; None while it runs.
        self.ending: Ending | None = None
        #: What the responses have used.
        self.used = Used()
        self.out = Effects()
        self._notices: Recent[tuple[Any, ...], None] = Recent(_REMEMBERED_NOTICES)
        self._sent_events = 0

    @property
    def live(self) -> bool:
        """The session is configured, and the upstream's connection is where the conversation is."""
        return self.configured and self.turn.slot not in (Slot.RECONNECTING, Slot.CLOSED)

    @property
    def publishes(self) -> bool:
        """Whether requests are published: from the upstream's first ``session.created`` on."""
        return self.connected or self.turn.slot is Slot.RECONNECTING

    @property
    def awaits_reply(self) -> bool:
        """A reply is expected, and nothing of it has arrived."""
        slot = self.turn.slot
        return slot in (Slot.PROMISED, Slot.REQUESTED) or (slot is Slot.ACTIVE and self.downlink.replies.silent)

    @property
    def replying(self) -> bool:
        """A response holds the slot, or is about to."""
        return self.turn.slot in (Slot.PROMISED, Slot.REQUESTED, Slot.ACTIVE, Slot.CANCELLING)

    # --- what is restored on another connection

    def replayed(self) -> list[dict[str, Any]]:
        """The items that make up the conversation, as the upstream takes them best."""
        if not (self.limits.restore_as_message or self.counters.restored_as_message):
            return list(self.transcript.items())
        return self.transcript.as_message({item for request in self.requests for item in request.unacknowledged})

    def has_restored(self, items: frozenset[str]) -> None:
        """The upstream's connection has these items, which the gateway has put there."""
        self.restored_items = items
        self.unproven = any(item.get("role") == "assistant" and item["id"] in items for item in self.transcript.items())

    # --- to the client

    def tell(self, *messages: dict[str, Any]) -> None:
        """Send these to the client."""
        self.out.to_client.extend(messages)

    def send_audio(self, frame: bytes) -> None:
        """Send this piece of the agent's audio to the client, after the messages before it."""
        if frame:
            self.out.to_client.append(frame)

    def tell_once(self, message: dict[str, Any]) -> None:
        """Send this to the client, unless it was sent before."""
        key = tuple(message.items())
        if key not in self._notices:
            self._notices[key] = None
            self.tell(message)

    def tell_error(self, code: str, description: str) -> None:
        self.tell(events.error(code, description))

    def end(self, code: int, reason: str) -> None:
        """End the session after the remaining output is sent. Only the first call has an effect."""
        if self.ending is None:
            self.ending = Ending(code, reason)

    # --- to the upstream

    def send(self, build: Callable[[str], dict[str, Any]], purpose: str) -> str:
        """Send a client event upstream; ``build`` gets its ``event_id``, which is returned. While there is no
        connection it is not sent: the conversation is restored as it is then."""
        event_id = self.next_event_id(purpose)
        self._sent_events += 1
        if self.turn.slot is not Slot.RECONNECTING:
            self.out.to_upstream.append(build(event_id))
        return event_id

    def add_item(self, item: dict[str, Any], *, kept: bool = False) -> None:
        """Add an item with an ``id`` to the conversation; ``kept`` if it always stays in its transcript."""
        self.transcript.sent(item, kept=kept)
        self.out.to_upstream.append(item_create(item, event_id=item["id"]))

    @property
    def sent_events(self) -> int:
        """The number of events that were sent upstream by `send`."""
        return self._sent_events

    def take_up(self, sent_events: int) -> None:
        """Go on for another gateway, which has sent so many events: ids are not used twice in one session."""
        self._sent_events = sent_events

    def next_event_id(self, purpose: str) -> str:
        """The ``event_id`` that the next `send` with this purpose uses."""
        return f"{self.session[:12]}.{purpose}.{self._sent_events + 1}"

    def is_about(self, event_id: str | None, purpose: str) -> bool:
        """Whether this is the ``event_id`` of an event that was sent for this purpose."""
        return event_id is not None and event_id.startswith(f"{self.session[:12]}.{purpose}.")

    # --- to the translators

    def accept(self, kind: Kind, message: dict[str, Any], now: float, **details: Any) -> Request:
        """Accept a request (`OpenRequests.accept`) and publish it. Raises `TooManyRequests`."""
        request = self.requests.accept(kind, message, now, **details)
        if self.publishes:
            self.publish([request.seq], now)
        return request

    def publish(self, seqs: list[int], now: float) -> None:
        """Publish these requests. Call only if `publishes`."""
        for seq in seqs:
            self.requests.published(seq, now)
        self.out.to_publish.extend(seqs)
