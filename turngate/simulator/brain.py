"""What the simulator says: short, natural, and a pure function of what it heard, its instructions and its tools.

It answers everything that came in since it last spoke, so that a turn which was lost on the way is missed in the reply.
The conventions, for tests and demos:

1. ``[call get_weather {"city": "Oslo"}]`` calls that function; several of them make parallel calls in one response.
2. Without one, a function whose name's words occur in the text is called; see `turngate.simulator.calls`.
3. ``[say 40 words]`` makes the reply that long; ``[fail]`` and ``[incomplete]`` end the response that way.
4. A question about its instructions (or its prompt) is answered with them, word for word.
5. A response whose own instructions have ``say`` before quoted words, or ``say:`` or ``say exactly:`` before any words,
   says those.
6. "You are Ada" or "Your name is Ada" in the instructions gives it a name to greet with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from turngate.simulator.calls import Call, demanded, guessed, implied
from turngate.simulator.items import Item
from turngate.simulator.stage import Event

#: The longest reply that ``[say N words]`` can ask for.
MOST_WORDS = 2_000

_SAY_WORDS = re.compile(r"\[say\s+(\d+)\s+words?\]", re.IGNORECASE)
_ENDING = re.compile(r"\[(fail|incomplete)\]", re.IGNORECASE)
_SAY_THIS = re.compile(r"\bsay\b[^\"“\n]*[\"“](.+)[\"”]|\bsay(?:\s+exactly[^:\n]*)?:\s*(.+)", re.IGNORECASE | re.DOTALL)
_ABOUT_ITSELF = re.compile(r"\b(instructions?|prompt)\b", re.IGNORECASE)
_NAME = re.compile(r"(?:\b[Yy]ou are|\b[Yy]our name is)\s+([A-Z]\w+)")
_FILLER = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a response consists of, in order: what is said, and the calls; and how it ends."""

    outputs: tuple[str | Call, ...]
    ending: Literal["completed", "failed", "incomplete"] = "completed"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came in since the model last spoke."""

    texts: tuple[str, ...] = ()
    #: Seconds of each spoken turn.
    spoken: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    #: Whether the model has spoken before.
    resumed: bool = False


def listen(newest_first: Iterable[Item]) -> Heard:
    """Gather the users' turns and function results after the model's last item."""
    texts: list[str] = []
    spoken: list[str] = []
    results: list[str] = []
    resumed = False
    for item in newest_first:
        wire = item.wire
        if wire["type"] == "function_call_output":
            results.append(wire["output"])
        elif wire["type"] == "function_call" or wire.get("role") == "assistant":
            resumed = True
            break
        elif wire.get("role") == "user":
            for part in reversed(wire["content"]):
                words = part.get("text") or part.get("transcript")
                if part["type"] == "input_audio" and item.heard:
                    spoken.append(item.heard)
                elif words:
                    texts.append(words)
    return Heard(tuple(reversed(texts)), tuple(reversed(spoken)), tuple(reversed(results)), resumed)


def plan(heard: Heard, session: Event, own_instructions: str | None = None) -> Plan:
    """Decide on a response. ``session`` has the effective ``instructions``, ``tools`` and ``tool_choice``.

    ``own_instructions`` are those that the request brought for this one response.
    """
    text = " ".join(heard.texts)
    ending = match[1].lower() if (match := _ENDING.search(text)) else None
    if ending == "fail":
        return Plan((), "failed")
    calls, plain = demanded(_ENDING.sub("", text))
    length = match[1] if (match := _SAY_WORDS.search(plain)) else None
    plain = _SAY_WORDS.sub("", plain).strip()
    said: list[str] = [_long_reply(min(int(length), MOST_WORDS))] if length else []
    wanted, absent = _calls(calls, plain, heard, session)
    if absent:
        said.append(f"I have no function named {' or '.join(absent)}.")
    if not said and not wanted:
        said.append(_reply(heard, plain, session["instructions"], own_instructions))
    outputs: tuple[str | Call, ...] = (*(words for words in said if words), *wanted)
    return Plan(outputs, "incomplete" if ending == "incomplete" else "completed")


def _calls(calls: list[Call], plain: str, heard: Heard, session: Event) -> tuple[list[Call], list[str]]:
    """The calls to make, and the names that were demanded but are not there."""
    choice: Any = session["tool_choice"]
    tools = {tool["name"]: tool for tool in session["tools"] if tool["type"] == "function"}
    if choice == "none":
        return [], []
    if isinstance(choice, dict):
        tools = {name: tool for name, tool in tools.items() if name == choice.get("name")}
    absent = [call.name for call in calls if call.name not in tools]
    wanted = [call for call in calls if call.name in tools]
    if not calls and not heard.results:
        wanted = implied(plain, list(tools.values()))
    if not wanted and tools and choice != "auto":
        wanted = guessed(plain, next(iter(tools.values())))
    if session.get("parallel_tool_calls") is False:
        wanted = wanted[:1]
    return wanted, absent


def _long_reply(words: int) -> str:
    reply = [_FILLER[index % len(_FILLER)] + ("," if index % 10 == 9 else "") for index in range(words)]
    return " ".join(reply).rstrip(",").capitalize() + "." if reply else ""


def _reply(heard: Heard, plain: str, instructions: str, own_instructions: str | None) -> str:
    if own_instructions and (match := _SAY_THIS.search(own_instructions)):
        return str(match[1] or match[2]).strip()
    if plain and _ABOUT_ITSELF.search(plain):
        return f"My instructions are: {instructions}" if instructions else "I have no instructions."
    sentences: list[str] = []
    if heard.results:
        sentences.append(f"Here is what I found: {' and '.join(heard.results)}.")
    if heard.spoken:
        sentences.append(f"I heard you speak for {' and '.join(heard.spoken)} seconds.")
    if plain:
        sentences.append(f"You said: {plain}")
    if sentences:
        return " ".join(sentences)
    if heard.resumed:
        return "Are you still there?"
    name = match[1] if (match := _NAME.search(instructions)) else None
    return f"Hello, this is {name}. How can I help you?" if name else "Hello! How can I help you?"
