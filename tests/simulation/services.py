"""The processes behind the broker: translators and session-state, as their shells run them, one step at a time.

A handler is a generator that yields wherever the real one awaits; between two steps its process can die. What it had
read stays pending: a dead translator's is taken over by another after a while, a dead session-state's is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from session_state import rules
from tests.simulation.broker import Broker, BrokerGoneError
from tests.simulation.clock import Clock
from tests.simulation.plan import Plan
from translator.mapping import release as merging
from translator.mapping import routes as translating
from translator.mapping.defaults import Defaults
from translator.mapping.result import Refusal
from turngate.protocol.messages import (
    CLIENT_EVENTS,
    RELEASES,
    TURNS,
    AddItems,
    ClientEvent,
    Command,
    Intent,
    RefuseRequest,
    Release,
    TurnRecord,
    commands_stream,
)

Steps = Iterator[None]
_LEASE_MS, _TIME_TO_LIVE_MS, _MOST_INTENTS = 2_000, 45_000, 512
_SWEEP_INTERVAL = 0.5


class Store:
    """`session_state.store.Store` over the rules' Python form: one atomic step per call."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._releases = 0

    def reserve(self, record: TurnRecord, intent: Intent) -> Release | None:
        return self._advance(record.session, record, intent)

    def observe(self, record: TurnRecord) -> Release | None:
        return self._advance(record.session, record, None)

    def revisit(self, session: str) -> Release | None:
        return self._advance(session, None, None)

    def overdue(self) -> list[str]:
        self._broker.require()
        now = round(self._clock.now * 1000)
        sessions = self._broker.sessions
        return [name for name, state in sessions.items() if state.look_again is not None and state.look_again <= now]

    def _advance(self, session: str, record: TurnRecord | None, intent: Intent | None) -> Release | None:
        broker, now = self._broker, round(self._clock.now * 1000)
        broker.require()
        if record is not None:
            broker.seen[session] = now
        elif now - broker.seen.get(session, now) > _TIME_TO_LIVE_MS:
            broker.sessions.pop(session, None)
        state = broker.sessions.setdefault(session, rules.SessionState())
        self._releases += 1
        release_id = f"release-{self._releases}"
        step = rules.advance(
            state, now, record=record, intent=intent, lease=_LEASE_MS, release_id=release_id, most=_MOST_INTENTS
        )
        if not step.granted or state.turn is None:
            return None
        return Release(id=release_id, session=session, gateway=state.turn.gateway, intents=step.granted)


class Translator:
    """`translator.app.Translator`, step by step."""

    def __init__(self, broker: Broker, store: Store, defaults: Defaults) -> None:
        self._broker = broker
        self._store = store
        self._defaults = defaults

    def on_client_event(self, event: ClientEvent) -> Steps:
        try:
            translation = translating.translate(event, self._defaults)
        except Refusal as refusal:
            self._command(
                event.gateway,
                RefuseRequest(session=event.session, seq=event.seq, code=refusal.code, description=refusal.description),
            )
            yield
            return
        items, notices = translation.items, translation.notices
        self._command(event.gateway, AddItems(session=event.session, seq=event.seq, items=items, notices=notices))
        if translation.intent is None:
            yield
            return
        # The same atomic step tells the gateway the answer, and the release where it is of this intent alone.
        release = self._store.reserve(event.turn, translation.intent)
        if release is not None and release.intents == (translation.intent,):
            self._command(release.gateway, merging.merge(release))
            release = None
        yield
        if release is not None:
            yield from self.on_release(release)

    def on_release(self, release: Release) -> Steps:
        self._command(release.gateway, merging.merge(release))
        yield

    def _command(self, gateway: str, command: Command) -> None:
        self._broker.publish(commands_stream(gateway), command)


