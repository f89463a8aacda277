"""A faultless performance of the demo's script, made up event by event, for tests to put faults into."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from turngate.cli.demo.observations import Entry, Observation, Performance, Record, Source
from turngate.cli.demo.script import OPENING, Scene, Step, prompt_of, script
from turngate.cli.functions import load_functions
from turngate.cli.wav import Recording
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS

START = 1_000.0
MARK = "0a1b2c3d"
SCRIPT = script(
    load_functions(Path("turngate/cli/demo/functions.json")),
    {
        name: Recording(f"{name}.wav", rate, bytes(rate))
        for name, rate in (("hello", 16000), ("rivers", 16000), ("goodbye", 24000))
    },
    MARK,
)


class Stage:
    """Plays client, server and upstream at once; every event is 10 ms after the one before."""

    def __init__(self) -> None:
        self.now = START
        self.seen: list[Observation] = []
        self.entries: list[Entry] = []
        self.scene = ""
        self.step = OPENING
        self.active: str | None = None
        self.instructions = ""
        self.count = 0

    def tick(self) -> float:
        self.now += 0.01
        return self.now

    def note(self, source: Source, **message: Any) -> None:
        self.seen.append(Observation(self.tick(), self.scene, self.step, source, message))

    def upstream(self, direction: Any, **event: Any) -> None:
        self.entries.append(Entry(self.tick(), direction, event, self.active))

    def configure(self, *updates: dict[str, Any]) -> None:
        """What was asked for goes out in one update and is confirmed."""
        for update in updates:
            prompt = prompt_of(update)
            self.instructions = prompt if update["type"] == "Settings" else f"{self.instructions}\n{prompt}"
        session = {"instructions": self.instructions}
        self.upstream("received", type="session.update", session=session)
        self.upstream("sent", type="session.updated", session=session)
        for update in updates:
            self.note("received", type=ACKNOWLEDGEMENTS[update["type"]])

    def begin(self) -> None:
        self.count += 1
        response = {"id": f"resp_{self.count}", "conversation_id": "conv_1", "status": "in_progress"}
        self.upstream("received", type="response.create", response={})
        self.upstream("sent", type="response.created", response=response)
        self.active = response["id"]
        self.note("received", type="AgentStartedSpeaking")

    def end(self) -> None:
        response = {"id": self.active, "conversation_id": "conv_1", "status": "completed"}
        self.upstream("sent", type="response.done", response=response)
        self.active = None
        self.note("received", type="AgentAudioDone")
        self.note("received", type="AgentDone")

    def reply(self, text: str, updates: tuple[dict[str, Any], ...] = ()) -> None:
        self.begin()
        self.note("received", type="ConversationText", role="assistant", content=text)
        for update in updates:
            self.note("sent", **update)
        if updates:
            self.note("held", held=[{"kind": "configuration", "seq": 7}])
        self.note("heard", bytes=4800)
        self.note("heard", bytes=4800)
        self.end()
        if updates:
            self.configure(*updates)

    def perform(self, scene: Scene) -> None:
        self.scene, self.step = scene.name, OPENING
        self.note("sent", **scene.opening)
        self.configure(scene.opening)
        if scene.greeted:
            self.reply(scene.opening["agent"]["greeting"])
        for step in scene.steps:
            self.step = step.name
            self.take(step)

    def take(self, step: Step) -> None:
        if step.recording is not None:
            self.note("speech", description=f"speaking: {step.recording.name}")
            self.note("received", type="UserStartedSpeaking")
            self.note("received", type="ConversationText", role="user", content="(speech)")
        else:
            self.note("sent", type="InjectUserMessage", content=step.text)
            self.note("received", type="ConversationText", role="user", content=step.text)
        if step.calls:
            self.begin()
            for number, call in enumerate(step.calls):
                wanted = {"id": f"call_{number}", "name": call.name, "arguments": json.dumps(call.arguments)}
                self.note("received", type="FunctionCallRequest", functions=[wanted])
            for number, call in enumerate(step.calls):
                self.note("sent", type="FunctionCallResponse", id=f"call_{number}", name=call.name, content="{}")
            self.end()
        self.reply(f"Well: {' '.join(step.mentions)}", step.updates)


def faultless() -> Performance:
    """The whole script, performed as it should be."""
    seen: list[Observation] = []
    records: dict[str, Record] = {}
    now = START
    for scene in SCRIPT:
        stage = Stage()
        stage.now = now
        stage.perform(scene)
        seen += stage.seen
        records[scene.name] = Record(tuple(stage.entries))
        now = stage.now + 1
    return Performance(SCRIPT, tuple(seen), records, watched=True)


def without(
    performance: Performance, unwanted: Callable[[Observation], bool], *, only_first: bool = True
) -> Performance:
    """The performance without the first observation (or all) that this is true of."""
    kept, dropped = [], 0
    for one in performance.observations:
        if unwanted(one) and (not only_first or not dropped):
            dropped += 1
        else:
            kept.append(one)
    assert dropped, "the fault hits nothing"
    return replace(performance, observations=tuple(kept))


def twice(performance: Performance, wanted: Callable[[Observation], bool]) -> Performance:
    """The performance with the first such observation seen twice."""
    place = next(place for place, one in enumerate(performance.observations) if wanted(one))
    seen = list(performance.observations)
    seen.insert(place, seen[place])
    return replace(performance, observations=tuple(seen))


def changed(
    performance: Performance, wanted: Callable[[Observation], bool], change: Callable[[Observation], Observation]
) -> Performance:
    """The performance with the last such observation changed."""
    seen = list(performance.observations)
    place = max(place for place, one in enumerate(seen) if wanted(one))
    seen[place] = change(seen[place])
    return replace(performance, observations=tuple(sorted(seen, key=lambda one: one.at)))


def recorded(performance: Performance, change: Callable[[list[Entry]], list[Entry]], scene: int = 0) -> Performance:
    """The performance with another record of one scene."""
    name = SCRIPT[scene].name
    record = performance.records[name]
    entries = tuple(sorted(change(list(record.entries)), key=lambda entry: entry.at))
    return replace(performance, records={**performance.records, name: replace(record, entries=entries)})
