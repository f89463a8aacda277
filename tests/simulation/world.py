"""One seed's world: clients, gateway, Redis, services and upstream, from the first message to the last silence."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gateway.turn.release_gate import Drop
from tests.simulation import gateway
from tests.simulation.client import Client
from tests.simulation.determinism import determined
from tests.simulation.history import Entry, History, Where
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from tests.simulation.processes import Processes
from tests.simulation.script import Do, Script, Step
from tests.simulation.server import Server
from tests.simulation.upstream import Upstream
from turngate.protocol.messages import Command, Slot

#: How late the gateway's timers are at most, in seconds.
TICK = 0.2
#: How often to see whether everything rests, in seconds.
_LOOK = 0.25
#: After the last step and the last fault, everything must be over within this, in seconds.
_PATIENCE = 90.0
#: The same where the upstream is sick for good: what is tried again takes its time each time.
_PATIENCE_WITH_SICK = 240.0
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
    #: The most at one time: requests, those of them that the client made, and open calls.
    most_requests: int = 0
    most_client_requests: int = 0
    most_calls: int = 0
    #: Requests that the gateway published again.
    republished: int = 0
    #: The longest that a request waited although nothing was in its way, in seconds.
    longest_wait: float = 0.0
    #: The longest that the turn was taken, or the user was speaking, without any event of the upstream and any audio of
    #: the client; and the longest that a request waited, without the time in which replies made progress. In seconds.
    longest_standstill: float = 0.0
    longest_unsettled: float = 0.0


class Progress:
    """What the upstream lets move, by its events alone."""

    def __init__(self, now: float) -> None:
        #: When its last event arrived.
        self.moved_at = now
        #: Seconds in which the running response showed events.
        self.seconds = 0.0
        self._running: str | None = None
        self._heard_at = now

    def event(self, event: dict[str, Any], now: float) -> None:
        """An event of the upstream arrived."""
        self.moved_at = now
        response = event.get("response") or {}
        if event["type"] == "response.created" and response.get("conversation_id") is not None:
            self._running, self._heard_at = response["id"], now
        elif self._running is not None and event.get("response_id", response.get("id")) == self._running:
            self.seconds += now - self._heard_at
            self._heard_at = now


class Line:
    """One client, its session and its upstream."""

    def __init__(self, world: World, index: int) -> None:
        plan, clock = world.plan, world.clock
        script = plan.scripts[index]
        self.outcome = Outcome(plan, script)
        self._world = world
        #: Since when nothing is in the way of a request.
        self._clear_since: float | None = None
        self._progress = Progress(clock.now)
        #: What it was when each request was first seen.
        self._progress_before: dict[int, float] = {}
        history = self.outcome.history
        self.session = gateway.Session(
            plan, f"{index:02d}session-{plan.seed}", script.dialect, clock, world.gateway.publisher, history
        )
        self._index = index
        self._legs = 0
        self._open_upstream(plan.distance * 3)
        self.session.renew = self._renew
        self.session.prepare = self._prepare
        self.session.exchange = self._exchange
        self.session.drop_next = self._drop_next
        self._next: Upstream | None = None
        self.session.told = lambda message: self.client.told(message)
        self.session.seen = lambda what: self.client.notice(what)
        self.client = Client(
            script,
            clock,
            self.session.text,
            self._audio,
            self._special,
            _SILENCE[plan.defaults.turn_detection.kind],
        )
        self.session.flush()
        clock.later(TICK, self._tick)

    def _open_upstream(self, after: float) -> None:
        """Dial; the connection is there after so many seconds."""
        world, plan = self._world, self._world.plan
        seed = plan.seed * 8 + self._index + (self._legs << 32)
        self._legs += 1
        self.upstream = upstream = Upstream(
            plan,
            seed,
            world.clock,
            Random(seed),
            self.outcome.history,
            lambda event: self._event(event) if upstream is self.upstream else None,
        )
        self.session.send = upstream.send
        world.clock.later(after, upstream.connect)

    def _prepare(self) -> None:
        """Open the next connection. What happens there is nobody's business until it takes the place of this one."""
        world, plan = self._world, self._world.plan
        seed = plan.seed * 8 + self._index + (self._legs << 32)
        self._legs += 1

        def deliver(event: dict[str, Any]) -> None:
            if following is self.upstream:
                self._event(event)
            elif following is self._next:
                self.session.next_event(event)

        self._next = following = Upstream(plan, seed, world.clock, Random(seed), [], deliver)
        self.session.send_next = following.send
        world.clock.later(plan.distance * 3, following.connect)

    def _exchange(self) -> None:
        history, following = self.outcome.history, self._next
        assert following is not None
        self.upstream.close()
        self.upstream, self._next = following, None
        self.session.send = following.send
        history.append(Entry(self._world.clock.now, Where.UPSTREAM_EXCHANGED, following.show(history)))

    def _drop_next(self) -> None:
        if self._next is not None:
            self._next.close()
            self._next = None

    def _renew(self) -> None:
        self.upstream.close()
        if not self.session.conversation.reconnecting:
            return
        plan = self._world.plan
        self._open_upstream(plan.distance * 3 + plan.redials[self._legs % len(plan.redials)])

    def resting(self) -> str:
        """Empty when nothing is outstanding; otherwise what is."""
        state = self.session.conversation.context
        if not self.client.finished or self.session.parked:
            return "the client is not finished"
        if self.session.closed:
            return ""
        if not self.upstream.resting:
            return "the upstream is busy"
        if state.turn.slot is not (Slot.IDLE if state.configured else Slot.UNCONFIGURED):
            return f"the slot is {state.turn.slot}"
        if state.turn.user_speaking:
            return "the user is speaking"
        if len(state.requests):
            return f"requests are open: {[(request.seq, request.message['type']) for request in state.requests]}"
        if state.calls.open:
            return f"calls are open: {state.calls.open}"
        return ""

    def _tick(self) -> None:
        state, outcome = self.session.conversation.context, self.outcome
        self.session.tick()
        if len(state.requests):
            of_the_client = sum(not request.own for request in state.requests)
            outcome.most_requests = max(outcome.most_requests, len(state.requests))
            outcome.most_client_requests = max(outcome.most_client_requests, of_the_client)
        outcome.most_calls = max(outcome.most_calls, len(state.calls.open))
        outcome.longest_wait = max(outcome.longest_wait, self._waiting())
        if outcome.plan.sickness is not None and not self.session.closed:
            self._measure()
        if self.session.closed:
            self._end()
        else:
            self._world.clock.later(TICK, self._tick)

    def _event(self, event: dict[str, Any]) -> None:
        if self.outcome.plan.sickness is not None:
            self._progress.event(event, self._world.clock.now)
        self.session.event(event)

    def _audio(self, chunk: bytes) -> None:
        # A user who is heard goes on speaking, as far as anybody can tell.
        self._progress.moved_at = self._world.clock.now
        if any(chunk):
            self.outcome.history.append(Entry(self._world.clock.now, Where.CLIENT_SPOKE, ""))
        self.session.audio(chunk)

    def _measure(self) -> None:
        """How long nothing has moved, and how long requests have waited."""
        state, outcome, progress = self.session.conversation.context, self.outcome, self._progress
        now = self._world.clock.now
        if state.turn.slot in (Slot.IDLE, Slot.UNCONFIGURED) and not state.turn.user_speaking:
            progress.moved_at = now
        outcome.longest_standstill = max(outcome.longest_standstill, now - progress.moved_at)
        for request in state.requests:
            before = self._progress_before.setdefault(request.seq, progress.seconds)
            waited = now - request.accepted_at - (progress.seconds - before)
            # What is on its way waits for an answer, which has a time of its own.
            if not request.on_its_way:
                outcome.longest_unsettled = max(outcome.longest_unsettled, waited)

    def _waiting(self) -> float:
        """For how long a request has been waiting now although nothing is in its way, in seconds."""
        conversation, now = self.session.conversation, self._world.clock.now
        state = conversation.context
        free_since = conversation._time.free_since
        if free_since is None or not state.configured or state.calls.open:
            self._clear_since = None
            return 0.0
        if self._clear_since is None:
            self._clear_since = now
        # The turn may have been taken and freed between two looks.
        clear_since = max(self._clear_since, free_since)
        return max(
            (
                now - max(clear_since, request.published_at)
                for request in state.requests
                if request.translated and not request.on_its_way
            ),
            default=0.0,
        )

    def _special(self, step: Step) -> None:
        outcome, what = self.outcome, step.do
        outcome.history.append(Entry(self._world.clock.now, Where.FAULT, what.value))
        if what is Do.ASIDE:
            self.upstream.aside()
        elif what is Do.HANG_UP:
            self.session.client_gone()
            self._end()
        elif what is Do.RETURN:
            self.session.park(step.seconds)
        elif what is Do.LOSE_UPSTREAM:
            if not self.session.closed:
                self.upstream.close()
                self.session.upstream_lost()
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
        self.clock = VirtualLoop()
        self.lines: list[Line] = []
        self.server = Server(self.clock, Random(plan.seed * 8 + 6), plan.weather, plan.hop, self._note)
        self._sessions: dict[str, gateway.Session] = {}
        #: What was logged that should not happen.
        self._problems: list[str] = []

    def run(self) -> list[Outcome]:
        """Until nothing is outstanding anywhere, or time is up."""
        problem = crash = ""
        with determined(self.plan.seed, self._problems), self.clock.running():
            try:
                self._start()
                problem = self._until_all_rests()
            except Exception as error:
                # Whatever a core raises is a finding like any other, with the seed that leads there.
                frame = traceback.extract_tb(error.__traceback__)[-1]
                crash = f"{type(error).__name__}: {error} ({frame.name} in {frame.filename}:{frame.lineno})"
            self.clock.close()
        for line in self.lines:
            line.outcome.crash = crash or self._crash()
            line.outcome.unfinished = line.resting() or problem
            line.outcome.republished = line.session.conversation.counters.republished
        return [line.outcome for line in self.lines]

    def _start(self) -> None:
        plan, random = self.plan, Random(self.plan.seed * 8 + 7)
        self.processes = Processes(plan, self.clock, random, self.server)
        self.gateway = gateway.Gateway(self.server, random, self._command)
        self.clock.create_task(self.gateway.serve(lambda: self.clock.later(plan.hop, self._open)))

    def _open(self) -> None:
        """Clients come."""
        for index in range(len(self.plan.scripts)):
            line = Line(self, index)
            self.lines.append(line)
            self._sessions[line.session.conversation.session] = line.session

    def _until_all_rests(self) -> str:
        """Returns what did not, when time was up."""
        clock, storm = self.clock, self.plan.weather.ends
        # Whoever rests in a storm goes on resting, but for an outage.
        weather = self.plan.weather
        to_come = max(
            [start for start, _ in weather.outages] + [start for start, _, _ in weather.refusals], default=0.0
        )
        patience = _PATIENCE if self.plan.sickness is None else _PATIENCE_WITH_SICK
        deadline = storm + patience
        while True:
            clock.run_until(clock.now + _LOOK)
            if self._crash():
                return ""
            if len(self.lines) < len(self.plan.scripts) or not all(line.client.finished for line in self.lines):
                deadline = max(deadline, clock.now + patience)
                continue
            problem = self._restless()
            if not problem and clock.now < to_come:
                continue
            if not problem or clock.now > deadline:
                return problem

    def _crash(self) -> str:
        """What went wrong in a process, if anything did."""
        found = [
            *self._problems,
            *self.clock.problems,
            self.processes.problem,
            self.gateway.problem,
            self.server.problem,
        ]
        return next(filter(None, found), "")

    def counts(self) -> Counter[str]:
        """What was exercised."""
        found = Counter(self.server.counts)
        for line in self.lines:
            counters = line.session.conversation.counters
            found["collisions"] += counters.collisions_absorbed
            found["releases dropped: occupied"] += counters.releases_dropped[Drop.OCCUPIED]
            found["releases dropped: stale"] += counters.releases_dropped[Drop.STALE]
            found["moves to another gateway"] += line.session.moves
            found["connections lost"] += sum(counters.legs_lost.values())
            found["conversations restored"] += counters.restored
            found["connections rolled over"] += counters.rolled_over
            found["retransmissions"] += counters.republished
            found["given up"] += counters.given_up
            found["settled by another response"] += counters.answered_by_another
        return found

    def _restless(self) -> str:
        for line in self.lines:
            if problem := line.resting():
                return problem
        return self.gateway.busy or self.server.busy()

    def _command(self, command: Command) -> None:
        if (session := self._sessions.get(command.session)) is None:
            return
        try:
            session.command(command)
        except Exception:
            # The bus isolates it; here it is a finding.
            self._problems.append(traceback.format_exc(limit=-2))
            raise

    def _note(self, what: str) -> None:
        for line in self.lines:
            line.outcome.history.append(Entry(self.clock.now, Where.FAULT, what))
