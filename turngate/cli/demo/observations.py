"""The observations of a demo run: by the client, by session-state, and by the upstream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from turngate.cli.demo.script import Scenario, Step
from turngate.cli.messages import Message

#: ``sent`` and ``received``: messages on the client's socket; ``heard``: the agent's audio; ``speech``: the start or
#: end of a recording; ``held``: session-state's list of held requests of this session; ``fault``: what was cut or
#: killed on purpose; ``notice``: what the client says about its connection.
Source = Literal["sent", "received", "heard", "speech", "held", "fault", "notice"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation of the demo's client."""

    #: In epoch seconds, as in the upstream's record.
    at: float
    #: The names of the current scenario and step.
    scenario: str
    step: str
    source: Source
    message: Message

    @property
    def type(self) -> str:
        """The message's type; empty if it has none."""
        kind: str = self.message.get("type", "")
        return kind


@dataclass(frozen=True, slots=True)
class UpstreamEvent:
    """One event in the upstream's record."""

    at: float
    #: From the upstream's point of view: ``received`` from the gateway, or ``sent`` to it.
    direction: Literal["received", "sent"]
    event: Message
    #: The id of the default conversation's active response before this event took effect.
    active_response: str | None

    @property
    def type(self) -> str:
        """The event's type; empty if the frame had none."""
        kind: str = self.event.get("type", "")
        return kind


@dataclass(frozen=True, slots=True)
class UpstreamRecord:
    """The upstream's record of one session."""

    entries: tuple[UpstreamEvent, ...]
    #: Violations detected by the upstream: a ``session.update`` or ``response.create`` during an active response.
    violations: tuple[Message, ...] = ()

    def of_type(self, *types: str) -> list[UpstreamEvent]:
        """The entries of these types, in order."""
        return [entry for entry in self.entries if entry.type in types]


@dataclass(frozen=True, slots=True)
class DemoRun:
    """The script and all observations made while it ran."""

    script: tuple[Scenario, ...]
    observations: tuple[Observation, ...]
    #: By scenario. A scenario is missing if the upstream has no record of it.
    records: Mapping[str, UpstreamRecord] = field(default_factory=dict)
    #: Whether session-state was queried for held requests.
    watched: bool = False

    def select(self, scenario: Scenario, step: Step | None = None) -> list[Observation]:
        """The observations of one scenario, or of one of its steps, in order."""
        return [
            seen
            for seen in self.observations
            if seen.scenario == scenario.name and (step is None or seen.step == step.name)
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of the agent: text, audio, or both. Function calls alone are not a reply."""

    began: float
    ended: float | None
    text: str
    audio_bytes: int


def replies(seen: Iterable[Observation]) -> list[Reply]:
    """The agent's replies, in order. The last one may be unfinished."""
    found: list[Reply] = []
    began: float | None = None
    words: list[str] = []
    audio = 0

    def close(ended: float | None) -> None:
        nonlocal began, audio
        if began is not None and (words or audio):
            found.append(Reply(began, ended, " ".join(words), audio))
        began, audio = None, 0
        words.clear()

    for one in seen:
        if one.source == "heard":
            began = one.at if began is None else began
            audio += one.message["bytes"]
        elif one.source == "received" and one.type == "AgentStartedSpeaking":
            close(None)
            began = one.at
        elif one.source == "received" and one.type == "ConversationText" and _spoken(one.message):
            began = one.at if began is None else began
            words.append(one.message["content"])
        elif one.source == "received" and one.type in {"AgentAudioDone", "AgentDone"}:
            close(one.at)
    close(None)
    return found


def _spoken(message: Message) -> bool:
    """Whether this is spoken text. The ``/openai`` dialect also reports function calls as `ConversationText`."""
    return message["role"] == "assistant" and not message["content"].startswith("Function call:")


def parse_record(session: Mapping[str, Any]) -> UpstreamRecord:
    """Parse one session of the simulator's ``/record``."""
    return UpstreamRecord(
        entries=tuple(
            UpstreamEvent(entry["at"], entry["direction"], entry["event"], entry["slot"]["active_response"])
            for entry in session["entries"]
        ),
        violations=tuple(session["violations"]),
    )


def find_record(sessions: Iterable[Mapping[str, Any]], mark: str) -> UpstreamRecord | None:
    """The newest session of the simulator's ``/record`` whose instructions contained ``mark``.

    None also if entries were dropped from its record, since an incomplete record cannot be checked.
    """
    for session in reversed(list(sessions)):
        if session["dropped"]:
            continue
        record = parse_record(session)
        if any(mark in instructions(entry) for entry in record.of_type("session.update")):
            return record
    return None


def instructions(entry: UpstreamEvent) -> str:
    """The instructions in a ``session.update`` or ``session.updated``; empty if it has none."""
    found = entry.event.get("session", {}).get("instructions")
    return found if isinstance(found, str) else ""
