"""P2 to P4, as far as configuration is concerned: what is in force is what was asked for, in order, and acknowledged
when it is true.

The judge applies every accepted request by itself, one after the other. Each configuration that the upstream confirms
must be the effect of a beginning of that series; how many requests went together does not matter.

Left to the upstream's discretion: once it has spoken, it refuses another voice. Then the voice stays, the client is
told by a Warning, and the rest of the request is applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from tests.simulation.judge.facts import Event, Facts, Request, Update
from tests.simulation.judge.violation import Violation
from tests.simulation.script import REFUSED_LANGUAGE
from translator.mapping.defaults import Defaults
from turngate.simulator.session_config import DEFAULT_INSTRUCTIONS, DEFAULT_VOICE

ACKNOWLEDGEMENTS = {
    "Settings": "SettingsApplied",
    "UpdatePrompt": "PromptUpdated",
    "UpdateThink": "ThinkUpdated",
    "UpdateSpeak": "SpeakUpdated",
    "UpdateListen": "ListenUpdated",
}
_REALTIME_VOICES = ("marin", "cedar", "sage", "verse")


@dataclass(frozen=True, slots=True)
class Config:
    """What scripts change."""

    instructions: str = DEFAULT_INSTRUCTIONS
    tools: tuple[str, ...] = ()
    voice: str = DEFAULT_VOICE
    speed: float = 1.0
    modality: str = "audio"
    language: str | None = None
    words: str | None = None
    responds: bool = True
    idle_ms: int | None = None

    @classmethod
    def of(cls, session: Event) -> Config:
        audio_input, output = session["audio"]["input"], session["audio"]["output"]
        transcription, detection = audio_input["transcription"] or {}, audio_input["turn_detection"] or {}
        return cls(
            session["instructions"],
            tuple(tool["name"] for tool in session["tools"]),
            output["voice"],
            output["speed"],
            session["output_modalities"][0],
            transcription.get("language"),
            transcription.get("prompt"),
            detection.get("create_response", True),
            detection.get("idle_timeout_ms"),
        )


def applied(config: Config, message: Event, *, first: bool, defaults: Defaults) -> Config:
    """The configuration after this message; ``first`` for the session's first Settings."""
    match message["type"]:
        case "UpdatePrompt":
            return replace(config, instructions="\n\n".join(filter(None, (config.instructions, message["prompt"]))))
        case "UpdateThink":
            return _thinking(replace(config, instructions="", tools=()), message["think"])
        case "UpdateSpeak":
            provider = message["speak"]["provider"]
            voice = provider.get("voice")
            return replace(
                config,
                voice=voice if voice in _REALTIME_VOICES else config.voice,
                speed=provider.get("speed", 1.0),
            )
        case "UpdateListen":
            return _listening(config, message["listen"]["provider"])
        case _:
            agent = message["agent"]
            config = replace(
                config,
                voice=defaults.voice if first else config.voice,
                responds=defaults.turn_detection.create_response,
                idle_ms=agent.get("idleTimeoutMs") if defaults.turn_detection.kind == "server_vad" else None,
            )
            return _listening(_thinking(config, agent["think"]), agent.get("listen", {}).get("provider", {}))


def _thinking(config: Config, think: Event) -> Config:
    functions = think.get("functions")
    return replace(
        config,
        instructions=think.get("prompt", config.instructions),
        tools=config.tools if functions is None else tuple(function["name"] for function in functions),
        modality=think.get("outputModalities", [config.modality])[0],
    )


def _listening(config: Config, provider: Event) -> Config:
    # What a request leaves out stays as it is, which is how the upstream reads a partial transcription.
    terms = provider.get("keyterms")
    return replace(
        config,
        language=provider.get("language", config.language),
        words=f"Expect these words: {', '.join(terms)}." if terms else config.words,
    )


@dataclass(slots=True)
class _Asked:
    request: Request
    #: The session's first Settings. One that is sent before another was refused is a repeated one all the same.
    first: bool = False
    #: It took effect or was reported: told to the client at this place.
    told: int | None = None
    refused: bool = False


