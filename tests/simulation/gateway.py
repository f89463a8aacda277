"""The gateway: the real conversation, driven as `gateway.session` drives it. Every frame that it
puts out is held against the official SDKs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from gateway.conversation.conversation import Conversation, UpstreamProblem
from gateway.dialect import Dialect
from tests.simulation.broker import Broker, BrokerGoneError
from tests.simulation.clock import Clock
from tests.simulation.history import Entry, History, Said, Where
from tests.simulation.plan import Plan
from tests.unit.schemas import accepted_by_clients, accepted_by_openai
from turngate.protocol.messages import CLIENT_EVENTS, TURNS, Command
from turngate.protocol.openai.server_events import OutputAudioDelta

NAME = "gw"
#: A record that nothing waits for may wait so long for others, in seconds.
_FOLD = 0.25
#: A connection to a broker that is gone is tried again so often, with this pause in seconds.
_RETRIES, _PAUSE = 20, 0.3


class Publisher:
    """`gateway.session.publisher.Publisher`: one place per session's turn and one per open request, all that waits at
    once, and records that nothing waits for with others."""

    def __init__(self, clock: Clock, broker: Broker, hop: float) -> None:
        self._clock = clock
        self._broker = broker
        self._hop = hop
        self._waiting: dict[tuple[str, int], Conversation] = {}
        self._folding: dict[str, Conversation] = {}
        self._working = False

    @property
    def busy(self) -> int:
        return self._working + len(self._waiting) + len(self._folding)

    def turn(self, conversation: Conversation, *, urgent: bool) -> None:
        session = conversation.session
        if urgent:
            self._folding.pop(session, None)
            self.add(conversation, 0)
        elif (session, 0) not in self._waiting:
            if not self._folding:
                self._clock.later(_FOLD, self._unfold)
            self._folding[session] = conversation

    def add(self, conversation: Conversation, seq: int) -> None:
        """Publish this request, or the turn record where ``seq`` is 0, as it is when its place comes."""
        self._waiting.setdefault((conversation.session, seq), conversation)
        if not self._working:
            self._working = True
            self._clock.later(0.0, self._work)

    def _unfold(self) -> None:
        folded, self._folding = self._folding, {}
        for conversation in folded.values():
            self.add(conversation, 0)

    def _work(self) -> None:
        taken, self._waiting = self._waiting, {}
        messages = [
            (TURNS if seq == 0 else CLIENT_EVENTS, message)
            for (_, seq), conversation in taken.items()
            if (message := conversation.record() if seq == 0 else conversation.client_event(seq)) is not None
        ]
        self._working = bool(messages)
        if messages:
            self._publish(taken, messages, _RETRIES)

    def _publish(
        self, taken: dict[tuple[str, int], Conversation], messages: list[tuple[str, Any]], retries: int
    ) -> None:
        try:
            for stream, message in messages:
                self._broker.publish(stream, message)
        except BrokerGoneError:
            if retries:
                self._clock.later(_PAUSE, lambda: self._publish(taken, messages, retries - 1))
                return
            for (session, seq), conversation in taken.items():
                if seq == 0:
                    self._waiting.setdefault((session, 0), conversation)
        # The next ones go when the broker has answered.
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
            delta = OutputAudioDelta(event["response_id"], event["item_id"], bytes(len(event["delta"]) // 4 * 3))
            conversation.agent_audio(delta, now)
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
        for message in out.messages:
            accepted_by_clients(message)
            history.append(Entry(now, Where.CLIENT_GOT, message))
        for seq in out.to_publish:
            self._publisher.add(self.conversation, seq)
        if out.turn_changed:
            self._publisher.turn(self.conversation, urgent=out.turn_urgent)
        for event in out.to_upstream:
            # Whoever waits for this moment acts after it.
            self._clock.later(0.0, partial(self.seen, ">" + event["type"]))
        if (ending := self.conversation.ending) is not None and not self.closed:
            self.closed = True
            history.append(Entry(now, Where.FAULT, f"the session ends: {ending.code} {ending.reason}"))
            self._clock.later(0.0, self.client_gone)
        return out.messages

    def _after(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self.told(message)
