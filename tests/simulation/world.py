"""One seed's world: clients, gateway, Redis, services and upstream, from the first message to the last silence."""

from __future__ import annotations

import traceback
from collections import Counter
from random import Random

from gateway.turn.release_gate import Drop
from tests.simulation.determinism import determined
from tests.simulation.gateway import Gateway
from tests.simulation.history import Entry, Where
from tests.simulation.line import Line, Outcome
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from tests.simulation.processes import Processes
from tests.simulation.server import Server

#: Gateways, where clients come back.
_GATEWAYS = 3
#: How often to see whether everything rests, in seconds.
_LOOK = 0.25
#: After the last step and the last fault, everything must be over within this, in seconds.
_PATIENCE = 90.0
#: The same where the upstream is sick for good: what is tried again takes its time each time.
_PATIENCE_WITH_SICK = 240.0


class World:
    """Build it, `run` it, and judge the outcomes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = VirtualLoop()
        self.lines: list[Line] = []
        self.server = Server(self.clock, Random(plan.seed * 8 + 6), plan.weather, plan.hop, self._note)
        #: What was logged that should not happen.
        self._problems: list[str] = []
        #: Gateways that cannot be reached yet.
        self._waited_for = 0

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
        self.gateways = [
            Gateway(f"gw-{number}", self.server, random, self.clock, plan.claim_wait, self._problems.append)
            for number in range(_GATEWAYS if any(script.returns for script in plan.scripts) else 1)
        ]
        self._waited_for = len(self.gateways)
        for gateway in self.gateways:
            self.clock.create_task(gateway.serve(self._started))

    def _started(self) -> None:
        """A gateway can be reached. Clients come when all can."""
        self._waited_for -= 1
        if not self._waited_for:
            self.clock.later(self.plan.hop, self._open)

    def _open(self) -> None:
        """Clients come."""
        for index in range(len(self.plan.scripts)):
            self.lines.append(Line(self, index))

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
            *(gateway.problem for gateway in self.gateways),
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
            found["moves to another gateway"] += line.returns.moves
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
        return next(filter(None, (gateway.busy for gateway in self.gateways)), "") or self.server.busy()

    def _note(self, what: str) -> None:
        for line in self.lines:
            line.outcome.history.append(Entry(self.clock.now, Where.FAULT, what))
