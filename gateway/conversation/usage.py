"""The tokens that a conversation has used, by what the upstream says at the end of each response.

Nothing of it is relied on: what is missing, or is no number of tokens, counts as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turngate.protocol.messages import Usage

#: More than this in one response is no number of tokens.
_TOKENS_MAX = 10**9
#: Where the upstream says how many tokens a response took, by the field of `Usage`.
_PATHS = {
    "input_tokens": ("input_tokens",),
    "input_text_tokens": ("input_token_details", "text_tokens"),
    "input_audio_tokens": ("input_token_details", "audio_tokens"),
    "cached_tokens": ("input_token_details", "cached_tokens"),
    "output_tokens": ("output_tokens",),
    "output_text_tokens": ("output_token_details", "text_tokens"),
    "output_audio_tokens": ("output_token_details", "audio_tokens"),
}


def tokens(usage: Mapping[str, Any] | None, path: tuple[str, ...]) -> int | None:
    """The tokens at this place in a response's ``usage``; None if it says none."""
    found: Any = usage
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    is_number = isinstance(found, int) and not isinstance(found, bool)
    return found if is_number and 0 <= found <= _TOKENS_MAX else None


def added(so_far: Usage | None, usage: Mapping[str, Any] | None) -> Usage | None:
    """What was used so far, and by a response with this ``usage``; None while no response has said it."""
    used = {name: tokens(usage, path) for name, path in _PATHS.items()}
    if all(number is None for number in used.values()):
        return so_far
    before = so_far or Usage()
    return Usage(**{name: getattr(before, name) + (number or 0) for name, number in used.items()})
