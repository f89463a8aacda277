"""The script of the demo: scenarios with their steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from turngate.cli.functions import Functions
from turngate.cli.messages import AGENT_PATH, COMPONENT_PATH, Message, settings, update_prompt
from turngate.cli.wav import Recording

#: The name of the first step of every scenario: `Settings`, and the greeting if there is one.
OPENING = "settings"


@dataclass(frozen=True, slots=True)
class Call:
    """A function call that the model is expected to make."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of the user, as text or speech (exactly one of them), and the expected results."""

    name: str
    text: str | None = None
    recording: Recording | None = None
    calls: tuple[Call, ...] = ()
    #: Words that the reply must contain, ignoring case: the results of calls, or what was said before.
    mentions: tuple[str, ...] = ()
    #: Sent as soon as the reply has begun; they must be held until its end.
    updates: tuple[Message, ...] = ()
    #: In the middle of the reply, the connection to the upstream is cut.
    cut: bool = False
    #: In the middle of the reply, the gateway is killed.
    kill: bool = False
    #: The number of words that the reply has if the upstream is the simulator; 0 if that does not matter.
    words: int = 0


#: Of a session that loses a connection: a reply that is long enough to lose it meanwhile, and what only a model can
#: answer that knows what was said before.
_STORY_WORDS = 60
_STORY = f"My name is Ada. Tell me a story of about sixty words. [say {_STORY_WORDS} words]"
_MEMORY = Step("after it", text="What is my name?", mentions=("Ada",))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One session on one path."""

    name: str
    path: str
    opening: Message
    steps: tuple[Step, ...]
    functions: Functions = field(default_factory=Functions)

    @property
    def greeted(self) -> bool:
        """Whether the settings contain a greeting."""
        return "greeting" in self.opening["agent"]

    @property
    def cut(self) -> bool:
        """Whether the connection to the upstream is lost in it, so that the upstream has more than one record of it."""
        return any(step.cut or step.kill for step in self.steps)

    @property
    def updates(self) -> tuple[Message, ...]:
        """All configuration requests of the scenario, in order."""
        return (self.opening, *(update for step in self.steps for update in step.updates))


def lost_connection(mark: str) -> Scenario:
    """A session whose connection to the upstream is cut in the middle of a reply."""
    return Scenario(
        name="Lost connection",
        path=AGENT_PATH,
        opening=settings(f"You are the guide of the demo {mark}/lost. Answer briefly."),
        steps=(Step("cut in the middle of a reply", text=_STORY, cut=True, words=_STORY_WORDS), _MEMORY),
    )


def killed_gateway(mark: str) -> Scenario:
    """A session whose gateway is killed in the middle of a reply; another one goes on with it."""
    return Scenario(
        name="Killed gateway",
        path=AGENT_PATH,
        opening=settings(
            f"You are the guide of the demo {mark}/killed. Answer briefly.", greeting="Hello! You are greeted once."
        ),
        steps=(Step("killed in the middle of a reply", text=_STORY, kill=True, words=_STORY_WORDS), _MEMORY),
    )


def prompt_of(update: Message) -> str:
    """The text that `Settings` or `UpdatePrompt` adds to the upstream's instructions."""
    prompt: str = update["prompt"] if update["type"] == "UpdatePrompt" else update["agent"]["think"]["prompt"]
    return prompt


def script(functions: Functions, recordings: dict[str, Recording], mark: str) -> tuple[Scenario, ...]:
    """The demo's two scenarios.

    ``recordings`` are ``hello``, ``rivers`` (with the same sample rate) and ``goodbye``. ``mark`` is added to the
    instructions of every scenario, so that its session can be found in the upstream's record. The text in brackets
    controls the simulator; a real model follows the rest.
    """
    hello, rivers, goodbye = recordings["hello"], recordings["rivers"], recordings["goodbye"]
    declarations = functions.declarations()
    guide = f"You are the guide of the demo {mark}/openai. Answer in one or two short sentences."
    weather, clock = Call("get_weather", {"city": "Oslo"}), Call("get_time", {"city": "Oslo"})
    component = Scenario(
        name="React component",
        path=COMPONENT_PATH,
        opening=settings(guide, declarations, input_rate=hello.sample_rate),
        functions=functions,
        steps=(
            Step("speech", recording=hello),
            Step("text", text="What can you do for me?"),
            Step(
                "one function",
                text='What is the sky like in Oslo? [call get_weather {"city": "Oslo"}]',
                calls=(weather,),
                mentions=("snow",),
            ),
            Step(
                "two functions at once",
                text='And now the sky and the time of day in Oslo, please. [call get_weather {"city": "Oslo"}] '
                '[call get_time {"city": "Oslo"}]',
                calls=(weather, clock),
                mentions=("snow", "noon"),
            ),
            Step(
                "new settings in the middle of a reply",
                text="Tell me a story of about forty words. [say 40 words]",
                updates=(
                    settings(f"{guide} You love trains.", declarations, input_rate=hello.sample_rate),
                    update_prompt("Never mention the sea."),
                ),
            ),
            Step("speech again", recording=rivers),
        ),
    )
    agent = Scenario(
        name="Deepgram agent",
        path=AGENT_PATH,
        opening=settings(
            f"You are the guide of the demo {mark}/agent. Answer in one short sentence.",
            input_rate=goodbye.sample_rate,
            greeting="Hello! This is the other path.",
        ),
        steps=(
            Step(
                "prompt in the middle of a reply",
                text="Tell me a story of about thirty words. [say 30 words]",
                updates=(update_prompt("End every answer with a question."),),
            ),
            Step("speech at 24 kHz", recording=goodbye),
        ),
    )
    return component, agent
