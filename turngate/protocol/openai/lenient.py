"""The kinds of values in what the upstream sends, read leniently.

Servers differ in what they leave out, and some send a value of another type than the specification's. A value that
nothing depends on never makes its event unreadable: it is converted where that is safe, and counts as absent otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler
from pydantic_core import core_schema

T = TypeVar("T")


class UpstreamModel(BaseModel):
    """Base of everything read from the upstream: frozen; fields that nobody here reads are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


@dataclass(frozen=True, slots=True)
class _Otherwise:
    """What a value counts as that is not of its type. Done by pydantic's core, since texts are most of what is read."""

    default: str | None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_default_schema(handler(source), default=self.default, on_error="default")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> Any:
    return value if isinstance(value, str) or _is_number(value) else None


def _json(value: Any) -> Any:
    if not isinstance(value, dict | list):
        return _text(value)
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # It is nested more deeply than orjson writes.
        return None


def _integer(value: Any) -> Any:
    # The comparison is false for NaN, too.
    return int(value) if _is_number(value) and abs(value) < 2**53 else None


def _object(value: Any) -> Any:
    return value if isinstance(value, dict | BaseModel) else None


def _object_or_empty(value: Any) -> Any:
    return value if isinstance(value, dict | BaseModel) else {}


def _texts(value: Any) -> Any:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list | tuple) else ()


def _objects(value: Any) -> Any:
    return [part for part in value if _object(part) is not None] if isinstance(value, list | tuple) else ()


#: An optional text; a number becomes one, anything else counts as absent.
Text: TypeAlias = Annotated[str | None, _Otherwise(None)]
#: A text that is empty where there is none.
TextOrEmpty: TypeAlias = Annotated[str, _Otherwise("")]
#: An optional text of JSON; where a server sends the value itself, the value is written as JSON.
JsonText: TypeAlias = Annotated[str | None, BeforeValidator(_json)]
#: An optional whole number; a fraction is cut off, anything else counts as absent.
Integer: TypeAlias = Annotated[int | None, BeforeValidator(_integer)]
#: A list of texts; anything else in it is left out, and anything but a list counts as empty.
Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_texts)]
#: A list of objects; what is no object in it is left out, and anything but a list counts as empty.
ObjectList: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(_objects)]
#: An optional object; anything else counts as absent.
OptionalObject: TypeAlias = Annotated[T | None, BeforeValidator(_object)]
#: An object; anything else counts as an empty one.
Whole: TypeAlias = Annotated[T, BeforeValidator(_object_or_empty)]