@dataclass(slots=True)
class Timeline:
    """Which requests are in force, after which update."""

    #: The accepted requests that were not refused, in order.
    series: list[Request]
    #: The place at which an update left, and how many of the series are in force with it.
    steps: list[tuple[int, int]]

    def missing(self, place: int) -> list[Request]:
        """What is not in force by the updates that left before this place."""
        return self.series[max((count for sent, count in self.steps if sent < place), default=0) :]


def check(facts: Facts) -> tuple[list[Violation], Timeline | None]:
    """What is wrong, and what was in force when; None where that cannot be told."""
    asked = [_Asked(request) for request in facts.requests if request.accepted and request.kind in ACKNOWLEDGEMENTS]
    found = list(_told(facts, asked))
    if any(message["code"] == "REQUEST_TIMED_OUT" for _, message in facts.of_type("Error")):
        # Which of several requests was given up cannot be told from outside.
        return found, None
    again = _said_again(facts, asked)
    asked = [one for one in asked if one not in again]
    timeline = Timeline([one.request for one in asked if not one.refused], [])
    wrong = list(_confirmed(facts, asked, timeline))
    return [*found, *wrong], None if wrong else timeline


def _told(facts: Facts, asked: list[_Asked]) -> Iterator[Violation]:
    """Each request gets its acknowledgement or its error, by type in order; nothing is acknowledged twice."""
    locked = sum(message["code"] == "SETTING_CANNOT_CHANGE" for _, message in facts.of_type("Warning"))
    for kind, acknowledgement in ACKNOWLEDGEMENTS.items():
        waiting = [one for one in asked if one.request.kind == kind]
        answers = [
            (place, message)
            for place, message in facts.told
            if message["type"] == acknowledgement or (_is_refusal(message, kind) and place not in facts.replies)
        ]
        for place, message in answers:
            one = next((one for one in waiting if one.request.place < place), None)
            if one is None:
                yield Violation("P2", facts.outcome.history[place].at, f"{message} answers no request")
                continue
            waiting.remove(one)
            one.told, one.refused = place, message["type"] == "Error"
            if one.refused and message["code"] == "invalid_value" and not _is_refusable(one.request.message):
                yield Violation("P11", facts.at(place), f"{one.request.message} was refused for another's sake")
        if facts.outcome.cut_short:
            refused = any(update.refused is not None for update in facts.updates.values())
            for one in waiting:
                # The client did not come to hear of it.
                one.refused = refused and _is_refusable(one.request.message)
            continue
        for one in waiting:
            if kind == "Settings" and any(
                other.told is not None and other.request.message == one.request.message for other in asked
            ):
                # A client that returns says them again.
                continue
            if not (locked and "voice" in one.request.message.get("speak", {}).get("provider", {})):
                yield Violation("P3", one.request.at, f"{one.request.message} was neither confirmed nor refused")
    again = _said_again(facts, asked)
    order = [one for one in asked if one.told is not None and not one.refused and one not in again]
    for earlier, later in pairwise(order):
        if (earlier.told or 0) > (later.told or 0):
            yield Violation("P2", later.request.at, f"{later.request.message} was acknowledged before what came first")


def _said_again(facts: Facts, asked: list[_Asked]) -> list[_Asked]:
    """Settings that a client says again when it returns: they are acknowledged at once, and change nothing."""
    said = [one.request.message for one in asked]
    return [
        one
        for place, one in enumerate(asked)
        if one.request.kind == "Settings"
        and one.request.message in said[:place]
        and one.told is not None
        and facts.outcome.history[one.told].at == one.request.at
    ]


def _is_refusable(message: Event) -> bool:
    """Whether the upstream refuses this message's configuration also when it comes alone."""
    agent = message.get("agent", message)
    return "sessionAudioOutput" in agent or REFUSED_LANGUAGE in str(agent.get("listen"))


def _is_refusal(message: Event, kind: str) -> bool:
    return bool(message["type"] == "Error" and message["description"].startswith((f"{kind} ", f"{kind}:")))


