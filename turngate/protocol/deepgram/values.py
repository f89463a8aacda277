"""The base of the client messages, and their field types.

Types are strict (a number is not a string), but a whole number may be written as a float, as some languages do, and an
optional field may be null. Unknown fields are kept, so that they can be reported: `ClientValue.unknown_fields`.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

T = TypeVar("T")


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _none_if_empty(value: Any) -> Any:
    return None if value in ({}, [{}]) else value


Whole: TypeAlias = Annotated[int, BeforeValidator(_whole)]
Many: TypeAlias = Annotated[tuple[T, ...], Strict(False)]
#: Marks a field that accepts a single element instead of a list, so that paths are reported as the client wrote them.
_ONE_OR_MANY = "one or many"
#: One object, or a list of objects in order of preference.
OneOrMany: TypeAlias = Annotated[
    tuple[T, ...], Strict(False), Field(min_length=1), BeforeValidator(_as_list), _ONE_OR_MANY
]
MaybeOneOrMany: TypeAlias = Annotated[OneOrMany[T] | None, BeforeValidator(_none_if_empty), _ONE_OR_MANY]
#: An optional object; an empty one, which some SDKs write for none, counts as absent.
Maybe: TypeAlias = Annotated[T | None, BeforeValidator(_none_if_empty)]


class ClientValue(BaseModel):
    """Base of all models of client data."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    @property
    def unknown_fields(self) -> tuple[str, ...]:
        """The paths of unknown fields, as the client wrote them."""
        return tuple(self.model_extra or ()) + tuple(
            f"{info.alias or name}{path}"
            for name, info in type(self).model_fields.items()
            for path in _unknown_below(getattr(self, name), one_or_many=_ONE_OR_MANY in info.metadata)
        )


def _unknown_below(value: object, *, one_or_many: bool) -> list[str]:
    if isinstance(value, ClientValue):
        return [f".{path}" for path in value.unknown_fields]
    if not isinstance(value, tuple):
        return []
    indexed = len(value) > 1 or not one_or_many
    return [
        f"[{index}].{path}" if indexed else f".{path}"
        for index, element in enumerate(value)
        if isinstance(element, ClientValue)
        for path in element.unknown_fields
    ]
