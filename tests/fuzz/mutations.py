"""What becomes of a valid event on the way from a server that does not keep to its own specification: values of other
types, nulls, numbers that are too large or none, halves of surrogate pairs, deep nesting, fields that are missing."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

_WORDS = re.compile(r"item_\d+ says")
#: Levels of nesting: more than orjson writes, and fewer than it reads.
_DEEP = 300
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**53,
    2**63,
    2**64,
    10**30,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "x",
    "\ud83d",
    "a\udc00b",
    "\0",
    "x" * 3_000,
    "default",
    [],
    {},
    [[]],
    [None],
    {"id": None},
    {"": []},
)


def frame(random: Random, event: dict[str, Any]) -> bytes:
    """The event with a few things changed in it, as a text frame. Its words do not name their item any more, since that
    may have changed."""
    changed = event
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        changed = _changed(random, changed)
    escaped = random.random() < 0.9
    return _WORDS.sub("It says", json.dumps(changed, ensure_ascii=escaped)).encode("utf-8", "surrogatepass")


def _changed(random: Random, value: Any) -> Any:
    """One thing in it is changed, the deeper the less likely."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        name = random.choice(list(value))
        match random.randrange(8):
            case 0:
                return {key: part for key, part in value.items() if key != name}
            case 1:
                return {f"{name}s": value[name]} | {key: part for key, part in value.items() if key != name}
            case 2:
                return {**value, name: _any(random)}
            case 3:
                return {**value, name: [value[name]]}
            case _:
                return {**value, name: _changed(random, value[name])}
    if isinstance(value, list) and value and random.random() < 0.85:
        place = random.randrange(len(value))
        match random.randrange(4):
            case 0:
                return [*value, value[place]]
            case 1:
                return [*value[:place], _any(random), *value[place + 1 :]]
            case _:
                return [*value[:place], _changed(random, value[place]), *value[place + 1 :]]
    return _any(random)


def _any(random: Random) -> Any:
    if random.random() < 0.02:
        nested: Any = "x"
        for _ in range(_DEEP):
            nested = {"a": nested}
        return nested
    return random.choice(_VALUES)
