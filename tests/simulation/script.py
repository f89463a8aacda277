"""What a client does: a list of steps, each with its moment, drawn from a seed.

A step waits for its cue (an event on the gateway's wire), or for a while if that does not come, and then for its gap:
so that scripts meet the moments in which things go wrong. Everything a client says carries a mark of its own, by which
the judge finds its effect again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import Any

import orjson

from gateway.dialect import AGENT, COMPONENT, Dialect


class Do(Enum):
    """What a step is."""

    SAY = "say"
    #: A text frame that is no message.
    BABBLE = "babble"
    #: Speech for a while, then silence.
    SPEAK = "speak"
    #: A whole spoken turn in one instant, as a client sends it that was held up.
    BLURT = "blurt"
    #: The upstream makes an out-of-band response, which nobody here asked for.
    ASIDE = "aside"
    HANG_UP = "hang up"
    #: The client's connection is lost, and it returns after a while.
    RETURN = "lose client"
    #: The upstream closes the connection.
    LOSE_UPSTREAM = "lose upstream"
    #: The upstream answers the next event of a type with a ``server_error``, once.
    FAIL_UPDATE = "session.update"
    FAIL_CREATE = "response.create"


@dataclass(frozen=True, slots=True)
class Step:
    do: Do
    #: Seconds, after the cue or the step before.
    gap: float = 0.0
    #: The type of an event that the gateway sends (``>``) or gets (``<``).
    cue: str | None = None
    message: dict[str, Any] | None = None
    #: Seconds of speech.
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a client answers one function call: after these delays (seconds), each with a result; never when empty."""

    delays: tuple[float, ...]
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    dialect: Dialect
    steps: tuple[Step, ...]
    #: By the mark in a call's arguments.
    answers: dict[str, Answer]

    @property
    def returns(self) -> bool:
        """Whether the client loses its connection and comes back."""
        return any(step.do is Do.RETURN for step in self.steps)


CUES = (
    ">response.create",
    ">session.update",
    ">conversation.item.create",
    "<response.created",
    "<response.done",
    "<session.updated",
    "<input_audio_buffer.speech_started",
    "<input_audio_buffer.committed",
    "<response.output_item.done",
)
#: A language that the upstream refuses.
REFUSED_LANGUAGE = "klingon"
TOOLS = ("get_weather", "get_time", "book_table")
VOICES = ("cedar", "marin", "sage", "verse")


def draw(random: Random, name: str, *, call_timeout: float, hostile: bool) -> Script:
    """One client's script. ``name`` makes its marks unique; ``call_timeout`` in seconds; ``hostile`` adds steps that
    end sessions or make the upstream fail."""
    return _Writer(random, name, call_timeout, hostile).script()


def without_idle_timeout(given: Script) -> Script:
    """The same script, in which the upstream never responds to silence."""
    for step in given.steps:
        if step.message is not None:
            step.message.get("agent", {}).pop("idleTimeoutMs", None)
    return given


def with_a_bad_line(given: Script, random: Random) -> Script:
    """The same script; of one client in five the connection is lost now and then, and it returns."""
    if random.random() >= 0.2:
        return given
    steps: list[Step] = []
    for step in given.steps:
        steps.append(step)
        if random.random() < 0.25:
            cue, gap = (random.choice(CUES), 0.0) if random.random() < 0.5 else (None, random.uniform(0.0, 0.5))
            steps.append(Step(Do.RETURN, gap, cue, seconds=random.choice((0.0, 0.05, 0.5, 3.0))))
    return replace(given, steps=tuple(steps))


