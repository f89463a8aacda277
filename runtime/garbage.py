"""Python's garbage collector, for a process that serves for a long time and must not pause."""

from __future__ import annotations

import gc

#: Objects made and not freed, before the youngest of them are looked at, and how many such looks until all are. Nearly
#: everything here is freed by counting references; what is left are cycles of sessions that have ended.
_THRESHOLDS = (20_000, 20, 50)


def settle() -> None:
    """To be called when everything that a process makes once is made: that is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
