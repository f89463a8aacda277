"""The WebSocket engines; ADR 8 compares them. Only the one that is used is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Literal, TypeAlias

from gateway.sockets.interface import Engine

EngineName: TypeAlias = Literal["picows", "websockets"]

#: The class of each engine, in the module of its name.
_CLASSES: dict[EngineName, str] = {"picows": "Picows", "websockets": "Websockets"}


class _Engines(Mapping[EngineName, Engine]):
    def __getitem__(self, name: EngineName) -> Engine:
        engine: Engine = getattr(import_module(f"gateway.sockets.{name}"), _CLASSES[name])()
        return engine

    def __iter__(self) -> Iterator[EngineName]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


ENGINES: Mapping[EngineName, Engine] = _Engines()
