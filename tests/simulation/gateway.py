"""The gateway: the shipped bus, publisher and conversation; only the sockets are simulated, and so is the shell of a
session, which moves events between them. Every frame that it puts out is held against the official SDKs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache, partial
from random import Random
from typing import Any

import orjson
import pybase64

from gateway.continuity.journal import Changes, read
from gateway.conversation.conversation import Conversation, UpstreamProblem
from gateway.dialect import Dialect
from gateway.session.publisher import Publisher
from tests.simulation.history import MOVED, Entry, History, Said, Where
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from tests.simulation.processes import Life, connect
from tests.simulation.server import Server
from tests.unit.schemas import accepted_by_clients, accepted_by_openai
from turngate.bus.consumer import Batch
from turngate.process.settings import BrokerSettings
from turngate.process.supervisor import Supervisor
from turngate.protocol.messages import GATEWAYS, Command, JournalComplete, SessionClaimed, commands_stream
from turngate.protocol.openai.server_events import OutputAudioDelta

NAME = "gw"
#: Commands that are read at a time, and how long a record that nothing waits for may wait for others, in seconds.
_COMMANDS, _FOLD = 64, 0.25
#: Of the frames that go out, one in so many is held against the official SDKs.
_JUDGE_EVERY = 5
#: The journal is written after so many changes, and before it is read.
_WRITE_EVERY = 16
#: How many clients that return come to another gateway.
_MOVES = 0.5


class Gateway:
    """The gateway's process, without sockets. It does not die: that would end its sessions."""

    def __init__(self, server: Server, random: Random, take: Callable[[Command], None]) -> None:
        """``take`` gets each command."""
        self.problem = ""
        self._take = take
        life = Life(NAME, mortal=False, died=lambda: None)
        self._bus = connect(server, life, _settings(), random)
        self.publisher = Publisher(self._bus, _FOLD)
        self._bus.consume(commands_stream(NAME), GATEWAYS, Command, self._on_commands, records=_COMMANDS, own=True)

    async def serve(self, started: Callable[[], None]) -> None:
        """As `gateway.app.Gateway.serve`; ``started`` is called when clients may come."""
        supervisor = Supervisor()
        await self._bus.start()
        supervisor.start("consumer watch", self._bus.watch)
        supervisor.start("publisher", self.publisher.run)
        started()
        await supervisor.wait()
        self.problem = f"{supervisor.ended} of the gateway ended by itself"

    @property
    def busy(self) -> str:
        """Empty when nothing waits to be published."""
        return "records or requests are not published yet" if self.publisher.waiting else ""

    async def _on_commands(self, batch: Batch[Command]) -> None:
        for command in batch.messages:
            self._take(command)


@lru_cache
def _append(audio: bytes) -> dict[str, Any]:
    """The same few sounds come again and again."""
    return {"type": "input_audio_buffer.append", "audio": pybase64.b64encode_as_string(audio)}


@cache
def _settings() -> BrokerSettings:
    return BrokerSettings()