class SessionState:
    """`session_state.app`: what its consumer and its sweeper do, step by step."""

    def __init__(self, broker: Broker, store: Store) -> None:
        self._broker = broker
        self._store = store

    def observe(self, record: TurnRecord) -> Steps:
        release = self._store.observe(record)
        yield
        self._publish(release)

    def sweep(self, _: object = None) -> Steps:
        for session in self._store.overdue():
            release = self._store.revisit(session)
            yield
            self._publish(release)

    def _publish(self, release: Release | None) -> None:
        if release is not None:
            self._broker.publish(RELEASES, release)


class _Process:
    """One process of a kind. Each life of it counts."""

    def __init__(self) -> None:
        self.life = 0
        self.alive = True


class Processes:
    """The processes of one kind, and whose turn it is."""

    def __init__(self, number: int, plan: Plan, clock: Clock, random: Random, broker: Broker, name: str) -> None:
        self._all = [_Process() for _ in range(number)]
        self._plan = plan
        self._clock = clock
        self._random = random
        self._broker = broker
        self._name = name
        #: Messages in hand, and pending ones of the dead.
        self.busy = 0

    def handle(self, handler: Callable[[Any], Steps], message: Any, *, reclaimed: bool) -> None:
        """Have one of them handle this message; ``reclaimed`` when another takes it over should that one die."""
        self.busy += 1
        self._take(handler, message, reclaimed, self._broker.life)

    def _take(self, handler: Callable[[Any], Steps], message: Any, reclaimed: bool, broker_life: int) -> None:
        alive = [process for process in self._all if process.alive]
        if broker_life != self._broker.life:
            self.busy -= 1
            return
        if not alive:
            self._clock.later(0.1, lambda: self._take(handler, message, reclaimed, broker_life))
            return
        process = alive[0] if len(alive) == 1 else self._random.choice(alive)
        steps, life = handler(message), process.life

        def failed() -> None:
            if not reclaimed:
                self.busy -= 1
                return
            self._broker.counts["messages reclaimed"] += 1
            self._clock.later(
                self._plan.reclaim_after * (1 + self._random.random() / 2),
                lambda: self._take(handler, message, reclaimed, broker_life),
            )

        def go_on() -> None:
            if process.life == life and self._dies():
                self._kill(process)
            if process.life != life:
                failed()
                return
            try:
                next(steps)
            except StopIteration:
                self.busy -= 1
            except BrokerGoneError:
                failed()
            else:
                self._clock.later(self._plan.hop, go_on)

        go_on()

    def _dies(self) -> bool:
        death = self._plan.weather.death
        return death > 0 and self._broker.stormy and self._random.random() < death

    def _kill(self, process: _Process) -> None:
        self._broker.counts[f"{self._name} deaths"] += 1
        process.life += 1
        process.alive = False

        def restart() -> None:
            process.alive = True

        self._clock.later(self._plan.restart_after, restart)


class Services:
    """All of them, subscribed."""

    def __init__(self, plan: Plan, clock: Clock, random: Random, broker: Broker) -> None:
        self._clock = clock
        store = Store(broker, clock)
        translator, session_state = Translator(broker, store, plan.defaults), SessionState(broker, store)
        self.translators = Processes(plan.translators, plan, clock, random, broker, "translator")
        self.session_states = Processes(plan.session_states, plan, clock, random, broker, "session-state")
        translators, session_states = self.translators, self.session_states
        broker.subscribe(
            {
                CLIENT_EVENTS: lambda event: translators.handle(translator.on_client_event, event, reclaimed=True),
                RELEASES: lambda release: translators.handle(translator.on_release, release, reclaimed=True),
                TURNS: lambda record: session_states.handle(session_state.observe, record, reclaimed=False),
            }
        )
        self._sweep = session_state.sweep
        clock.later(_SWEEP_INTERVAL, self._sweep_again)

    @property
    def busy(self) -> int:
        return self.translators.busy + self.session_states.busy

    def _sweep_again(self) -> None:
        self.session_states.handle(self._sweep, None, reclaimed=False)
        self._clock.later(_SWEEP_INTERVAL, self._sweep_again)
