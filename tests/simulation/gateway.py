"""The gateway: the real conversation, driven as `gateway.session` and `gateway.publisher` drive it. Every frame that it
puts out is held against the official SDKs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from contracts.broker import CLIENT_EVENTS, TURNS, Command
from gateway.conversation import Conversation, UpstreamProblem
from gateway.dialect import Dialect
from tests.simulation.broker import Broker, BrokerGoneError
from tests.simulation.clock import Clock
from tests.simulation.history import Entry, History, Said, Where
from tests.simulation.plan import Plan
from tests.unit.schemas import accepted_by_clients, accepted_by_openai

NAME = "gw"
_WORKERS = 4
#: A connection to a broker that is gone is tried again so often, with this pause in seconds.
_RETRIES, _PAUSE = 20, 0.3
#: Of 24 kHz pcm16.
_BYTES_PER_MS = 48


class Publisher:
    """`gateway.publisher.Publisher`: one place per session's turn and one per open request, and a few workers."""

    def __init__(self, clock: Clock, broker: Broker, hop: float) -> None:
        self._clock = clock
        self._broker = broker
        self._hop = hop
        self._waiting: dict[tuple[str, int], Conversation] = {}
        self._working = 0

    @property
    def busy(self) -> int:
        return self._working + len(self._waiting)

    def add(self, conversation: Conversation, seq: int) -> None:
        """Publish this request, or the turn record where ``seq`` is 0, as it is when its place comes."""
        self._waiting.setdefault((conversation.session, seq), conversation)
        if self._working < _WORKERS:
            self._working += 1
            self._clock.later(0.0, self._work)

    def _work(self) -> None:
        while self._waiting:
            key = next(iter(self._waiting))
            conversation = self._waiting.pop(key)
            seq = key[1]
            message = conversation.record() if seq == 0 else conversation.client_event(seq)
            if message is not None:
                self._publish(conversation, seq, message, _RETRIES)
                return
        self._working -= 1

    def _publish(self, conversation: Conversation, seq: int, message: Any, retries: int) -> None:
        try:
            self._broker.publish(TURNS if seq == 0 else CLIENT_EVENTS, message)
        except BrokerGoneError:
            if retries:
                self._clock.later(_PAUSE, lambda: self._publish(conversation, seq, message, retries - 1))
                return
            if seq == 0:
                self._waiting.setdefault((conversation.session, 0), conversation)
        # A worker is free again when the broker has answered.
        self._clock.later(self._hop, self._work)


class Session:
    """One client's session. ``send`` is its upstream socket, ``told`` its client, ``seen`` hears of every event on the
    upstream socket, in either direction."""

    def __init__(
        self, plan: Plan, name: str, dialect: Dialect, clock: Clock, publisher: Publisher, history: History
    ) -> None:
        self.conversation = Conversation(name, NAME, dialect, plan.limits, clock.now)
        self.closed = False
        self.send: Callable[[dict[str, Any]], None]
        self.told: Callable[[dict[str, Any]], None]
        self.seen: Callable[[str], None]
        self._clock = clock
        self._publisher = publisher
        self._history = history
        self._early_audio: list[str] = []

    # --- what happens

    def text(self, frame: bytes | dict[str, Any]) -> None:
        """A text frame of the client: a message, or bytes that are none."""
        conversation, now = self.conversation, self._clock.now
        message = frame if isinstance(frame, dict) else {"type": "?", "frame": frame}
        conversation.client_text(orjson.dumps(frame) if isinstance(frame, dict) else frame, now)
        place = len(self._history)
        replies = self._hand_over()
        self._history.insert(place, Entry(now, Where.CLIENT_SENT, Said(message, tuple(replies))))
        self._after(replies)

    def audio(self, chunk: str) -> None:
        """Audio of the client, in base64 already: it passes unchanged."""
        self._early_audio.append(chunk)
        if self.conversation.configured:
            early, self._early_audio = self._early_audio, []
            for waiting in early:
                self.send({"type": "input_audio_buffer.append", "audio": waiting})

    def event(self, event: dict[str, Any]) -> None:
        """An event of the upstream."""
        if self.closed:
            return
        kind, now, conversation = event["type"], self._clock.now, self.conversation
        if kind == "response.output_audio.delta":
            before = conversation.downlink.audio(event["response_id"], event["item_id"], now)
            if before is not None:
                conversation.tell(*before)
                milliseconds = len(event["delta"]) * 3 / 4 / _BYTES_PER_MS
                conversation.downlink.playback.forwarded(event["item_id"], milliseconds, now)
        else:
            self._history.append(Entry(now, Where.GATEWAY_GOT, event))
            conversation.upstream_event(event, now)
        self.flush()
        self.seen("<" + kind)

    def command(self, command: Command) -> None:
        if not self.closed:
            self.conversation.command(command, self._clock.now)
            self.flush()

    def tick(self) -> None:
        if not self.closed and self.conversation.deadline() <= self._clock.now:
            self.conversation.tick(self._clock.now)
            self.flush()

    def upstream_lost(self) -> None:
        problem = UpstreamProblem("upstream_closed", "The upstream closed the connection (1011).", 1011, early=True)
        self.conversation.upstream_closed(problem, self._clock.now)
        self.flush()

    def client_gone(self) -> None:
        """The client closed its socket."""
        self.conversation.closed(self._clock.now)
        self.closed = True
        self.flush()

    # --- what is done

    def flush(self) -> None:
        """Everything the conversation put out enters the wires, in this very instant."""
        self._after(self._hand_over())

    def _hand_over(self) -> list[dict[str, Any]]:
        out, now, history = self.conversation.drain(), self._clock.now, self._history
        for event in out.to_upstream:
            accepted_by_openai(event)
            history.append(Entry(now, Where.GATEWAY_SENT, event))
            self.send(event)
        for message in out.to_client:
            accepted_by_clients(message)
            history.append(Entry(now, Where.CLIENT_GOT, message))
        for seq in out.to_publish:
            self._publisher.add(self.conversation, seq)
        if out.turn_changed:
            self._publisher.add(self.conversation, 0)
        for event in out.to_upstream:
            # Whoever waits for this moment acts after it.
            self._clock.later(0.0, partial(self.seen, ">" + event["type"]))
        if out.ending is not None and not self.closed:
            self.closed = True
            history.append(Entry(now, Where.FAULT, f"the session ends: {out.ending.code} {out.ending.reason}"))
            self._clock.later(0.0, self.client_gone)
        return out.to_client

    def _after(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self.told(message)
