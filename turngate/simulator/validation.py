"""Validators of JSON values: functions that raise `RefusedError` with the path of the first invalid field.

A validator returns nothing and changes nothing; callers apply defaults and merge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from turngate.simulator.errors import RefusedError, invalid, missing, unknown, unsupported

#: Called with a value and its path; raises `RefusedError` if the value is invalid.
Validator = Callable[[Any, str], None]

_NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def _wrong_type(value: object, path: str, expected: str) -> RefusedError:
    return invalid(
        path, f"Invalid type for '{path}': expected {expected}, but got {_NAMES.get(type(value), 'a value')} instead."
    )


def text(*, max_length: int | None = None, pattern: str | None = None) -> Validator:
    """A string of at most ``max_length`` characters that matches ``pattern`` as a whole."""
    expression = re.compile(pattern) if pattern else None

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise _wrong_type(value, path, "a string")
        if max_length is not None and len(value) > max_length:
            message = (
                f"Invalid '{path}': string too long. Expected a string with maximum length {max_length}, "
                f"but got a string with length {len(value)} instead."
            )
            raise RefusedError("string_above_max_length", message, param=path)
        if expression and not expression.fullmatch(value):
            raise invalid(path, f"Invalid '{path}': expected a string that matches the pattern '{expression.pattern}'.")

    return check


def flag(value: Any, path: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong_type(value, path, "a boolean")


def anything(value: Any, path: str) -> None:
    """Any JSON value."""


def mapping(value: Any, path: str) -> None:
    """Any JSON object."""
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "an object")


def _in_range(value: float, path: str, low: float | None, high: float | None, kind: str) -> None:
    if low is not None and value < low:
        message = f"Invalid '{path}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead."
        raise RefusedError(f"{kind}_below_min_value", message, param=path)
    if high is not None and value > high:
        message = f"Invalid '{path}': {kind} above maximum value. Expected a value <= {high}, but got {value} instead."
        raise RefusedError(f"{kind}_above_max_value", message, param=path)


def integer(low: int | None = None, high: int | None = None) -> Validator:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(value, path, "an integer")
        _in_range(value, path, low, high, "integer")

    return check


def number(low: float | None = None, high: float | None = None) -> Validator:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _wrong_type(value, path, "a number")
        _in_range(value, path, low, high, "decimal")

    return check


def choice(*values: str) -> Validator:
    def check(value: Any, path: str) -> None:
        if value not in values:
            raise unsupported(path, value, values)

    return check


def nullable(check: Validator) -> Validator:
    def check_unless_null(value: Any, path: str) -> None:
        if value is not None:
            check(value, path)

    return check_unless_null


def array(check: Validator, *, max_length: int | None = None) -> Validator:
    def check_each(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise _wrong_type(value, path, "an array")
        if max_length is not None and len(value) > max_length:
            message = f"Invalid '{path}': array too long. Expected at most {max_length} elements, but got {len(value)}."
            raise RefusedError("array_above_max_length", message, param=path)
        for index, element in enumerate(value):
            check(element, f"{path}[{index}]")

    return check_each


def fields(known: Mapping[str, Validator], *, required: tuple[str, ...] = ()) -> Validator:
    """An object with these fields and no others; a required field may be null."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                raise missing(prefix + name)
        for name, element in value.items():
            found = known.get(name)
            if found is None:
                raise unknown(prefix + name)
            found(element, prefix + name)

    return check


def pairs(*, max_properties: int, max_key_length: int, max_value_length: int) -> Validator:
    """An object with arbitrary keys and string values, within these limits."""
    check_value = text(max_length=max_value_length)

    def check(value: Any, path: str) -> None:
        mapping(value, path)
        if len(value) > max_properties:
            message = f"Invalid '{path}': too many properties. Expected at most {max_properties}, but got {len(value)}."
            raise RefusedError("object_above_max_properties", message, param=path)
        for key, element in value.items():
            if len(key) > max_key_length:
                raise invalid(path, f"Invalid '{path}': a key is longer than {max_key_length} characters.")
            check_value(element, f"{path}.{key}")

    return check


def tagged(variants: Mapping[str, Validator], *, tag: str = "type") -> Validator:
    """An object whose ``tag`` field selects the validator that applies to it."""
    names = tuple(variants)

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "an object")
        where = f"{path}.{tag}" if path else tag
        if tag not in value:
            raise missing(where)
        name = value[tag]
        variant = variants.get(name) if isinstance(name, str) else None
        if variant is None:
            raise unsupported(where, name, names)
        variant(value, path)

    return check


def string_or(check: Validator, *values: str) -> Validator:
    """One of these strings (any string if none is listed), or a value that ``check`` accepts."""

    def check_either(value: Any, path: str) -> None:
        if not isinstance(value, str):
            check(value, path)
        elif values and value not in values:
            raise unsupported(path, value, values)

    return check_either


def list_or(check_list: Validator, check: Validator) -> Validator:
    """An array that ``check_list`` accepts, or another value that ``check`` accepts."""

    def check_either(value: Any, path: str) -> None:
        (check_list if isinstance(value, list) else check)(value, path)

    return check_either
