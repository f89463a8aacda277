"""Builds the observations and records of a correct demo run, which tests modify to inject faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from turngate.cli.demo.observations import DemoRun, Observation, Source, UpstreamEvent, UpstreamRecord
from turngate.cli.demo.script import OPENING, Scenario, Step, killed_gateway, lost_connection, prompt_of, script
from turngate.cli.functions import load_functions
from turngate.cli.wav import Recording
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS

#: Something that goes wrong in a correct run.
Fault = Callable[[DemoRun], DemoRun]

START = 1_000.0
MARK = "0a1b2c3d"
SCRIPT = (
    *script(
        load_functions(Path("turngate/cli/demo/functions.json")),
        {
            name: Recording(f"{name}.wav", rate, bytes(rate))
            for name, rate in (("hello", 16000), ("rivers", 16000), ("goodbye", 24000))
        },
        MARK,
    ),
    lost_connection(MARK),
    killed_gateway(MARK),
)


class RunBuilder:
    """Generates the events of client, gateway and upstream; each is 10 ms after the previous one."""

    def __init__(self) -> None:
        self.now = START
        self.seen: list[Observation] = []
        self.entries: list[UpstreamEvent] = []
        self.scenario = ""
        self.step = OPENING
        self.active: str | None = None
        self.instructions = ""
        self.count = 0

    def tick(self) -> float:
        self.now += 0.01
        return self.now

    def note(self, source: Source, **message: Any) -> None:
        self.seen.append(Observation(self.tick(), self.scenario, self.step, source, message))

    def upstream(self, direction: Any, **event: Any) -> None:
        self.entries.append(UpstreamEvent(self.tick(), direction, event, self.active))

    def configure(self, *updates: dict[str, Any]) -> None:
        """Send these requests in one ``session.update``, confirm and acknowledge them."""
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

    def interrupted_reply(self, step: Step) -> None:
        """A reply that goes on after what it was on was cut or killed."""
        words = ["word"] * step.words
        self.begin()
        self.note("heard", bytes=4800)
        self.note("fault", description="it is lost")
        if step.kill:
            self.note("received", type="Welcome", resumed=True)
        self.note("received", type="ConversationText", role="assistant", content=" ".join(words[:20]))
        self.note("heard", bytes=4800)
        self.note("received", type="ConversationText", role="assistant", content=" ".join(words[20:]))
        self.end()

    def run(self, scenario: Scenario) -> None:
        self.scenario, self.step = scenario.name, OPENING
        self.note("sent", **scenario.opening)
        self.configure(scenario.opening)
        if scenario.greeted:
            self.reply(scenario.opening["agent"]["greeting"])
        for step in scenario.steps:
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
        if step.cut or step.kill:
            self.interrupted_reply(step)
        else:
            self.reply(f"Well: {' '.join(step.mentions)}", step.updates)


def correct_run() -> DemoRun:
    """A run of the whole script in which everything is correct."""
    seen: list[Observation] = []
    records: dict[str, UpstreamRecord] = {}
    now = START
    for scenario in SCRIPT:
        builder = RunBuilder()
        builder.now = now
        builder.run(scenario)
        seen += builder.seen
        records[scenario.name] = UpstreamRecord(tuple(builder.entries))
        now = builder.now + 1
    return DemoRun(SCRIPT, tuple(seen), records, watched=True)


def is_(kind: str, step: str | None = None, **fields: Any) -> Callable[[Observation], bool]:
    return lambda one: (
        one.type == kind
        and (step is None or one.step == step)
        and all(one.message.get(name) == value for name, value in fields.items())
    )


def with_message(**fields: Any) -> Callable[[Observation], Observation]:
    return lambda one: replace(one, message=one.message | fields)


def without(demo_run: DemoRun, unwanted: Callable[[Observation], bool], *, only_first: bool = True) -> DemoRun:
    """The run without the first (or without all) of these observations."""
    kept, dropped = [], 0
    for one in demo_run.observations:
        if unwanted(one) and (not only_first or not dropped):
            dropped += 1
        else:
            kept.append(one)
    assert dropped, "no observation matches"
    return replace(demo_run, observations=tuple(kept))


def twice(demo_run: DemoRun, wanted: Callable[[Observation], bool]) -> DemoRun:
    """The run with the first of these observations duplicated."""
    place = next(place for place, one in enumerate(demo_run.observations) if wanted(one))
    seen = list(demo_run.observations)
    seen.insert(place, seen[place])
    return replace(demo_run, observations=tuple(seen))


def changed(
    demo_run: DemoRun, wanted: Callable[[Observation], bool], change: Callable[[Observation], Observation]
) -> DemoRun:
    """The run with the last of these observations changed."""
    seen = list(demo_run.observations)
    place = max(place for place, one in enumerate(seen) if wanted(one))
    seen[place] = change(seen[place])
    return replace(demo_run, observations=tuple(sorted(seen, key=lambda one: one.at)))


def recorded(
    demo_run: DemoRun, change: Callable[[list[UpstreamEvent]], list[UpstreamEvent]], scenario: int = 0
) -> DemoRun:
    """The run with the upstream's record of one scenario changed."""
    name = SCRIPT[scenario].name
    record = demo_run.records[name]
    entries = tuple(sorted(change(list(record.entries)), key=lambda entry: entry.at))
    return replace(demo_run, records={**demo_run.records, name: replace(record, entries=entries)})