def _confirmed(facts: Facts, asked: list[_Asked], timeline: Timeline) -> Iterator[Violation]:
    """Every effective configuration is a beginning of the series of requests, and acknowledgements wait for it."""
    for index, one in enumerate(asked):
        settings = [other for other in asked[:index] if other.request.kind == "Settings"]
        one.first = all(other.refused and (other.told or 0) < one.request.place for other in settings)
    series = [one for one in asked if not one.refused]
    fold = _Fold(series, facts.outcome.plan.defaults)
    updates: list[Update] = []
    for update in facts.updates.values():
        if update.effective is None:
            fold.locked |= update.refused is not None and update.refused["code"] == "cannot_update_voice"
            continue
        wanted = Config.of(update.effective)
        if not fold.reaches(wanted, update.sent):
            at = facts.outcome.history[update.sent].at
            yield Violation("P4", at, f"{wanted} is in force, which is not what was asked for after {fold.config}")
            return
        updates.append(update)
    steps = list(zip(updates, fold.in_force(), strict=True))
    timeline.steps += [(update.sent, count) for update, count in steps]
    confirmed = [(update.confirmed, count) for update, count in steps if update.confirmed is not None]
    for index, one in enumerate(series):
        if one.told is not None and not any(place < one.told and index < count for place, count in confirmed):
            at = facts.outcome.history[one.told].at
            yield Violation("P2", at, f"{one.request.message} was acknowledged before it was confirmed")
    contained = steps[-1][1] if steps else fold.with_what_changes_nothing(0)
    if not facts.outcome.cut_short and contained < len(series):
        yield Violation("P3", 0.0, f"{series[contained].request.message} never took effect")


@dataclass(frozen=True, slots=True)
class _End:
    """Where an update may have brought the series to."""

    #: How many requests are in force then, those that follow and change nothing included.
    in_force: int
    #: How many it contained before that update, any of these.
    begins: set[int]


class _Fold:
    """How much of the series the effective configuration contains.

    The upstream does not say. Where requests take each other back, more than one beginning of the series makes the
    same configuration: all of them are kept in mind until what comes later decides.
    """

    def __init__(self, series: list[_Asked], defaults: Defaults) -> None:
        self.config = Config()
        #: The upstream keeps its voice from now on.
        self.locked = False
        self._series = series
        self._defaults = defaults
        #: For each update, by how many requests it may contain.
        self._steps: list[dict[int, _End]] = []

    def reaches(self, wanted: Config, before: int) -> bool:
        """Go on to every beginning of the series that makes ``wanted``, of what was asked for before a place; False
        when none does."""
        ends: defaultdict[int, set[int]] = defaultdict(set)
        for begin in self._steps[-1] if self._steps else (0,):
            for end in self._ends(begin, wanted, before):
                ends[end].add(begin)
        if not ends:
            return False
        self.config = wanted
        self._steps.append({n: _End(self.with_what_changes_nothing(n), begins) for n, begins in ends.items()})
        return True

    def in_force(self) -> list[int]:
        """For each update, the most requests that can have been in force with it, given what came later."""
        counts: list[int] = []
        possible: set[int] | None = None
        for step in reversed(self._steps):
            ends = [end for n, end in step.items() if possible is None or n in possible]
            counts.append(max(end.in_force for end in ends))
            possible = set().union(*(end.begins for end in ends))
        return counts[::-1]

    def with_what_changes_nothing(self, count: int) -> int:
        """How many requests are in force where these are, those that follow and change nothing included."""
        while count < len(self._series) and self._same(self._after(self.config, count), self.config):
            count += 1
        return count

    def _ends(self, begin: int, wanted: Config, before: int) -> Iterator[int]:
        config = self.config
        if config == wanted:
            yield begin
        for index in range(begin, len(self._series)):
            if self._series[index].request.place > before:
                return
            config = self._after(config, index)
            if self._same(config, wanted):
                yield index + 1

    def _after(self, config: Config, index: int) -> Config:
        one = self._series[index]
        return applied(config, one.request.message, first=one.first, defaults=self._defaults)

    def _same(self, config: Config, other: Config) -> bool:
        return config == other or (self.locked and replace(config, voice=other.voice) == other)
