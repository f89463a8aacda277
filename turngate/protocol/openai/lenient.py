"""The kinds of values in what the upstream sends, read with indulgence: servers differ in what they leave out."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

T = TypeVar("T")


class Part(BaseModel):
    """Base of everything read from the upstream: frozen, and blind to fields that nobody here reads."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


def _object(value: Any) -> Any:
    return value if isinstance(value, dict | BaseModel) else None


def _objects(value: Any) -> Any:
    return [part for part in value if _object(part) is not None] if isinstance(value, list | tuple) else ()


#: A list of objects, where some servers send null; what is no object in it is left out.
Many: TypeAlias = Annotated[tuple[T, ...], BeforeValidator(_objects)]
#: An optional object that nothing depends on: anything else counts as absent.
Maybe: TypeAlias = Annotated[T | None, BeforeValidator(_object)]
