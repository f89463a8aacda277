"""How many workers a gateway has: the number in the settings, or the cores that it may use."""

from __future__ import annotations

from typing import Literal

from turngate.process.cores import usable_cores

#: The most workers of one gateway.
WORKERS_MAX = 64
#: What ``auto`` must be spelt as in a setting.
AUTO = "auto"


def workers_of(wanted: int | Literal["auto"]) -> int:
    """The number of workers that this setting asks for on this machine."""
    return wanted if isinstance(wanted, int) else min(usable_cores(), WORKERS_MAX)
