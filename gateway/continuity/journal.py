"""The journal of a conversation: what another gateway needs to go on with it, as named parts of which only those are
written that have changed.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

#: The version of the parts. A gateway takes up no journal of another version.
VERSION = 1


@dataclass(frozen=True, slots=True)
class Changes:
    """An entry of the journal."""

    #: 1 for the first, and one more for each that follows.
    number: int
    #: It replaces everything that was written before.
    whole: bool
    #: What was added or has changed, as JSON, by name.
    parts: Mapping[str, bytes]
    #: The names of what is gone.
    gone: tuple[str, ...]


class Journal:
    """What was written of one conversation. Make an entry of what it is now (`changes`), and write it; call `lost` if
    that entry, or anything before, did not arrive."""

    def __init__(self) -> None:
        self._number = 0
        #: The small parts as they were written, and the names of all others.
        self._written: dict[str, bytes] = {}
        #: The next entry replaces everything.
        self.whole = True

    def lost(self) -> None:
        """What was written is not there any more: the next entry is whole."""
        self.whole = True

    def changes(
        self, small: Mapping[str, Any], large: Mapping[str, Any], gone: tuple[str, ...] = (), *, due: bool = False
    ) -> Changes | None:
        """The next entry; None if nothing has changed and none is ``due``.

        ``small`` are all the parts that are compared with what was written; a part that is missing is gone. ``large``
        are those that the caller knows to have changed (all of them, while `whole`), ``gone`` those of them that are
        gone."""
        whole, self.whole = self.whole, False
        before = {} if whole else self._written
        now = {name: orjson.dumps(part) for name, part in small.items()}
        parts = {name: part for name, part in now.items() if before.get(name) != part}
        parts |= {name: orjson.dumps(part) for name, part in large.items()}
        missing = () if whole else (*(name for name in before if name not in now), *gone)
        self._written = now
        if not (whole or parts or missing or due):
            return None
        self._number += 1
        return Changes(self._number, whole, parts, missing)


def read(parts: Mapping[str, bytes]) -> dict[str, Any]:
    """The parts of a journal. Raises ValueError for one that cannot be read, or is of another version."""
    read = {name: orjson.loads(part) for name, part in parts.items()}
    about = read.get("about")
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
        raise ValueError(f"a journal of version {version}; this gateway reads version {VERSION}")
    return read
