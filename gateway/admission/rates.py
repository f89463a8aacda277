"""Rate limits by name, as token buckets: a rate, and a burst of one second."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.recent import Recent

#: Names that are remembered. One that was forgotten starts with a full bucket.
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """How often each of many names may do something.

    No I/O and no clock: ``now`` is in seconds with any monotonic origin.
    """

    def __init__(self, per_second: float) -> None:
        """0 for no limit."""
        self._rate = per_second
        self._burst = max(per_second, 1.0)
        self._buckets: Recent[str, _Bucket] = Recent(_REMEMBERED)

    def take(self, name: str, now: float) -> float:
        """Count one occurrence. Returns 0 if it is within the rate; otherwise it is not counted, and the result is the
        number of seconds until the next one is."""
        if not self._rate:
            return 0.0
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._rate
        bucket.tokens -= 1
        return 0.0


def retry_after(seconds: float) -> str:
    """The value of a ``Retry-After`` header: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
