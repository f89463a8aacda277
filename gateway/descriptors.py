"""The process's limit of open files. Each session needs two, its sockets to the client and to the upstream."""

from __future__ import annotations

import resource

import structlog

log = structlog.get_logger(__name__)

PER_SESSION = 2
#: For Redis, HTTP, log files and what Python opens.
RESERVE = 128


def sessions_that_fit(wanted: int) -> int:
    """Raise the soft limit to the hard one. Returns how many of the ``wanted`` sessions the limit allows; if that is
    fewer, a warning is logged."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fit = wanted if hard == resource.RLIM_INFINITY else max(1, min(wanted, (hard - RESERVE) // PER_SESSION))
    if fit < wanted:
        log.warning(
            "sessions_limited",
            sessions=fit,
            wanted=wanted,
            open_files=hard,
            remedy=f"raise the limit of open files (ulimit -n) to {wanted * PER_SESSION + RESERVE}",
        )
    return fit
