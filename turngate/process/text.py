"""Text of others for a terminal or a one-line message."""

from __future__ import annotations

import re

#: C0 and C1 control characters, and those that change the direction of text. A terminal would execute them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with its control characters as escapes (``\\n``, ``\\x1b``), so that it is one line and harmless."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
