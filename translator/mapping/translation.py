"""What every mapping of the translator starts from and ends in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from translator.mapping.names import Names
from translator.mapping.turn_detection import TurnDetection
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.messages import ClientEvent, Configuration, Intent, ResponseRequest
from turngate.protocol.openai.models import DEFAULT_REALTIME, DEFAULT_TRANSCRIPTION


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a client's ``Settings`` start from: the configuration of this installation."""

    #: The realtime model that the gateways connect to. Fixed by the connection, so only needed to say so.
    model: str = DEFAULT_REALTIME
    #: Where the client names no voice that exists upstream.
    voice: str = "marin"
    #: Turns the user's speech into text for the client; None for no transcripts.
    transcription_model: str | None = DEFAULT_TRANSCRIPTION
    turn_detection: TurnDetection = field(default_factory=TurnDetection)
    #: Where the user's microphone is; None for no noise reduction.
    noise_reduction: Literal["near_field", "far_field"] | None = None
    #: How much a reasoning model reasons, where the client does not say; None leaves it to the upstream.
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    #: What the operator makes of the names that clients use.
    names: Names = field(default_factory=Names)


@dataclass(frozen=True, slots=True)
class Translation:
    """What one client event means upstream."""

    #: Conversation items, to be created at once, in this order.
    items: tuple[dict[str, Any], ...] = ()
    #: Messages for the client: what of its request cannot be as it asked.
    notices: tuple[ServerMessage, ...] = ()
    #: What needs a free turn; None when nothing does.
    intent: Intent | None = None


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """This client event can have no effect. Tell the client why; the event is settled."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


def not_applied(code: str, block: str, fields: Mapping[str, Any]) -> list[ServerMessage]:
    """A ``Warning`` that names those of ``fields`` that are set, since the upstream has nothing like them."""
    named = ", ".join(f"`{name}`" for name, value in fields.items() if value is not None)
    where = f" from `{block}`" if block else ""
    return (
        [events.warning(code, f"Not applied{where}, since the upstream has no such setting: {named}.")] if named else []
    )


def configure(event: ClientEvent, session: Mapping[str, Any], append_instructions: str | None = None) -> Intent:
    """The intent to change the upstream's session; ``session`` holds only the fields that change."""
    change = Configuration(session={"type": "realtime", **session}, append_instructions=append_instructions)
    return Intent(seq=event.seq, configuration=change)


def respond(
    event: ClientEvent,
    *,
    overrides: Mapping[str, Any] | None = None,
    exclusive: bool = False,
    interrupts: bool = False,
    answers: tuple[str, ...] = (),
) -> Intent:
    """The intent to have the model respond."""
    request = ResponseRequest(overrides=dict(overrides or {}), exclusive=exclusive, interrupts=interrupts)
    return Intent(seq=event.seq, response=request, answers=answers)


def item_id(event: ClientEvent, n: int) -> str:
    """The id of the ``n``-th item of an event: always the same one, and at most 32 characters."""
    return f"{event.session[:12]}_{event.seq}_{n}"
