"""Attributes of spans, by OpenTelemetry's semantic conventions for generative AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from gateway.conversation.effects import UpstreamProblem
from gateway.conversation.usage import tokens
from turngate.protocol.messages import TurnCommand
from turngate.protocol.openai.server_events import Response, ServerEvent, UpstreamError
from turngate.tracing.spans import Attribute

#: What has happened, as far as a span needs to know it; None for the client and for time.
Cause: TypeAlias = ServerEvent | TurnCommand | UpstreamProblem | None

#: Characters of a code or an id that comes from outside.
_TEXT_MAX = 128
#: Where the upstream says how many tokens a response took.
_USAGE = {
    "gen_ai.usage.input_tokens": ("input_tokens",),
    "gen_ai.usage.output_tokens": ("output_tokens",),
    "gen_ai.usage.cache_read.input_tokens": ("input_token_details", "cached_tokens"),
    "gen_ai.usage.text.input_tokens": ("input_token_details", "text_tokens"),
    "gen_ai.usage.audio.input_tokens": ("input_token_details", "audio_tokens"),
    "gen_ai.usage.image.input_tokens": ("input_token_details", "image_tokens"),
    "gen_ai.usage.text.cache_read.input_tokens": ("input_token_details", "cached_tokens_details", "text_tokens"),
    "gen_ai.usage.audio.cache_read.input_tokens": ("input_token_details", "cached_tokens_details", "audio_tokens"),
    "gen_ai.usage.text.output_tokens": ("output_token_details", "text_tokens"),
    "gen_ai.usage.audio.output_tokens": ("output_token_details", "audio_tokens"),
    "gen_ai.usage.reasoning.output_tokens": ("output_token_details", "reasoning_tokens"),
}


def response_attributes(response: Response) -> dict[str, Attribute]:
    """How a response ended, and the tokens that it took."""
    details = response.status_details
    reason = details.reason if details is not None else None
    found: dict[str, Attribute] = {
        "gen_ai.response.finish_reasons": [text_of(reason or response.status or "completed")],
        "gen_ai.output.type": "text" if response.output_modalities == ("text",) else "speech",
    }
    for name, path in _USAGE.items():
        if (used := tokens(response.usage, path)) is not None:
            found[name] = used
    return found


def failure_of_response(response: Response) -> str:
    """The code with which a response failed; empty if it did not."""
    details = response.status_details
    if response.status != "failed":
        return ""
    return text_of(details.error.known_code if details is not None and details.error is not None else "failed")


def failure_of(cause: Cause, otherwise: str) -> str:
    """The code of an error or of a lost connection; ``otherwise`` if this is neither."""
    if isinstance(cause, UpstreamError | UpstreamProblem):
        return text_of(cause.code)
    return otherwise


def text_of(value: Any) -> str:
    """A text for an attribute; empty for anything else."""
    return value[:_TEXT_MAX] if isinstance(value, str) else ""


def known(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """These attributes, without empty texts."""
    return {name: value for name, value in attributes.items() if value != ""}
