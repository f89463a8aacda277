"""The result of mapping a client event, and functions that build its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.messages import ClientEvent, Configuration, Intent, ResponseRequest


@dataclass(frozen=True, slots=True)
class MappingResult:
    """A client event in upstream terms."""

    #: Conversation items to create at once, in this order.
    items: tuple[dict[str, Any], ...] = ()
    #: Messages for the client about the parts of its request that cannot be applied.
    notices: tuple[ServerMessage, ...] = ()
    #: The part that needs a free slot; None if there is none.
    intent: Intent | None = None


class Refusal(Exception):  # noqa: N818 - a regular answer to the client, not an error of this program
    """The client event cannot take effect. The caller reports it to the client, which settles the request."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


def not_applied(code: str, block: str, fields: Mapping[str, Any]) -> list[ServerMessage]:
    """A ``Warning`` that names those of ``fields`` that are set, because they have no counterpart upstream."""
    named = ", ".join(f"`{name}`" for name, value in fields.items() if value is not None)
    where = f" from `{block}`" if block else ""
    return (
        [events.warning(code, f"Not applied{where}, since the upstream has no such setting: {named}.")] if named else []
    )


def configure(event: ClientEvent, session: Mapping[str, Any], append_instructions: str | None = None) -> Intent:
    """An intent that changes the configuration; ``session`` contains only the fields that change."""
    change = Configuration(session={"type": "realtime", **session}, append_instructions=append_instructions)
    return Intent(seq=event.seq, configuration=change)


def respond(
    event: ClientEvent,
    *,
    overrides: Mapping[str, Any] | None = None,
    exclusive: bool = False,
    interrupts: bool = False,
    answers: tuple[str, ...] = (),
    append_instructions: str | None = None,
    first: bool = False,
) -> Intent:
    """An intent that requests a response."""
    request = ResponseRequest(
        overrides=dict(overrides or {}),
        exclusive=exclusive,
        interrupts=interrupts,
        append_instructions=append_instructions,
        first=first,
    )
    return Intent(seq=event.seq, response=request, answers=answers)


def item_id(event: ClientEvent, n: int) -> str:
    """The id of the ``n``-th item of an event. Deterministic, and at most 32 characters long."""
    return f"{event.session[:12]}_{event.seq}_{n}"
