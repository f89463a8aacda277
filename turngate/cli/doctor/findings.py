"""What the checks of ``turngate doctor`` mean. No I/O: each takes what was found, and returns what to say of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.descriptors import PER_SESSION, RESERVE
from turngate.bus.server import NO_CLUSTER, NO_EVICTION

#: The oldest release of Redis with every command that is used (``XADD … NOMKSTREAM``), and of Valkey.
_REDIS_SINCE = (6, 2)
#: What the finding about the compiled kernel is about.
KERNEL = "compiled kernel"
#: Milliseconds by which two clocks may differ: parked sessions and tokens are timed with those of several machines.
_CLOCKS_DIFFER = 1_000


class Level(StrEnum):
    OK = "ok"
    #: It works, and may not do what is expected.
    WARNING = "warning"
    #: It does not work.
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it, if anything."""

    level: Level
    check: str
    found: str
    remedy: str = ""


def failed(check: str, why: str, remedy: str) -> Finding:
    return Finding(Level.ERROR, check, why, remedy)


def of_server(info: Mapping[str, Any], name: str = "Redis", variable: str = "TURNGATE_REDIS_URL") -> Iterator[Finding]:
    """A Redis server, by its answer to INFO; empty if that is forbidden. ``name`` is what it is called, and
    ``variable`` the setting that leads to it."""
    if not info:
        yield Finding(Level.WARNING, name, "INFO is forbidden: its version and memory are not known")
        return
    version = str(info.get("redis_version", "?"))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < _REDIS_SINCE:
        yield failed(f"{name} version", version, "use Redis 6.2 or newer, or Valkey")
    else:
        yield Finding(Level.OK, f"{name} version", version)
    if info.get("cluster_enabled"):
        yield failed(f"{name} cluster mode", "on", NO_CLUSTER)
    if info.get("role", "master") not in ("master", "primary"):
        yield failed(f"{name} role", str(info["role"]), f"{variable} must lead to the master: it is written to")
    limit, policy = int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", "noeviction"))
    if not limit:
        yield Finding(
            Level.WARNING,
            f"{name} memory",
            "no limit",
            "set maxmemory, so that Redis refuses before the machine is full",
        )
    elif policy != "noeviction":
        yield failed(
            f"{name} memory",
            f"{limit // 1_048_576} MB, maxmemory-policy {policy}",
            NO_EVICTION,
        )
    else:
        yield Finding(Level.OK, f"{name} memory", f"{limit // 1_048_576} MB, noeviction")


def of_kernel(implementation: str) -> Finding:
    """What resamples audio here."""
    if implementation == "compiled":
        return Finding(Level.OK, KERNEL, "built")
    return Finding(
        Level.WARNING,
        KERNEL,
        "not built: numpy resamples, with more CPU time for each frame",
        "install a C compiler (Debian: gcc, libc6-dev, python3-dev), and then turngate again",
    )


def of_clocks(ahead_ms: float, name: str = "Redis") -> Finding:
    """By how much the clock of Redis, which is called so, is ahead of the one here."""
    found = f"{abs(ahead_ms):.0f} ms {'ahead of' if ahead_ms > 0 else 'behind'} this machine's"
    if abs(ahead_ms) > _CLOCKS_DIFFER:
        return Finding(
            Level.WARNING,
            f"clock of {name}",
            found,
            "synchronize the clocks (NTP): tokens and parked sessions are timed with those of several machines",
        )
    return Finding(Level.OK, f"clock of {name}", found)


def of_workers(workers: int, cores: int) -> Finding:
    """The processes of the gateway, and the cores that they may use."""
    if workers > cores:
        return Finding(
            Level.WARNING,
            "gateway workers",
            f"{workers}, with {cores} {'core' if cores == 1 else 'cores'} to use",
            "set TURNGATE_GATEWAY_WORKERS to no more than that, or to auto",
        )
    unused = f" of {cores} cores are used; TURNGATE_GATEWAY_WORKERS=auto uses all" if workers < cores else ""
    return Finding(Level.OK, "gateway workers", f"{workers}{unused}")


def of_open_files(limit: float, sessions: int) -> Finding:
    """How many sessions the limit of open files allows in one process, which is to have so many."""
    needed = sessions * PER_SESSION + RESERVE
    if limit < needed:
        fit = int(max(1, (limit - RESERVE) // PER_SESSION))
        return Finding(
            Level.WARNING,
            "open files",
            f"{limit:.0f}, enough for {fit} of {sessions} sessions",
            f"raise the limit (ulimit -n) to {needed}, or lower TURNGATE_SESSIONS_MAX",
        )
    return Finding(Level.OK, "open files", f"enough for {sessions} sessions")


def of_access(
    *, keys: bool, reachable: bool, address: str, origins: Collection[str] | None, tokens: bool
) -> Iterator[Finding]:
    """Who may connect to the gateway at this address: whether it has API keys, is ``reachable`` from elsewhere, has a
    list of origins, and a secret for tokens."""
    if keys:
        yield Finding(Level.OK, "API keys", "clients need one")
    else:
        level = Level.WARNING if reachable else Level.OK
        remedy = "set TURNGATE_API_KEYS" if reachable else ""
        yield Finding(level, "API keys", f"none: anybody may connect to {address}", remedy)
    yield _of_origins(origins, keys=keys)
    if keys and not tokens:
        yield Finding(
            Level.WARNING,
            "tokens",
            "none: a web page would need a permanent key",
            "set TURNGATE_TOKEN_SECRET, the same for all gateways",
        )


def _of_origins(allowed: Collection[str] | None, *, keys: bool) -> Finding:
    """Which web pages may connect; None is the default, which depends on whether there are ``keys``."""
    if allowed is None and not keys:
        return Finding(Level.OK, "origins", "only web pages of this machine may connect")
    if allowed is None or "*" in allowed:
        if keys:
            return Finding(
                Level.OK, "origins", "any web page with a key may connect", "TURNGATE_ALLOWED_ORIGINS can limit them"
            )
        return Finding(
            Level.WARNING,
            "origins",
            "any web page may connect, without a key",
            "list the pages in TURNGATE_ALLOWED_ORIGINS, or set TURNGATE_API_KEYS",
        )
    return Finding(Level.OK, "origins", "only those of TURNGATE_ALLOWED_ORIGINS may connect")
