"""The tokens that a conversation has used, by what the upstream says at the end of each response.

Nothing of it is relied on: what is missing, or is no number of tokens, counts as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.recent import Recent
from turngate.protocol.messages import Usage

#: More than this in one response is no number of tokens.
_TOKENS_MAX = 10**9
#: Number of responses whose end is recognized when it is reported again.
_REMEMBERED = 64
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


class Used:
    """What the responses of a conversation have used."""

    __slots__ = ("_counted", "total")

    def __init__(self) -> None:
        #: None until the upstream has said it of a response.
        self.total: Usage | None = None
        #: Ids of the responses whose tokens are in the total. An upstream may report the end of one twice.
        self._counted: Recent[str, None] = Recent(_REMEMBERED)

    def add(self, response_id: str, usage: Mapping[str, Any] | None) -> None:
        """A response has ended, and its ``response.done`` has this ``usage``."""
        used = {name: tokens(usage, path) for name, path in _PATHS.items()}
        if response_id in self._counted or all(number is None for number in used.values()):
            return
        if response_id:
            self._counted[response_id] = None
        before = self.total or Usage()
        self.total = Usage(**{name: getattr(before, name) + (number or 0) for name, number in used.items()})
