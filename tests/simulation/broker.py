"""A broker with at-least-once streams in memory, and the weather that it works in.

It loses, doubles, delays and reorders messages, and it dies with everything that it holds. Publishing to a broker that
is gone raises `BrokerGoneError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.redis_stub.keyspace import Keyspace
from tests.simulation.clock import Clock
from tests.simulation.plan import Weather


class BrokerGoneError(Exception):
    """The broker cannot be reached."""


class Broker:
    """Streams, and the session keys beside them. Subscribe by stream, with what takes a message in."""

    def __init__(self, clock: Clock, random: Random, weather: Weather, hop: float, note: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        #: Session-state's keys: they die with the broker.
        self.keyspace = Keyspace(lambda: round(clock.now * 1_000_000))
        #: Grows each time all data is lost; what was read or sent before belongs to an earlier life.
        self.life = 0
        #: Messages on their way.
        self.moving = 0
        self._clock = clock
        self._random = random
        self._weather = weather
        self._hop = hop
        self._note = note
        self._gone_until = -1.0
        self._subscribers: dict[str, Callable[[Any], None]] = {}
        for start, duration in weather.outages:
            clock.at(start, lambda duration=duration: self._die(duration))  # type: ignore[misc]

    def subscribe(self, streams: Mapping[str, Callable[[Any], None]]) -> None:
        self._subscribers.update(streams)

    @property
    def stormy(self) -> bool:
        return self._clock.now < self._weather.ends

    def require(self) -> None:
        """Raise `BrokerGoneError` unless the broker can be reached."""
        if self._clock.now < self._gone_until:
            raise BrokerGoneError

    def publish(self, stream: str, message: Any) -> None:
        self.require()
        random, weather = self._random, self._weather
        copies = 1
        if self.stormy and not weather.calm:
            if random.random() < weather.loss:
                self.counts["messages lost"] += 1
                self._note(f"lost on {stream}: {_brief(message)}")
                return
            if random.random() < weather.duplication:
                self.counts["messages doubled"] += 1
                copies = 2
        for _ in range(copies):
            delay = self._hop * (0.5 + 2.5 * random.random())
            if self.stormy and random.random() < weather.lateness:
                self.counts["messages late"] += 1
                delay += random.random() * weather.latest
            self._deliver(stream, message, delay, self.life)

    def _deliver(self, stream: str, message: Any, delay: float, life: int) -> None:
        self.moving += 1

        def arrive() -> None:
            self.moving -= 1
            if life == self.life:
                self._subscribers[stream](message)

        self._clock.later(delay, arrive)

    def _die(self, duration: float) -> None:
        self.counts["broker deaths"] += 1
        self._note(f"the broker dies for {duration:g} s" if duration else "the broker is emptied")
        self.life += 1
        self.keyspace.clear()
        self._gone_until = max(self._gone_until, self._clock.now + duration)


def _brief(message: Any) -> str:
    return f"{type(message).__name__} {getattr(message, 'seq', getattr(message, 'version', ''))}"
