"""The shell of a session at one gateway: it moves events between the shipped conversation and the simulated sockets.
Every frame that it puts out is held against the official SDKs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import orjson
import pybase64

from gateway.continuity.journal import Changes
from gateway.conversation.conversation import Conversation, Effects, Ending, UpstreamProblem
from gateway.conversation.traces import Tracing
from gateway.dialect import Dialect
from gateway.session.session import RESUMED_ELSEWHERE
from session_state.owners import JournalEntry
from tests.simulation.gateway import Gateway
from tests.simulation.history import Entry, History, Said, Where
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from tests.tracer import RecordingTracer
from tests.unit.schemas import accepted_by_clients, accepted_by_openai
from turngate.protocol.messages import TurnCommand

#: Of the frames that go out, one in so many is held against the official SDKs.
_JUDGE_EVERY = 5


@lru_cache
def _append(audio: bytes) -> dict[str, Any]:
    """The same few sounds come again and again."""
    return {"type": "input_audio_buffer.append", "audio": pybase64.b64encode_as_string(audio)}


class Session:
    """One client's session at one gateway. ``send`` is its upstream socket, ``told`` its client, ``seen`` hears of
    every event on the upstream socket, in either direction; ``renew`` replaces the upstream socket. ``prepare`` opens
    the next one, which ``send_next`` is; ``exchange`` puts it in the place of this one, and ``drop_next`` closes it.
    ``left`` is called when the session is handed over, or its gateway killed."""

    def __init__(
        self,
        plan: Plan,
        name: str,
        dialect: Dialect,
        clock: VirtualLoop,
        gateway: Gateway,
        history: History,
        *,
        written: bool,
        epoch: int = 0,
    ) -> None:
        """``written``: it is written down for other gateways."""
        self.name = name
        self.gateway = gateway
        self._tracer = RecordingTracer()
        self.conversation = Conversation(
            name,
            gateway.name,
            dialect,
            plan.limits,
            clock.now,
            resumable=True,
            epoch=epoch,
            tracing=Tracing(self._tracer, "api.openai.com", 443, 0.0),
        )
        gateway.sessions[name] = self
        self.history = history
        self.closed = False
        #: Another gateway goes on with it.
        self.handed_over = False
        #: Its gateway was killed.
        self.killed = False
        #: Something of it may be missing in Redis.
        self.unwritten = False
        #: What waits for a client that is gone; None while it is there.
        self._parked: list[dict[str, Any]] | None = None
        #: The user has spoken, and the upstream has not committed that yet.
        self.spoke = False
        self._written = written
        self._journal_due = False
        self._clock = clock
        self._messages = 0
        self.send: Callable[[dict[str, Any]], None]
        self.told: Callable[[dict[str, Any]], None]
        self.seen: Callable[[str], None]
        self.renew: Callable[[], None]
        self.prepare: Callable[[], None]
        self.send_next: Callable[[dict[str, Any]], None]
        self.exchange: Callable[[], None]
        self.drop_next: Callable[[], None]
        self.left: Callable[[], None]

    @property
    def serves(self) -> bool:
        """Whether it takes part in anything any more."""
        return not (self.closed or self.handed_over or self.killed)

    @property
    def has_spoken(self) -> bool:
        """Whether something was said aloud of which there is no text yet: it dies with its gateway."""
        replayed = self.conversation.context.replayed()
        return self.spoke or any("audio" in str(item.get("content")) for item in replayed)

    # --- what happens

    def client_lost(self) -> None:
        """The client's connection is lost."""
        if self.serves and self._parked is None:
            self._parked = []
            self.conversation.client_lost(self._clock.now)
            self.flush()

    def client_came_and_went(self) -> None:
        """The client was back, and its connection lost before anything was sent."""
        missed = self.conversation.client_returned(None, 0, self._clock.now)
        self._parked = []
        self.flush()
        # With its Welcome.
        self.conversation.client_lost(self._clock.now, len(self._parked), len(missed) + 1)
        self.flush()

    def client_returned(self) -> None:
        """The client is back."""
        waiting, self._parked = self._parked or [], None
        missed = self.conversation.client_returned(None, len(waiting), self._clock.now)
        self._after(self._tell([*missed, *waiting]))
        self.flush()

    def text(self, frame: bytes | dict[str, Any]) -> None:
        """A text frame of the client: a message, or bytes that are none."""
        conversation, now = self.conversation, self._clock.now
        message = frame if isinstance(frame, dict) else {"type": "?", "frame": frame}
        conversation.client_text(orjson.dumps(frame) if isinstance(frame, dict) else frame, now)
        place = len(self.history)
        replies = self._hand_over()
        self.history.insert(place, Entry(now, Where.CLIENT_SENT, Said(message, tuple(replies))))
        self._after(replies)

    def audio(self, chunk: bytes) -> None:
        """A binary frame of the client."""
        self.spoke |= any(chunk)
        audio = self.conversation.client_audio(chunk, self._clock.now)
        if audio:
            self.send(_append(audio))
        elif audio is None:
            self.flush()

    def event(self, event: dict[str, Any]) -> None:
        """An event of the upstream."""
        if not self.serves:
            return
        kind, now, conversation = event["type"], self._clock.now, self.conversation
        if kind == "response.output_audio.delta":
            conversation.agent_audio(event["response_id"], event["item_id"], bytes(len(event["delta"]) // 4 * 3), now)
        else:
            self.history.append(Entry(now, Where.GATEWAY_GOT, event))
            self.spoke &= kind != "input_audio_buffer.committed"
            conversation.upstream_event(event, now)
        self.flush()
        self.seen("<" + kind)

    def next_event(self, event: dict[str, Any]) -> None:
        """An event of the next connection."""
        if self.serves:
            self.conversation.next_upstream_frame(orjson.dumps(event), self._clock.now)
            self.flush()

    def command(self, command: TurnCommand) -> None:
        """A translator's command."""
        if self.serves:
            self.conversation.command(command, self._clock.now)
            self.flush()

    def tick(self) -> None:
        if self.serves and self.conversation.deadline() <= self._clock.now:
            self.conversation.tick(self._clock.now)
            self.flush()

    def upstream_lost(self) -> None:
        problem = UpstreamProblem("upstream_closed", "The upstream closed the connection (1011).", 1011, early=True)
        self.conversation.upstream_closed(problem, self._clock.now)
        self.flush()

    def client_gone(self) -> None:
        """The client closed its socket, or the session has ended."""
        if self.handed_over or self.killed:
            return
        self.conversation.closed(self._clock.now)
        assert self._tracer.open == [], "every span ends with the session"
        self.closed = True
        self.flush()
        self._leave()
        if self._written:
            self.gateway.journals.over(self.name, self.conversation.epoch)

    def kill(self) -> None:
        """Its gateway is killed, as far as this session can tell."""
        self.killed = True
        self.left()

    # --- another gateway (`gateway.session.session`)

    def journal_entry(self) -> JournalEntry | None:
        if self.handed_over or self.conversation.journal is None:
            return None
        due, self._journal_due = self._journal_due, False
        changes = self.conversation.journal.changes(self._clock.now, due=due)
        return None if changes is None else self._entry(changes)

    def journal_lost(self) -> None:
        self.unwritten = True
        assert self.conversation.journal is not None
        self.conversation.journal.lost()

    def fenced(self) -> None:
        if self.serves:
            self.history.append(Entry(self._clock.now, Where.FAULT, "the session is fenced"))
            self.gateway.fenced(self, self.hand_over(RESUMED_ELSEWHERE))

    def hand_over(self, _: Ending, *, last: bool = False) -> JournalEntry:
        self.handed_over = True
        self.gateway.journals.leave(self.name)
        changes = self.conversation.hand_over(self._clock.now)
        self.left()
        return self._entry(changes, last=last)

    def leave(self) -> None:
        self._leave()

    def _entry(self, changes: Changes, *, last: bool = False) -> JournalEntry:
        return JournalEntry(
            self.name,
            self.gateway.name,
            self.conversation.epoch,
            changes.number,
            whole=changes.whole,
            keys=(resume_key(self.name).hex(),),
            parts=changes.parts,
            gone=changes.gone,
            last=last,
        )

    def _leave(self) -> None:
        if self.gateway.sessions.get(self.name) is self:
            del self.gateway.sessions[self.name]

    # --- what is done

    def flush(self) -> None:
        """Everything the conversation put out enters the wires, in this very instant."""
        self._after(self._hand_over())

    def _hand_over(self) -> list[dict[str, Any]]:
        out, now, history = self.conversation.drain(), self._clock.now, self.history
        if self.handed_over or self.killed:
            return []
        if out.drop_next:
            self.drop_next()
        if out.exchange_upstream:
            self.exchange()
        if out.prepare_upstream:
            self.prepare()
        for event in out.to_next:
            self._judge(accepted_by_openai, event)
            self.send_next(event)
        if out.renew_upstream:
            history.append(Entry(now, Where.UPSTREAM_LOST, ""))
            self.renew()
        for event in out.to_upstream:
            self._judge(accepted_by_openai, event)
            history.append(Entry(now, Where.GATEWAY_SENT, event))
            self.send(event)
        messages = out.messages
        if self._parked is None:
            self._tell(messages)
        else:
            self._parked += messages
        self._publish(out)
        for event in out.to_upstream:
            # Whoever waits for this moment acts after it.
            self._clock.later(0.0, partial(self.seen, ">" + event["type"]))
        if (ending := self.conversation.ending) is not None and not self.closed:
            self.closed = True
            history.append(Entry(now, Where.FAULT, f"the session ends: {ending.code} {ending.reason}"))
            self._clock.later(0.0, self.client_gone)
        return messages if self._parked is None else []

    def _publish(self, out: Effects) -> None:
        for seq in out.to_publish:
            self.gateway.publisher.client_event(self.conversation, seq)
        if out.turn_changed:
            self.gateway.publisher.turn(self.conversation, urgent=out.turn_urgent)
        if self._written and (out.journal_changed or out.journal_due):
            self._journal_due |= out.journal_due
            self.gateway.journals.changed(self, urgent=out.journal_urgent)

    def _tell(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """These go to the client, which has them in this very instant."""
        for message in messages:
            self._judge(accepted_by_clients, message)
            self.history.append(Entry(self._clock.now, Where.CLIENT_GOT, message))
        while (mark := self.conversation.client_legs.mark()) is not None:
            self.conversation.client_legs.proven(mark)
        return messages

    def _judge(self, accepted: Callable[[dict[str, Any]], object], message: dict[str, Any]) -> None:
        """Hold one message in so many against the official SDKs, which takes long."""
        self._messages += 1
        if self._messages % _JUDGE_EVERY == 0:
            accepted(message)

    def _after(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self.told(message)


def resume_key(name: str) -> bytes:
    """The key by which the client of this session finds it."""
    return name.encode()