class _Writer:
    def __init__(self, random: Random, name: str, call_timeout: float, hostile: bool) -> None:
        self._random = random
        self._name = name
        self._call_timeout = call_timeout
        self._hostile = hostile
        self._marks = 0
        self._answers: dict[str, Answer] = {}
        self._dialect = COMPONENT if random.random() < 0.65 else AGENT
        self._audible = random.random() < 0.35
        self._speaks = random.random() < 0.55
        #: The connection to the upstream is bad.
        self._loses = random.random() < 0.25

    def script(self) -> Script:
        random = self._random
        steps: list[Step] = []
        if self._dialect is COMPONENT:
            if random.random() < 0.15:
                steps.append(Step(Do.SAY, 0.0, message=self._text()))
            if random.random() < 0.05:
                refused = {"format": {"type": "audio/pcmu"}}
                steps.append(Step(Do.SAY, 0.1, message=self._settings(sessionAudioOutput=refused)))
                steps.append(Step(Do.SAY, 2.0, message=self._settings()))
            else:
                steps.append(Step(Do.SAY, 0.1, message=self._settings()))
        else:
            steps.append(Step(Do.SAY, 0.05, message=self._settings()))
        for _ in range(random.randint(2, 9)):
            steps += self._some()
        return Script(self._dialect, tuple(steps), self._answers)

    def _some(self) -> list[Step]:
        random = self._random
        cue, gap = self._moment()
        if self._loses and random.random() < 0.25:
            return [Step(Do.LOSE_UPSTREAM, gap, cue)]
        choice = random.random()
        if choice < 0.28:
            return [Step(Do.SAY, gap, cue, self._text())]
        if choice < 0.36:
            return [
                Step(Do.SAY, gap, cue, self._text()),
                *(
                    Step(Do.SAY, random.choice((0.0, 0.0, 0.03)), message=self._text())
                    for _ in range(random.randint(1, 4))
                ),
            ]
        if choice < 0.60:
            return [Step(Do.SAY, gap, cue, self._update()) for _ in range(random.choice((1, 1, 2, 3)))]
        if choice < 0.72:
            return [Step(Do.SAY, gap, cue, self._text(calls=random.choice((1, 1, 2, 3))))]
        if choice < 0.80:
            return [Step(Do.SAY, gap, cue, self._words())]
        if choice < 0.94 and self._speaks:
            return self._speech(cue, gap)
        if choice < 0.95:
            return [Step(Do.ASIDE, gap, cue)]
        if choice < 0.965:
            unknown = {"type": "FunctionCallResponse", "id": f"call_{self._mark()}", "name": TOOLS[0], "content": "?"}
            return [Step(Do.SAY, gap, cue, unknown)]
        if choice < 0.98:
            return [Step(Do.BABBLE, gap, cue)]
        if self._hostile:
            return [Step(random.choice((Do.HANG_UP, Do.HANG_UP, Do.FAIL_UPDATE, Do.FAIL_CREATE)), gap, cue)]
        return [Step(Do.SAY, gap, cue, {"type": "KeepAlive"})]

    def _speech(self, cue: str | None, gap: float) -> list[Step]:
        random = self._random
        speech = Step(Do.SPEAK if random.random() < 0.5 else Do.BLURT, gap, cue, seconds=random.choice((0.1, 0.3, 1.0)))
        choice = random.random()
        if choice < 0.3:
            return [speech]
        if choice < 0.45:
            return [speech, replace(speech, gap=random.uniform(0.0, 0.1), cue=None)]
        if choice < 0.65:
            # Two ways to interrupt a reply meet.
            talk_over = replace(speech, cue="<response.created", gap=random.uniform(0.0, 0.3))
            return [talk_over, Step(Do.SAY, random.uniform(0.0, 0.05), message=self._words("interrupt"))]
        # Whatever needs a turn meets the one that the upstream is about to take.
        message = random.choice((self._text, self._update, self._words))()
        return [speech, Step(Do.SAY, random.choice((0.0, random.uniform(0.0, 0.5))), message=message)]

    def _moment(self) -> tuple[str | None, float]:
        random = self._random
        if random.random() < 0.55:
            return random.choice(CUES), random.choice((0.0, 0.0, 0.001, 0.01, random.uniform(0.0, 0.4)))
        return None, random.choice((0.0, 0.02, 0.1, 0.4, 1.0, 2.0))

    def _mark(self) -> str:
        self._marks += 1
        return f"{self._name}{self._marks}"

    def _text(self, calls: int = 0) -> dict[str, Any]:
        random = self._random
        words = [f"Consider {self._mark()}"]
        for tool in TOOLS[:calls]:
            mark = self._mark()
            self._answers[mark] = self._answer()
            words.append(f"[call {tool} {orjson.dumps({'mark': mark}).decode()}]")
        if random.random() < 0.25:
            words.append(f"[say {random.choice((30, 60))} words]")
        elif random.random() < 0.03:
            words.append("[fail]")
        return {"type": "InjectUserMessage", "content": " ".join(words)}

    def _words(self, behaviour: str | None = None) -> dict[str, Any]:
        behaviour = behaviour or self._random.choice(("default", "queue", "queue", "interrupt", "interrupt"))
        return {"type": "InjectAgentMessage", "message": f"Hear {self._mark()}", "behavior": behaviour}

    def _answer(self) -> Answer:
        random = self._random
        delay = random.choice((0.0, 0.0, 0.01, 0.1, 0.5, 2.0))
        choice = random.random()
        if choice < 0.75:
            return Answer((delay,), by_name=delay < self._call_timeout / 2 and random.random() < 0.1)
        if choice < 0.85:
            return Answer((delay, delay + random.choice((0.0, 0.3))))
        if choice < 0.93:
            return Answer(())
        return Answer((self._call_timeout + random.choice((-0.05, 0.0, 0.05, 1.0)),))

    def _update(self) -> dict[str, Any]:
        random = self._random
        choice = random.random()
        if choice < 0.35:
            return {"type": "UpdatePrompt", "prompt": f"Mind {self._mark()}."}
        if choice < 0.55:
            return {"type": "UpdateThink", "think": self._think()}
        if choice < 0.75:
            provider: dict[str, Any] = {"type": "open_ai"}
            if random.random() < 0.6:
                provider["voice"] = random.choice((*VOICES, "nobody"))
            if random.random() < 0.6:
                provider["speed"] = random.choice((0.8, 0.9, 1.1, 1.2))
            return {"type": "UpdateSpeak", "speak": {"provider": provider}}
        if choice < 0.9 or (self._dialect is AGENT and random.random() < 0.8):
            listen = self._listen()
            if "language" in listen and self._marks % 5 == 4:
                listen["language"] = REFUSED_LANGUAGE
            return {"type": "UpdateListen", "listen": {"provider": listen}}
        return self._settings()

    def _think(self) -> dict[str, Any]:
        random = self._random
        think: dict[str, Any] = {"provider": {"type": "open_ai", "model": "gpt-realtime"}}
        if random.random() < 0.85:
            think["prompt"] = f"Be {self._mark()}."
        if random.random() < 0.85:
            think["functions"] = [{"name": tool} for tool in TOOLS]
        think["outputModalities"] = ["audio"] if self._audible and random.random() < 0.7 else ["text"]
        return think

    def _listen(self) -> dict[str, Any]:
        random = self._random
        listen: dict[str, Any] = {"type": "deepgram"}
        if random.random() < 0.6:
            listen["language"] = random.choice(("en", "no", "de"))
        if random.random() < 0.6:
            listen["keyterms"] = [self._mark()]
        return listen

    def _settings(self, **agent: Any) -> dict[str, Any]:
        random = self._random
        agent["think"] = self._think()
        if random.random() < 0.3:
            agent["listen"] = {"provider": self._listen()}
        if random.random() < 0.3:
            agent["greeting"] = f"Welcome {self._mark()}"
        if random.random() < 0.1:
            agent["context"] = {"messages": [{"type": "History", "role": "user", "content": f"Before {self._mark()}"}]}
        if random.random() < 0.1 and self._speaks:
            agent["idleTimeoutMs"] = 5000
        return {"type": "Settings", "audio": {"input": {"encoding": "linear16", "sample_rate": 24000}}, "agent": agent}
