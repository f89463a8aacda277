"""What admission counts: sessions and new connections by name. The counts of a process are its own, or shared with
other processes (`gateway.workers.shared`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from gateway.admission.rates import Rates

#: The name under which all sessions are counted together.
ALL = ""


class Counts(Protocol):
    """How many of something there are, by name."""

    def __getitem__(self, name: str) -> int: ...

    def more(self, name: str) -> None:
        """There is one more."""

    def less(self, name: str) -> None:
        """There is one less."""


class RateLimit(Protocol):
    """How often each of many names may do something."""

    def take(self, name: str, now: float) -> float:
        """As `Rates.take`."""


class OwnCounts(Counter[str]):
    """`Counts` of this process alone. A name without any is forgotten."""

    def more(self, name: str) -> None:
        self[name] += 1

    def less(self, name: str) -> None:
        self[name] -= 1
        if self[name] <= 0:
            del self[name]


@dataclass(frozen=True, slots=True)
class Tallies:
    """Everything that is counted."""

    sessions: Counts
    address_sessions: Counts
    key_sessions: Counts
    #: New connections, and tokens.
    address_rates: RateLimit
    key_rates: RateLimit
    grant_rates: RateLimit


def own_tallies(address_rate: float, key_rate: float) -> Tallies:
    """Those of a gateway that is one process. The rates are per second; 0 for no limit."""
    return Tallies(OwnCounts(), OwnCounts(), OwnCounts(), Rates(address_rate), Rates(key_rate), Rates(key_rate))
