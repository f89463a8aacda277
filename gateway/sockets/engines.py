"""The WebSocket engines; ADR 8 compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from gateway.sockets.interface import Engine
from gateway.sockets.picows import Picows
from gateway.sockets.websockets import Websockets

EngineName: TypeAlias = Literal["picows", "websockets"]

ENGINES: Mapping[EngineName, Engine] = {"picows": Picows(), "websockets": Websockets()}
