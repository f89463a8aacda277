"""Decides what the simulator replies: a pure function of the user's input, the instructions and the tools.

A reply answers everything that was added to the conversation since the last reply, so a test can see from the reply
whether an input was lost. Conventions for tests and demos:

1. ``[call get_weather {"city": "Oslo"}]`` calls that function; several of them are parallel calls in one response.
2. Without such a directive, a function is called when the words of its name occur in the text; see
   `turngate.simulator.calls`.
3. ``[say 40 words]`` makes the reply that long; ``[fail]`` and ``[incomplete]`` end the response with that status.
4. A question about its instructions (or its prompt) is answered with the instructions, word for word.
5. A response whose own instructions contain ``say`` followed by quoted words, or ``say:`` or ``say exactly:``, says
   those words.
6. A response whose own instructions say that the last reply was cut off goes on with what that reply was to be, after
   the words that the conversation has of it.
7. "What is my name?" is answered from an earlier "My name is Ada" of the user, so a test can see from the reply whether
   the conversation is known.
8. "You are Ada" or "Your name is Ada" in the instructions is used as the name in the greeting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from turngate.simulator.calls import Call, explicit_calls, guessed_calls, implied_calls
from turngate.simulator.frames import Event
from turngate.simulator.items import Item

#: Upper limit of N in ``[say N words]``.
MAX_WORDS = 2_000

_SAY_WORDS = re.compile(r"\[say\s+(\d+)\s+words?\]", re.IGNORECASE)
_ENDING = re.compile(r"\[(fail|incomplete)\]", re.IGNORECASE)
_SAY_THIS = re.compile(r"\bsay\b[^\"“\n]*[\"“](.+)[\"”]|\bsay(?:\s+exactly[^:\n]*)?:\s*(.+)", re.IGNORECASE | re.DOTALL)
_CUT_OFF = re.compile(r"\breply was cut off\b", re.IGNORECASE)
_ABOUT_ITSELF = re.compile(r"\b(instructions?|prompt)\b", re.IGNORECASE)
_NAME = re.compile(r"(?:\b[Yy]ou are|\b[Yy]our name is)\s+([A-Z]\w+)")
_ASKS_FOR_NAME = re.compile(r"\bwhat(?: is|'s) my name\b", re.IGNORECASE)
_TELLS_NAME = re.compile(r"\b[Mm]y name is\s+([A-Z]\w+)")
_FILLER = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class ReplyPlan:
    """The outputs of a response in order (text to say, and function calls), and the status with which it ends."""

    outputs: tuple[str | Call, ...]
    ending: Literal["completed", "failed", "incomplete"] = "completed"
    #: Why it is incomplete.
    reason: str = "max_output_tokens"
    #: With what it failed: the ``error`` of ``status_details``; None for a server error.
    error: Event | None = None
    #: Text instead of audio, whatever was asked for.
    text_only: bool = False
    #: Seconds that ``response.created`` comes late.
    late: float = 0.0


@dataclass(frozen=True, slots=True)
class UnansweredInput:
    """The input added to the conversation since the model's last item."""

    texts: tuple[str, ...] = ()
    #: The length of each spoken turn in seconds, formatted.
    spoken: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    #: True if the model has already produced an item.
    resumed: bool = False
    #: What the conversation has of a reply to this input that was cut off.
    said: str = ""
    #: The user's name, from the whole conversation; empty if it is not known.
    name: str = ""


def unanswered_input(newest_first: Iterable[Item], own_instructions: str | None = None) -> UnansweredInput:
    """Collect the user's turns and the function results that follow the model's last item, or that came before it if a
    response is to go on with it."""
    items = list(newest_first)
    said: list[str] = []
    if own_instructions and _CUT_OFF.search(own_instructions):
        while items and items[0].wire.get("role") == "assistant":
            said += [part.get("text") or part.get("transcript") or "" for part in items.pop(0).wire["content"]]
    return replace(_collected(items), said=" ".join(reversed(said)), name=_users_name(items))


def _users_name(newest_first: Iterable[Item]) -> str:
    for item in newest_first:
        if item.wire["type"] == "message" and item.wire["role"] != "assistant":
            for part in item.wire["content"]:
                if match := _TELLS_NAME.search(part.get("text") or part.get("transcript") or ""):
                    return match[1]
    return ""


def _collected(newest_first: Iterable[Item]) -> UnansweredInput:
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
    return UnansweredInput(tuple(reversed(texts)), tuple(reversed(spoken)), tuple(reversed(results)), resumed)


def plan_reply(heard: UnansweredInput, session: Event, own_instructions: str | None = None) -> ReplyPlan:
    """Decide what a response contains. ``session`` has the effective ``instructions``, ``tools`` and ``tool_choice``.

    ``own_instructions``: the ``instructions`` of the ``response.create`` itself, if it had any.
    """
    text = " ".join(heard.texts)
    ending = match[1].lower() if (match := _ENDING.search(text)) else None
    if ending == "fail":
        return ReplyPlan((), "failed")
    calls, plain = explicit_calls(_ENDING.sub("", text))
    length = match[1] if (match := _SAY_WORDS.search(plain)) else None
    plain = _SAY_WORDS.sub("", plain).strip()
    said: list[str] = [_long_reply(min(int(length), MAX_WORDS))] if length else []
    wanted, absent = _calls(calls, plain, heard, session)
    if absent:
        said.append(f"I have no function named {' or '.join(absent)}.")
    if not said and not wanted:
        said.append(_reply(heard, plain, session["instructions"], own_instructions))
    if heard.said and said:
        said = [said[0].removeprefix(heard.said).strip() or "That was all.", *said[1:]]
    outputs: tuple[str | Call, ...] = (*(words for words in said if words), *wanted)
    return ReplyPlan(outputs, "incomplete" if ending == "incomplete" else "completed")


def _calls(calls: list[Call], plain: str, heard: UnansweredInput, session: Event) -> tuple[list[Call], list[str]]:
    """The calls to make, and the names from ``[call …]`` directives that are not among the tools."""
    choice: Any = session["tool_choice"]
    tools = {tool["name"]: tool for tool in session["tools"] if tool["type"] == "function"}
    if choice == "none":
        return [], []
    if isinstance(choice, dict):
        tools = {name: tool for name, tool in tools.items() if name == choice.get("name")}
    absent = [call.name for call in calls if call.name not in tools]
    wanted = [call for call in calls if call.name in tools]
    if not calls and not heard.results:
        wanted = implied_calls(plain, list(tools.values()))
    if not wanted and tools and choice != "auto":
        wanted = guessed_calls(plain, next(iter(tools.values())))
    if session.get("parallel_tool_calls") is False:
        wanted = wanted[:1]
    return wanted, absent


def _long_reply(words: int) -> str:
    reply = [_FILLER[index % len(_FILLER)] + ("," if index % 10 == 9 else "") for index in range(words)]
    return " ".join(reply).rstrip(",").capitalize() + "." if reply else ""


def _reply(heard: UnansweredInput, plain: str, instructions: str, own_instructions: str | None) -> str:
    if own_instructions and (match := _SAY_THIS.search(own_instructions)):
        return str(match[1] or match[2]).strip()
    if plain and _ABOUT_ITSELF.search(plain):
        return f"My instructions are: {instructions}" if instructions else "I have no instructions."
    if plain and _ASKS_FOR_NAME.search(plain):
        return f"Your name is {heard.name}." if heard.name else "You have not told me your name."
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
