"""What the services need of a tracing library: an interface, without the library, which is optional.

A span is named by its ``traceparent`` (W3C Trace Context), within a process and in the messages between services. An
empty one stands for a span that is not sampled: nothing is made for it, nor for anything below it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

Attribute: TypeAlias = str | bool | int | float | Sequence[str]
Attributes: TypeAlias = Mapping[str, Attribute]

_NONE: Attributes = {}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Kind(StrEnum):
    """OpenTelemetry's kinds of spans that are used here."""

    INTERNAL = "internal"
    CLIENT = "client"
    CONSUMER = "consumer"


class Span(Protocol):
    """Something that takes time. Times are in seconds since 1970."""

    @property
    def traceparent(self) -> str:
        """Its name, for spans below it and links to it; empty if it is not sampled."""

    def set(self, attributes: Attributes) -> None:
        """Add these attributes."""

    def link(self, traceparent: str) -> None:
        """Refer to this span, which may be of another trace. No effect if it is empty."""

    def end(self, at: float, error: str = "") -> None:
        """It ends; with ``error``, the reason's code, if it has failed. Only the first call has an effect."""


class Tracer(Protocol):
    """Makes spans. Nothing here waits, for whatever becomes of them."""

    @property
    def words(self) -> bool:
        """Whether spans may contain what people and the model say: prompts, transcripts, arguments."""

    def start(
        self,
        name: str,
        at: float,
        *,
        parent: str | None = None,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes = _NONE,
        links: Sequence[str] = (),
    ) -> Span:
        """Begin a span below ``parent``; None begins a trace, which may be sampled or not."""


class NotSampled:
    """A span that is not sampled."""

    traceparent = ""

    def set(self, attributes: Attributes) -> None:
        """Do nothing."""

    def link(self, traceparent: str) -> None:
        """Do nothing."""

    def end(self, at: float, error: str = "") -> None:
        """Do nothing."""


NOT_SAMPLED: Span = NotSampled()


def is_traceparent(text: str) -> bool:
    """Whether this is a ``traceparent`` that can be used."""
    return _TRACEPARENT.fullmatch(text) is not None and not text.startswith("ff")
