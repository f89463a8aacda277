"""The upstream: the strict simulator's core, at the far end of a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from tests.simulation.history import Entry, History, Where
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import Plan
from turngate.protocol.openai.frames import read_frame
from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import RealtimeSession
from turngate.simulator.record import Record, Slot
from turngate.simulator.sickness import SERVER_ERROR, Sickness


class Log(Record):
    """The upstream's own record, kept in the session's history. Audio is left out of it."""

    def __init__(self, history: History) -> None:
        super().__init__(0, 0.0)
        self._history = history
        self._active: str | None = None

    def keep_in(self, history: History) -> None:
        self._history = history

    def received(self, event: Event, slot: Slot, now: float) -> None:
        self._look(slot)
        if event.get("type") != "input_audio_buffer.append":
            self._history.append(Entry(now, Where.UPSTREAM_GOT, event))

    def sent(self, event: Event, slot: Slot, now: float) -> None:
        self._look(slot)
        if event["type"] != "response.output_audio.delta":
            self._history.append(Entry(now, Where.UPSTREAM_SENT, event))

    def _look(self, slot: Slot) -> None:
        """Whether the slot was taken since the last event; no event says so at that moment."""
        active = slot.active_response
        if active is not None and active != self._active and (began := slot.began_by_itself_at()) is not None:
            self._history.append(Entry(began, Where.UPSTREAM_BEGAN, {"id": active}))
        self._active = active


class Upstream:
    """One connection. Both directions keep their order and take their time; ``deliver`` is the gateway's end."""

    def __init__(
        self,
        plan: Plan,
        seed: int,
        clock: VirtualLoop,
        random: Random,
        history: History,
        deliver: Callable[[Event], None],
    ) -> None:
        self.core = RealtimeSession(plan.behaviour, seed=seed)
        self._log = self.core.record = Log(history)
        self._sickness = Sickness(plan.sickness, plan.sickness_times)
        self.core.sicken_replies(self._sickness.reply)
        self.on_the_wire = 0
        self._plan = plan
        self._clock = clock
        self._random = random
        self._deliver = deliver
        self._arrival = [0.0, 0.0]
        self._due = float("inf")
        self._open = True
        #: Types of client events whose next one is answered with a ``server_error``.
        self._failing: set[str] = set()

    def connect(self) -> None:
        if self._open:
            self._say(self.core.connect(self._clock.now))

    def send(self, event: dict[str, Any]) -> None:
        """The gateway puts this on its socket now."""
        self._travel(0, lambda: self._receive(event))

    def aside(self) -> None:
        """An out-of-band response begins."""
        question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Aside"}]}
        response = {"conversation": "none", "input": [question], "output_modalities": ["text"]}
        self._say(self.core.receive({"type": "response.create", "response": response}, self._clock.now))

    def fail_next(self, kind: str) -> None:
        self._failing.add(kind)

    def show(self, history: History) -> Event:
        """From now on it is the session's upstream, and its record is kept here. Returns what it has of the
        conversation."""
        self._log.keep_in(history)
        items = self.core._items
        return {"session": self.core._session, "items": [item.wire for item in reversed(list(items.newest_first()))]}

    def close(self) -> None:
        """The connection is gone, and what was on its way with it."""
        self._open = False

    @property
    def resting(self) -> bool:
        """Nothing is going on here or on the way."""
        return not self._open or (self.on_the_wire == 0 and self.core.active_response is None)

    def _receive(self, event: Event) -> None:
        kind = event["type"]
        if self._sickness.fault is not None:
            if self._sickness.loses(event):
                return
            if (refused := self._sickness.refuses(event)) is not None:
                error, named = refused
                self._say(self.core.reject(event, error, self._clock.now, named=named))
                return
        if kind in self._failing:
            self._failing.discard(kind)
            self._say(self.core.reject(event, SERVER_ERROR, self._clock.now))
        else:
            self._say(self.core.receive(event, self._clock.now))

    def _say(self, events: list[Event]) -> None:
        if events:
            self._travel(1, lambda: self._arrive(events))
        due = self.core.next_deadline()
        if due is not None and due < self._due:
            self._due = due
            self._clock.at(due, self._advance)

    def _advance(self) -> None:
        self._due = float("inf")
        if self._open:
            self._say(self.core.advance(self._clock.now))

    def _arrive(self, events: list[Event]) -> None:
        for event in events if self._sickness.fault is None else self._sick(events):
            if self._open:
                self._deliver(event)

    def _sick(self, events: list[Event]) -> Iterator[Event]:
        for event in events:
            for frame in self._sickness.frames(event):
                if isinstance(frame, bytes):
                    yield read_frame(frame)

    def _travel(self, direction: int, then: Callable[[], None]) -> None:
        plan, clock = self._plan, self._clock
        delay = plan.distance + plan.jitter * self._random.random()
        self._arrival[direction] = max(self._arrival[direction], clock.now + delay)
        self.on_the_wire += 1

        def arrive() -> None:
            self.on_the_wire -= 1
            if self._open:
                then()

        clock.at(self._arrival[direction], arrive)
