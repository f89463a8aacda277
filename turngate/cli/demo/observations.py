"""What was seen during the demo: by its client, by session-state, and by the upstream itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from turngate.cli.demo.script import Scene, Step
from turngate.cli.messages import Message

#: ``sent`` and ``received``: messages on the public socket; ``heard``: the agent's audio; ``speech``: a recording that
#: begins or ends on its way out; ``held``: session-state's answer about this session when something waited there.
Source = Literal["sent", "received", "heard", "speech", "held"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that happened, as the demo's client saw it."""

    #: Epoch seconds, like the upstream's record.
    at: float
    #: The names of the scene and the step that were under way.
    scene: str
    step: str
    source: Source
    message: Message

    @property
    def type(self) -> str:
        """The message's type; empty when it has none."""
        kind: str = self.message.get("type", "")
        return kind


@dataclass(frozen=True, slots=True)
class Entry:
    """One event on the upstream wire, as the upstream wrote it down when it came or went."""

    at: float
    #: Seen from the upstream: ``received`` from the gateway, ``sent`` to it.
    direction: Literal["received", "sent"]
    event: Message
    #: The default conversation's response that was active just before this event took effect.
    active_response: str | None

    @property
    def type(self) -> str:
        """The event's type; empty for a frame without one."""
        kind: str = self.event.get("type", "")
        return kind


@dataclass(frozen=True, slots=True)
class Record:
    """What the upstream wrote down about one session."""

    entries: tuple[Entry, ...]
    #: What the upstream itself calls a violation: configuration or a response asked for into an active response.
    violations: tuple[Message, ...] = ()

    def of_type(self, *types: str) -> list[Entry]:
        """The entries of these types, in order."""
        return [entry for entry in self.entries if entry.type in types]


@dataclass(frozen=True, slots=True)
class Performance:
    """The script and everything that was seen while it was performed."""

    script: tuple[Scene, ...]
    observations: tuple[Observation, ...]
    #: By scene; a scene that is missing has no record, because the upstream keeps none.
    records: Mapping[str, Record] = field(default_factory=dict)
    #: Whether session-state was asked what it held.
    watched: bool = False

    def select(self, scene: Scene, step: Step | None = None) -> list[Observation]:
        """What was seen in one scene, or in one step of it, in order."""
        return [
            seen for seen in self.observations if seen.scene == scene.name and (step is None or seen.step == step.name)
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent said between two ends of a reply: words, audio, or both. Calls alone are no reply."""

    began: float
    ended: float | None
    text: str
    audio_bytes: int


def replies(seen: Iterable[Observation]) -> list[Reply]:
    """The agent's replies, in order. The last one may not have ended."""
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
    """The agent's words; the ``/openai`` dialect also reports calls as text."""
    return message["role"] == "assistant" and not message["content"].startswith("Function call:")


def parse_record(session: Mapping[str, Any]) -> Record:
    """Read one session of the simulator's ``/record``."""
    return Record(
        entries=tuple(
            Entry(entry["at"], entry["direction"], entry["event"], entry["slot"]["active_response"])
            for entry in session["entries"]
        ),
        violations=tuple(session["violations"]),
    )


def find_record(sessions: Iterable[Mapping[str, Any]], mark: str) -> Record | None:
    """The newest session of the simulator's ``/record`` that was configured with instructions containing ``mark``.

    None also when the record is no longer complete: what was dropped from it cannot be judged.
    """
    for session in reversed(list(sessions)):
        if session["dropped"]:
            continue
        record = parse_record(session)
        if any(mark in instructions(entry) for entry in record.of_type("session.update")):
            return record
    return None


def instructions(entry: Entry) -> str:
    """The instructions in a ``session.update`` or ``session.updated``; empty when it carries none."""
    found = entry.event.get("session", {}).get("instructions")
    return found if isinstance(found, str) else ""