class Session:
    """One client's session. ``send`` is its upstream socket, ``told`` its client, ``seen`` hears of every event on the
    upstream socket, in either direction; ``renew`` replaces the upstream socket. ``prepare`` opens the next one, which
    ``send_next`` is; ``exchange`` puts it in the place of this one, and ``drop_next`` closes it."""

    def __init__(
        self, plan: Plan, name: str, dialect: Dialect, clock: VirtualLoop, publisher: Publisher, history: History
    ) -> None:
        self.conversation = Conversation(name, NAME, dialect, plan.limits, clock.now, resumable=True)
        #: What was written of it for other gateways, and how often.
        self._journal: dict[str, bytes] = {}
        self._written = 0
        self._dialect = dialect
        self._limits = plan.limits
        self._random = Random(f"{plan.seed} {name}")
        #: The user has spoken, and the upstream has not committed that yet.
        self._spoke = False
        #: How often it has moved to another gateway.
        self.moves = 0
        self.closed = False
        #: What waits for a client that is gone; None while it is there.
        self._parked: list[dict[str, Any]] | None = None
        #: What the client wants to say meanwhile.
        self._unsaid: list[Callable[[], None]] = []
        self.send: Callable[[dict[str, Any]], None]
        self.told: Callable[[dict[str, Any]], None]
        self.seen: Callable[[str], None]
        self.renew: Callable[[], None]
        self.prepare: Callable[[], None]
        self.send_next: Callable[[dict[str, Any]], None]
        self.exchange: Callable[[], None]
        self.drop_next: Callable[[], None]
        self._clock = clock
        self._publisher = publisher
        self._history = history
        self._messages = 0

    # --- what happens

    def park(self, seconds: float) -> None:
        """The client's connection is lost; it is back after so many seconds."""
        if self.closed or self._parked is not None:
            return
        self._parked = []
        self.conversation.client_lost(self._clock.now)
        self.flush()
        self._clock.later(seconds, self._return)

    def _return(self) -> None:
        if self.closed or self._parked is None:
            return
        waiting, self._parked = self._parked, None
        if self._random.random() < _MOVES:
            self._move()
            missed, waiting = self.conversation.client_returned(None, 0, self._clock.now), []
        else:
            missed = self.conversation.client_returned(None, len(waiting), self._clock.now)
        self._after(self._tell([*missed, *waiting]))
        self.flush()
        unsaid, self._unsaid = self._unsaid, []
        for say in unsaid:
            say()

    def _move(self) -> None:
        """The client comes to another gateway, which goes on with the conversation: with the help of this one, or, if
        nothing is lost with it but what is written, without."""
        before, now = self.conversation, self._clock.now
        self.moves += 1
        if self._has_spoken or self._random.random() < 0.5:
            self._write(before.hand_over(now))
        else:
            self._write_changes()
        self._history.append(Entry(now, Where.FAULT, MOVED))
        parts, self._journal = read(self._journal), {}
        self.conversation = Conversation(
            before.session, NAME, self._dialect, self._limits, now, resumable=True, epoch=before.epoch + 1
        )
        self.conversation.take_up(parts, now)
        self._history.append(Entry(now, Where.UPSTREAM_LOST, ""))
        self.renew()

    @property
    def _has_spoken(self) -> bool:
        """Whether something was said aloud of which there is no text yet: it dies with its gateway."""
        replayed = self.conversation.context.replayed()
        return self._spoke or any("audio" in str(item.get("content")) for item in replayed)

    def _write_changes(self) -> None:
        assert self.conversation.journal is not None
        changes = self.conversation.journal.changes(self._clock.now)
        if changes is not None:
            self._write(changes)

    def _write(self, changes: Changes) -> None:
        if changes.whole:
            self._journal.clear()
        for name in changes.gone:
            # It may have come and gone since the last entry.
            self._journal.pop(name, None)
        self._journal |= changes.parts

    @property
    def parked(self) -> bool:
        """Whether the client is gone."""
        return self._parked is not None and not self.closed

    def text(self, frame: bytes | dict[str, Any]) -> None:
        """A text frame of the client: a message, or bytes that are none. Sent when it is back, if it is gone."""
        if self._parked is not None:
            self._unsaid.append(partial(self.text, frame))
            return
        conversation, now = self.conversation, self._clock.now
        message = frame if isinstance(frame, dict) else {"type": "?", "frame": frame}
        conversation.client_text(orjson.dumps(frame) if isinstance(frame, dict) else frame, now)
        place = len(self._history)
        replies = self._hand_over()
        self._history.insert(place, Entry(now, Where.CLIENT_SENT, Said(message, tuple(replies))))
        self._after(replies)

    def audio(self, chunk: bytes) -> None:
        """A binary frame of the client."""
        if self._parked is not None:
            self._unsaid.append(partial(self.audio, chunk))
            return
        self._spoke |= any(chunk)
        audio = self.conversation.client_audio(chunk, self._clock.now)
        if audio:
            self.send(_append(audio))
        elif audio is None:
            self.flush()

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
            self._spoke &= kind != "input_audio_buffer.committed"
            conversation.upstream_event(event, now)
        self.flush()
        self.seen("<" + kind)

    def next_event(self, event: dict[str, Any]) -> None:
        """An event of the next connection."""
        if not self.closed:
            self.conversation.next_upstream_frame(orjson.dumps(event), self._clock.now)
            self.flush()

    def command(self, command: Command) -> None:
        if not self.closed and not isinstance(command, SessionClaimed | JournalComplete):
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
        self._written += 1
        if self._written % _WRITE_EVERY == 0:
            self._write_changes()
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
        if self._parked is None:
            self._tell(out.messages)
        else:
            self._parked += out.messages
        for seq in out.to_publish:
            self._publisher.client_event(self.conversation, seq)
        if out.turn_changed:
            self._publisher.turn(self.conversation, urgent=out.turn_urgent)
        for event in out.to_upstream:
            # Whoever waits for this moment acts after it.
            self._clock.later(0.0, partial(self.seen, ">" + event["type"]))
        if (ending := self.conversation.ending) is not None and not self.closed:
            self.closed = True
            history.append(Entry(now, Where.FAULT, f"the session ends: {ending.code} {ending.reason}"))
            self._clock.later(0.0, self.client_gone)
        return out.messages if self._parked is None else []

    def _tell(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """These go to the client, which has them in this very instant."""
        for message in messages:
            self._judge(accepted_by_clients, message)
            self._history.append(Entry(self._clock.now, Where.CLIENT_GOT, message))
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
