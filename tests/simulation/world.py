"""One seed's world: clients, gateway, broker, services and upstream, from the first message to the last silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from contracts.broker import Command, Slot, commands_stream
from gateway.outbox import Drop
from tests.simulation import gateway
from tests.simulation.broker import Broker
from tests.simulation.client import Client
from tests.simulation.clock import Clock
from tests.simulation.history import Entry, History, Where
from tests.simulation.plan import Plan
from tests.simulation.script import Do, Script
from tests.simulation.services import Services
from tests.simulation.upstream import Upstream

_TICK = 0.1
#: After the last step and the last fault, everything must be over within this, in seconds.
_PATIENCE = 90.0
#: The silence that ends a turn, with a margin, by kind of detection.
_SILENCE = {"server_vad": 0.24, "semantic_vad": 0.84}


@dataclass(slots=True)
class Outcome:
    """One session's history, and what only its insides can tell."""

    plan: Plan
    script: Script
    history: History = field(default_factory=list)
    #: It was ended by its client or its upstream: nothing more can be asked of it than that it did no harm.
    cut_short: bool = False
    #: What was still going on when time was up.
    unfinished: str = ""
    crash: str = ""
    #: The most requests and the most open calls at one time.
    most_requests: int = 0
    most_calls: int = 0


class Line:
    """One client, its session and its upstream."""

    def __init__(self, world: World, index: int) -> None:
        plan, clock = world.plan, world.clock
        script = plan.scripts[index]
        self.outcome = Outcome(plan, script)
        self._world = world
        history = self.outcome.history
        self.session = gateway.Session(
            plan, f"{index:02d}session-{plan.seed}", script.dialect, clock, world.publisher, history
        )
        self.upstream = Upstream(
            plan, plan.seed * 8 + index, clock, Random(plan.seed * 8 + index), history, self.session.event
        )
        self.session.send = self.upstream.send
        self.session.told = lambda message: self.client.told(message)
        self.session.seen = lambda what: self.client.notice(what)
        self.client = Client(
            script, clock, self.session.text, self.session.audio, self._special, _SILENCE[plan.defaults.vad]
        )
        self.session.flush()
        clock.later(plan.distance * 3, self.upstream.connect)
        clock.later(_TICK, self._tick)

    def resting(self) -> str:
        """Empty when nothing is outstanding; otherwise what is."""
        conversation = self.session.conversation
        if not self.client.finished:
            return "the client is not finished"
        if self.session.closed:
            return ""
        if not self.upstream.resting:
            return "the upstream is busy"
        if conversation.turn.slot is not Slot.IDLE:
            return f"the slot is {conversation.turn.slot}"
        if conversation.turn.user_speaking:
            return "the user is speaking"
        if len(conversation.ledger):
            return f"requests are open: {[(request.seq, request.message['type']) for request in conversation.ledger]}"
        if conversation.calls.open:
            return f"calls are open: {conversation.calls.open}"
        return ""

    def _tick(self) -> None:
        conversation, outcome = self.session.conversation, self.outcome
        self.session.tick()
        outcome.most_requests = max(outcome.most_requests, len(conversation.ledger))
        outcome.most_calls = max(outcome.most_calls, len(conversation.calls.open))
        if self.session.closed:
            self._end()
        else:
            self._world.clock.later(_TICK, self._tick)

    def _special(self, what: Do) -> None:
        outcome = self.outcome
        outcome.history.append(Entry(self._world.clock.now, Where.FAULT, what.value))
        if what is Do.HANG_UP:
            self.session.client_gone()
            self._end()
        elif what is Do.LOSE_UPSTREAM:
            self.upstream.close()
            self.session.upstream_lost()
            self._end()
        else:
            self.upstream.fail_next(what.value)

    def _end(self) -> None:
        self.outcome.cut_short = True
        self.client.gone = True
        self.session.closed = True
        self.upstream.close()


class World:
    """Build it, `run` it, and judge the outcomes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Clock()
        self.lines: list[Line] = []
        self.broker = Broker(self.clock, Random(plan.seed * 8 + 6), plan.weather, plan.hop, self._note)
        self.publisher = gateway.Publisher(self.clock, self.broker, plan.hop)
        self.services = Services(plan, self.clock, Random(plan.seed * 8 + 7), self.broker)
        self.broker.subscribe({commands_stream(gateway.NAME): self._command})
        for index in range(len(plan.scripts)):
            self.lines.append(Line(self, index))
        self._sessions = {line.session.conversation.session: line.session for line in self.lines}

    def run(self) -> list[Outcome]:
        """Until nothing is outstanding anywhere, or time is up."""
        clock, storm = self.clock, self.plan.weather.ends
        finished_at = storm
        look_at = 0.5
        problem = ""
        try:
            while True:
                while clock.now < look_at:
                    clock.step()
                look_at = clock.now + 0.25
                if not all(line.client.finished for line in self.lines) or clock.now < storm:
                    finished_at = max(finished_at, clock.now)
                    continue
                problem = self._restless()
                if not problem or clock.now > finished_at + _PATIENCE:
                    break
        except Exception as error:
            for line in self.lines:
                line.outcome.crash = f"{type(error).__name__}: {error}"
            if not self.plan.weather.calm or True:
                self.error = error
        for line in self.lines:
            if line.outcome.crash == "":
                line.outcome.unfinished = line.resting() or problem
        return [line.outcome for line in self.lines]

    def counts(self) -> Counter[str]:
        """What was exercised."""
        found = Counter(self.broker.counts)
        for line in self.lines:
            counters = line.session.conversation.counters
            found["collisions"] += counters.collisions_absorbed
            found["releases dropped: occupied"] += counters.releases_dropped[Drop.OCCUPIED]
            found["releases dropped: stale"] += counters.releases_dropped[Drop.STALE]
            found["retransmissions"] += counters.republished
            found["given up"] += counters.given_up
            found["answered by the upstream's own response"] += counters.answered_by_another
        return found

    def _restless(self) -> str:
        for line in self.lines:
            if problem := line.resting():
                return problem
        if self.broker.moving or self.publisher.busy or self.services.busy:
            return "messages are on their way"
        return ""

    def _command(self, command: Command) -> None:
        if (session := self._sessions.get(command.session)) is not None:
            session.command(command)

    def _note(self, what: str) -> None:
        for line in self.lines:
            line.outcome.history.append(Entry(self.clock.now, Where.FAULT, what))
