"""Decides which functions a user's text calls, and with which arguments, by simple rules instead of a model.

A function is called when every significant word of its name (``get_weather`` → *weather*) occurs in the text. Its
arguments are guessed from its schema: a string gets the next quoted or capitalised words, a number the next number.
If the function takes one string and the text joins several candidates with *and* (``weather in Oslo and Rome``), each
candidate gets a call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from turngate.simulator.frames import Event

#: Words ignored in function names.
_STOP_WORDS = frozenset(
    re.split(
        r"\s+",
        "a an and by call check do fetch find for from get in is list look lookup make my of on or read run search set "
        "show tell the to up update with",
    )
)
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_QUOTED = re.compile(r"[\"“]([^\"”]+)[\"”]")
_NAMED = re.compile(r"[A-Z][\w'-]*(?:[ ][A-Z][\w'-]*)*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DIRECTIVE = re.compile(r"\[call\s+([\w-]+)\s*")


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``arguments`` is JSON text."""

    name: str
    arguments: str


def explicit_calls(text: str) -> tuple[list[Call], str]:
    """The calls requested by ``[call name {json}]`` directives, and the text without the directives."""
    found: list[Call] = []
    rest: list[str] = []
    position = 0
    while match := _DIRECTIVE.search(text, position):
        end = _closing(text, match.end())
        if end is None:
            break
        rest.append(text[position : match.start()])
        found.append(Call(match[1], text[match.end() : end].strip() or "{}"))
        position = end + 1
    return found, "".join((*rest, text[position:]))


def _closing(text: str, start: int) -> int | None:
    """The index of the bracket that closes the one opened before ``start``, ignoring brackets inside JSON strings."""
    depth, quoted, escaped = 1, False, False
    for index in range(start, len(text)):
        sign = text[index]
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = quoted
        elif sign == '"':
            quoted = not quoted
        elif not quoted and sign in "[]":
            depth += 1 if sign == "[" else -1
            if depth == 0:
                return index
    return None


def implied_calls(text: str, tools: list[Event]) -> list[Call]:
    """The calls that follow from the words of the text, without directives."""
    words = {_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower())}
    return [call for tool in tools if _significant_words(tool["name"]) <= words for call in guessed_calls(text, tool)]


def guessed_calls(text: str, tool: Event) -> list[Call]:
    """Calls of this function with arguments from the text; several if the text joins several candidates."""
    schema = tool.get("parameters") or {}
    properties: dict[str, Any] = schema.get("properties") or {}
    wanted = [name for name in schema.get("required") or properties if name in properties]
    offered = _candidates(text)
    free_text = [name for name in wanted if _kind(properties[name]) == "string" and "enum" not in properties[name]]
    together = len(free_text) == 1 and len(offered) > 1 and re.search(r"\band\b", text) is not None
    choices = [[candidate] for candidate in offered] if together else [offered]
    calls: list[Call] = []
    for choice in choices:
        strings, numbers = iter(choice), iter(_NUMBER.findall(text))
        arguments = {name: _value(properties[name], text, strings, numbers) for name in wanted}
        calls.append(Call(tool["name"], orjson.dumps(arguments).decode()))
    return calls


def _significant_words(name: str) -> set[str]:
    words = {_stem(word.lower()) for word in _WORDS.findall(name)}
    return words - _STOP_WORDS or words


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def _kind(schema: Any) -> str:
    kind = schema.get("type", "string") if isinstance(schema, dict) else "string"
    return next((name for name in kind if name != "null"), "string") if isinstance(kind, list) else str(kind)


def _candidates(text: str) -> list[str]:
    """Quoted phrases, or else capitalised ones. A sentence's first word counts only if nothing else is capitalised."""
    if quoted := _QUOTED.findall(text):
        return list(dict.fromkeys(quoted))
    inner: list[str] = []
    leading: list[str] = []
    for match in _NAMED.finditer(text):
        name = match[0]
        if text[: match.start()].rstrip()[-1:] in ("", ".", "!", "?"):
            first, _, name = name.partition(" ")
            leading.append(first)
        if name and name != "I" and not name.startswith("I'"):
            inner.append(name)
    return list(dict.fromkeys(inner or leading))


def _value(schema: Any, text: str, strings: Iterator[str], numbers: Iterator[str]) -> Any:
    match _kind(schema):
        case "string":
            if options := schema.get("enum") if isinstance(schema, dict) else None:
                return next((option for option in options if str(option).lower() in text.lower()), options[0])
            return next(strings, None) or (text.split() or [""])[-1].strip(".,;:!?")
        case "integer":
            return int(float(next(numbers, "1")))
        case "number":
            return float(next(numbers, "1"))
        case "boolean":
            return True
        case "array":
            return [_value(schema.get("items", {}), text, strings, numbers)]
        case _:
            return {}
