"""How values are written in replies and arguments."""

from __future__ import annotations

from typing import Any


def encoded(argument: Any) -> bytes:
    """An argument of a command as it is sent."""
    kind = type(argument)
    if kind is bytes:
        return argument  # type: ignore[no-any-return]
    if kind is str:
        return argument.encode()  # type: ignore[no-any-return]
    if kind is float and argument.is_integer():
        return b"%d" % argument
    return str(argument).encode()


def score(value: float) -> bytes:
    """A score of a sorted set as it is replied."""
    return b"%d" % value if value.is_integer() else repr(value).encode()
