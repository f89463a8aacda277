"""What goes wrong with the Redis server as a whole: told from what is wrong with one command, counted, logged, and met
with pauses.

An error reply is not a lost connection: a server that is out of memory, a replica after a failover, a server that is
loading or a missing permission answers at once, so a loop that only waits for connections would spin. Everything that
retries pauses with `Backoff`, and reports with `note`.
"""

from __future__ import annotations

import asyncio
import random
import time

from prometheus_client import Counter
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ClusterError,
    ExecAbortError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from turngate.bus import log_events
from turngate.process.log_context import server_in_context

#: What `kind_of` returns for a server that does not answer, and for an error that concerns one command only.
UNREACHABLE = "UNREACHABLE"
ONE_COMMAND = "ONE_COMMAND"

#: Errors of the server as a whole, by the kind that Redis calls them. The first match counts.
_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (NoPermissionError, "NOPERM"),
    (NoScriptError, "NOSCRIPT"),
    (BusyLoadingError, "LOADING"),
    (AuthenticationError, "NOAUTH"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (MovedError, "MOVED"),
    (TryAgainError, "TRYAGAIN"),
    (ClusterError, "CLUSTER"),
    (RedisConnectionError, UNREACHABLE),
    (RedisTimeoutError, UNREACHABLE),
    (OSError, UNREACHABLE),
)
#: Those that the client library has no class for, by the first word of their text.
_WORDS = frozenset({"MISCONF", "NOREPLICAS", "BUSY", "OOM", "READONLY", "NOPERM", "MASTERDOWN"})
#: Seconds between two log lines about the same kind.
_LOG_INTERVAL = 10.0

_errors = Counter(
    "turngate_redis_errors",
    "Operations that Redis refused (OOM, READONLY, NOPERM, …) or did not answer (UNREACHABLE).",
    ["kind"],
)
#: By kind and server.
_logged_at: dict[tuple[str, str], float] = {}
_unlogged: dict[tuple[str, str], int] = {}


def kind_of(error: BaseException) -> str:
    """The kind of an error: `UNREACHABLE`, Redis's word for what is wrong with the whole server (``OOM``,
    ``READONLY``, …), or `ONE_COMMAND`."""
    if isinstance(error, ExecAbortError) and error.__cause__ is not None:
        return kind_of(error.__cause__)
    for kind, name in _CLASSES:
        if isinstance(error, kind):
            return name
    text = str(error)
    word = text.partition(" ")[0].lstrip("-")
    if isinstance(error, RedisError):
        if word in _WORDS:
            return word
        # Before version 7 an error of a command within a script is quoted in the script's.
        for quoted in _WORDS:
            if f"-{quoted} " in text:
                return quoted
    return ONE_COMMAND


def concerns_server(error: BaseException) -> bool:
    """True if other commands would fail the same way: the server is unreachable, or refuses."""
    return kind_of(error) != ONE_COMMAND


def note(error: BaseException, doing: str) -> None:
    """Count an error that Redis caused, and log it, at most once per kind, server and interval."""
    kind = kind_of(error)
    _errors.labels(kind).inc()
    now = time.monotonic()
    same = (kind, server_in_context())
    if now - _logged_at.get(same, -_LOG_INTERVAL) < _LOG_INTERVAL:
        _unlogged[same] = _unlogged.get(same, 0) + 1
        return
    _logged_at[same] = now
    event = log_events.redis_refuses if kind != UNREACHABLE else log_events.redis_unreachable
    event(kind=kind, doing=doing, error=str(error) or type(error).__name__, unlogged=_unlogged.pop(same, 0))


class Backoff:
    """The pauses of one loop that tries again: each twice as long as the one before, up to a limit, with jitter, so
    that many processes do not come back at once."""

    def __init__(self, first: float = 0.05, longest: float = 1.0) -> None:
        """Times in seconds."""
        self._first = first
        self._longest = longest
        self._next = first

    async def pause(self) -> None:
        """Wait before the next try."""
        limit, self._next = self._next, min(2 * self._next, self._longest)
        await asyncio.sleep(random.uniform(limit / 2, limit))

    def reset(self) -> None:
        """A try was successful."""
        self._next = self._first
