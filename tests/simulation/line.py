"""One line of the simulation: a client, its session at the gateways, and its upstream connections."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from gateway.session.claims import TakenUp
from tests.simulation.client import Client
from tests.simulation.gateway import Gateway
from tests.simulation.history import AUDIO_GONE, MOVED, Entry, History, Where
from tests.simulation.plan import Plan
from tests.simulation.returns import Returns
from tests.simulation.script import Do, Script, Step
from tests.simulation.session import Session
from tests.simulation.upstream import Upstream
from turngate.protocol.messages import Slot

if TYPE_CHECKING:
    from tests.simulation.world import World

#: How late the gateway's timers are at most, in seconds.
TICK = 0.2
#: The silence that ends a turn, with a margin, by kind of detection.
_SILENCE = {"server_vad": 0.24, "semantic_vad": 0.84}


@dataclass(slots=True)
class Outcome:
    """One session's history, and what only its insides can tell."""

    plan: Plan
    script: Script
    history: History = field(default_factory=list)
    #: It was ended by its client or its upstream, or what its gateway knew is lost: nothing more can be asked of it
    #: than that it did no harm.
    cut_short: bool = False
    #: The client was gone when it was cut short: it was not told what waited for it.
    away: bool = False
    #: How it was lost, if it should not have been.
    lost: str = ""
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
        self.script = plan.scripts[index]
        self.outcome = Outcome(plan, self.script)
        self._world = world
        self._index = index
        self._name = f"{index:02d}session-{plan.seed}"
        #: Since when nothing is in the way of a request.
        self._clear_since: float | None = None
        self._progress = Progress(clock.now)
        #: What it was when each request was first seen.
        self._progress_before: dict[int, float] = {}
        self._legs = 0
        self._next: Upstream | None = None
        random = Random(f"{plan.seed} {self._name}")
        self.returns = Returns(self, world.gateways, random)
        self.session = self._session_at(world.gateways[0], self.outcome.history, 0)
        self._open_upstream(plan.distance * 3)
        self.client = Client(
            self.script,
            clock,
            lambda frame: self.returns.say(partial(self._text, frame)),
            lambda chunk: self.returns.say(partial(self._audio, chunk)),
            self._special,
            _SILENCE[plan.defaults.turn_detection.kind],
        )
        self.session.flush()
        clock.later(TICK, self._tick)

    # --- gateways

    @property
    def now(self) -> float:
        return self._world.clock.now

    @property
    def cuts(self) -> bool:
        """Whether a gateway may be cut off from Redis."""
        return self._world.plan.cuts

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        self._world.clock.create_task(work)

    def cut_off(self, gateway: Gateway, seconds: float) -> None:
        """This gateway does not reach Redis for so many seconds."""
        self._note("its gateway is cut off from Redis")
        self._world.server.cut_off(gateway.life, seconds)

    def cut_short(self, why: str, *, unheard: bool = False) -> None:
        """What its gateway knew is lost; ``unheard``: that may not be where Redis keeps and tells what it should."""
        if unheard and self._tells_owners and not self.cuts:
            self.outcome.lost = why
        self._note(why)
        self._end()

    def take_up(self, gateway: Gateway, taken: TakenUp) -> None:
        """This gateway goes on with the session."""
        before, history = self.session, self.outcome.history
        before.history = []
        _detach(before)
        self._note(MOVED)
        self.session = self._session_at(gateway, history, taken.epoch)
        self.session.spoke = before.spoke
        self.session.conversation.take_up(taken.parts, self.now)
        history.append(Entry(self.now, Where.UPSTREAM_LOST, AUDIO_GONE if before.killed else ""))
        self._renew()

    def detached(self, gateway: Gateway, taken: TakenUp) -> Session:
        """The session at a gateway that does not know yet that another one owns it."""
        session = self._session_at(gateway, [], taken.epoch)
        _detach(session)
        session.conversation.take_up(taken.parts, self.now)
        session.client_lost()
        return session

    def _session_at(self, gateway: Gateway, history: History, epoch: int) -> Session:
        world, script = self._world, self.script
        session = Session(
            world.plan, self._name, script.dialect, world.clock, gateway, history, written=script.returns, epoch=epoch
        )
        session.told = lambda message: self.client.told(message)
        session.seen = lambda what: self.client.notice(what)
        session.renew = self._renew
        session.prepare = self._prepare
        session.exchange = self._exchange
        session.drop_next = self._drop_next
        session.left = lambda: self._left(session)
        if self._legs:
            session.send = self.upstream.send
        return session

    def _left(self, session: Session) -> None:
        """The session is over at this gateway: its connections are closed."""
        if session is self.session:
            self.upstream.close()
            self._drop_next()

    def _note(self, what: str) -> None:
        self.outcome.history.append(Entry(self.now, Where.FAULT, what))

    # --- the upstream

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

    # --- what is going on

    def resting(self) -> str:
        """Empty when nothing is outstanding; otherwise what is."""
        if not self.client.finished or (self.returns.away and not self.session.closed):
            return "the client is not finished"
        if any(session.serves for session in self.returns.before) and self._tells_owners:
            return "a gateway that was the owner before goes on"
        return self.going_on()

    @property
    def _tells_owners(self) -> bool:
        """Whether a gateway that was the owner hears of that, and in time."""
        weather = self.outcome.plan.weather
        return weather.keeps and not (weather.loss or weather.lateness)

    def going_on(self) -> str:
        """Empty when nothing is going on in the session; otherwise what is."""
        state = self.session.conversation.context
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
        for session in self.returns.before:
            session.tick()
        if len(state.requests):
            of_the_client = sum(not request.own for request in state.requests)
            outcome.most_requests = max(outcome.most_requests, len(state.requests))
            outcome.most_client_requests = max(outcome.most_client_requests, of_the_client)
        calls, waited = len(state.calls.open), self._waiting()
        if calls > outcome.most_calls:
            outcome.most_calls = calls
        if waited > outcome.longest_wait:
            outcome.longest_wait = waited
        if outcome.plan.sickness is not None and self.session.serves:
            self._measure()
        if self.session.closed:
            self._end()
        else:
            self._world.clock.later(TICK, self._tick)

    def _event(self, event: dict[str, Any]) -> None:
        if self.outcome.plan.sickness is not None:
            self._progress.event(event, self._world.clock.now)
        self.session.event(event)

    def _text(self, frame: bytes | dict[str, Any]) -> None:
        if self.session.serves:
            self.session.text(frame)

    def _audio(self, chunk: bytes) -> None:
        if not self.session.serves:
            return
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
        if free_since is None or not state.configured or state.calls.open or not self.session.serves:
            self._clear_since = None
            return 0.0
        if self._clear_since is None:
            self._clear_since = now
        if not len(state.requests):
            return 0.0
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
            self.returns.leave(step.seconds)
        elif what is Do.LOSE_UPSTREAM:
            if self.session.serves:
                self.upstream.close()
                self.session.upstream_lost()
        else:
            self.upstream.fail_next(what.value)

    def _end(self) -> None:
        self.outcome.cut_short = True
        self.outcome.away |= self.returns.away
        self.client.gone = True
        self.session.closed = True
        self.upstream.close()


def _detach(session: Session) -> None:
    """Another gateway is the owner: whatever this one sends from now on arrives nowhere."""
    session.send = session.send_next = session.told = session.seen = _nowhere
    session.renew = session.prepare = session.exchange = session.drop_next = session.left = _nothing


def _nowhere(_: object) -> None:
    """It does not arrive."""


def _nothing() -> None:
    """It has no effect."""
