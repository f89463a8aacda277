"""The processes behind the broker: translators and session-state, as their shells run them, one step at a time.

A handler is a generator that yields wherever the real one awaits; between two steps its process can die. What it had
read stays pending: a dead translator's is taken over by another after a while, a dead session-state's is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from session_state import store as shipped
from session_state.config import ReservationSettings
from session_state.store import WAITING, Reservation
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
    RefuseRequest,
    Release,
    TurnRecord,
    commands_stream,
)

Steps = Iterator[None]
_SWEEP_INTERVAL = 0.5


class Store:
    """`session_state.store.Store`, its calls of the script played on the broker's keys: one atomic step per call."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._releases = 0
        # Only the calls are made by it.
        self._calls = shipped.Store(cast("Redis", None), ReservationSettings())

    def reserve(self, asked: Reservation) -> Release | None:
        """Where the release is of this intent alone, the script has told the gateway."""
        return self._advance(shipped._Question(asked.record.session, asked.record, asked))

    def observe(self, record: TurnRecord) -> Release | None:
        return self._advance(shipped._Question(record.session, record))

    def revisit(self, session: str) -> Release | None:
        return self._advance(shipped._Question(session))

    def overdue(self) -> list[str]:
        self._broker.require()
        keyspace = self._broker.keyspace
        found = keyspace.execute("ZRANGEBYSCORE", WAITING, 0, keyspace.now_ms)
        return [session.decode() for session in found]

    def name(self) -> str:
        """The id for a release."""
        self._releases += 1
        return f"release-{self._releases}"

    def _advance(self, question: shipped._Question) -> Release | None:
        self._broker.require()
        asked, keyspace = question.reservation, self._broker.keyspace
        release_id = asked.alone.release if asked is not None else self.name()
        call = self._calls._call(release_id, question)
        try:
            reply = keyspace.execute("EVALSHA", shipped._SHA, *call)
        except NoScriptError:
            keyspace.execute("SCRIPT LOAD", shipped._SCRIPT)
            reply = keyspace.execute("EVALSHA", shipped._SHA, *call)
        step = shipped._step(release_id, question.session, reply)
        if step.outcome != "granted" or step.release is not None or asked is None:
            return step.release
        return Release(id=release_id, session=question.session, gateway=asked.record.gateway, intents=(asked.intent,))


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
        alone = Release(
            id=self._store.name(), session=event.session, gateway=event.gateway, intents=(translation.intent,)
        )
        answer = AddItems(session=event.session, seq=event.seq, items=items, notices=notices)
        release = self._store.reserve(Reservation(event.turn, translation.intent, answer, merging.merge(alone)))
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
        store = Store(broker)
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
